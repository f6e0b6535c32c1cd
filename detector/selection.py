"""Which frames of a video are looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass

from upright.errors import InputError


@dataclass(frozen=True)
class Selection:
    """By default every frame.

    Attributes:
        every: the first of so many frames.
        fps: as many frames a second of the video, at most; None for all.
        start, end: seconds of the video between which frames count.
        seconds: so many from the first one on.
        frames: so many at most.

    Raises:
        InputError: a value cannot be.
    """

    every: int = 1
    fps: float | None = None
    start: float = 0.0
    end: float | None = None
    seconds: float | None = None
    frames: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("every", 1), ("frames", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"--{name} {value} is not a number of frames: use {least} or more")
        for name in ("fps", "start", "end", "seconds"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and (value > 0 or (name == "start" and value == 0))):
                raise InputError(f"--{name} {value:g} cannot be: use a number above 0")
        if self.end is not None and self.end <= self.start:
            raise InputError(f"--end {self.end:g} is not after --start {self.start:g}")
        if self.every > 1 and self.fps is not None:
            raise InputError("--every and --fps both say which frames are left out: give one of them")

    @property
    def until(self) -> float | None:
        """Second of the video at which it ends."""
        ends = [self.end, None if self.seconds is None else self.start + self.seconds]
        return min((end for end in ends if end is not None), default=None)


class Chooser:
    """Goes through the frames of one video.

    Args:
        selection: what is wanted of it.

    Attributes:
        over: nothing more is wanted; known as soon as the last frame was chosen.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._seen = self._chosen = 0
        self._due = -math.inf
        self.over = False

    def wants(self, seconds: float) -> bool:
        """Whether the next frame, shown at `seconds`, is wanted."""
        selection = self._selection
        if seconds < selection.start - 1e-9:
            return False
        if selection.until is not None and seconds >= selection.until - 1e-9:
            self.over = True
            return False
        self._seen += 1
        if (self._seen - 1) % selection.every:
            return False
        if selection.fps is not None:
            if seconds < self._due - 1e-6:
                return False
            step = 1 / selection.fps
            # From the moment that was due, so that the mean rate is met; after a gap from now on.
            self._due = self._due + step if seconds - self._due < step else seconds + step
        self._chosen += 1
        self.over = self._chosen == selection.frames
        return True
