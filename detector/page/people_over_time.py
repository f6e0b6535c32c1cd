"""How many people were seen when, in a bounded number of intervals."""

from __future__ import annotations

import math
from typing import Any

FINEST = 0.25  # seconds an interval, at first
MOST_INTERVALS = 1200  # about as many as a wide screen has room for


class PeopleOverTime:
    """People in the picture, interval by interval; the intervals grow twice as long where they become too many.

    Args:
        finest: seconds an interval to begin with.
        most_intervals: from which on pairs of them are joined; even.
    """

    def __init__(self, finest: float = FINEST, most_intervals: int = MOST_INTERVALS) -> None:
        self.step = finest
        self.start: float | None = None
        self._most_intervals = most_intervals
        self._frames: list[int] = []
        self._people: list[int] = []
        self._most: list[int] = []

    def add(self, seconds: float, people: int) -> None:
        """Count a frame that is shown at `seconds`."""
        if self.start is None:
            self.start = math.floor(seconds / self.step) * self.step
        while (index := int(max(0.0, seconds - self.start) / self.step)) >= self._most_intervals:
            self._join_pairs()
        missing = index + 1 - len(self._frames)
        for values in (self._frames, self._people, self._most):
            values.extend([0] * missing)
        self._frames[index] += 1
        self._people[index] += people
        self._most[index] = max(self._most[index], people)

    def _join_pairs(self) -> None:
        self.step *= 2
        for values in (self._frames, self._people, self._most):
            values.extend([0] * (len(values) % 2))
        self._frames = [a + b for a, b in zip(self._frames[::2], self._frames[1::2], strict=True)]
        self._people = [a + b for a, b in zip(self._people[::2], self._people[1::2], strict=True)]
        self._most = [max(a, b) for a, b in zip(self._most[::2], self._most[1::2], strict=True)]

    def as_json(self) -> dict[str, Any]:
        """`start` and `step` in seconds; `mean` and `most` people an interval, null where it has no frame."""
        return {
            "start": self.start or 0.0,
            "step": self.step,
            "mean": [
                round(people / frames, 2) if frames else None
                for people, frames in zip(self._people, self._frames, strict=True)
            ],
            "most": [most if frames else None for most, frames in zip(self._most, self._frames, strict=True)],
        }
