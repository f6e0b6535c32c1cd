"""What follows the model: people are tracked and watched, and what is known of each frame goes to the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from upright.detector.detected import Detected
from upright.detector.events import Event, Fallen, Line, Watcher, Zone
from upright.detector.sources import Frame, Source
from upright.detector.tracking import PersonTracker
from upright.errors import DiskFull


@dataclass(frozen=True)
class FrameRecord:
    """All that is known of a frame.

    Attributes:
        frame: the picture itself.
        found: those that count, with `track` where people are tracked.
        events: that happened in it.
        counts: "people" in the frame; of each line the crossings so far ("NAME right", "NAME left", or down and up);
            the people in each zone ("NAME"); the people who are down ("fallen").
    """

    frame: Frame
    found: Detected
    events: tuple[Event, ...]
    counts: dict[str, int]


class Output(Protocol):
    """Keeps records; of one source after the other, in the order of the frames, in one thread."""

    def begin(self, source: Source) -> None:
        """Before the first frame of a source."""

    def add(self, record: FrameRecord) -> None: ...

    def finish(self, events: tuple[Event, ...]) -> None:
        """The source is over, or was broken off and what was found is kept.

        Args:
            events: the last ones, of those who were still there.

        Raises:
            DiskFull: they have no room; what was written before is whole, and stays if the next is no `discard`.
        """

    def discard(self) -> None:
        """The source failed: nothing of it stays. May follow `finish`, since another output may fail then."""

    def close(self) -> None:
        """After the last source, always.

        Raises:
            InputError: a file cannot be written.
        """


class Recorder:
    """The stage behind the model: tracks and watches the people of each source, and hands the records on.

    It keeps nothing of a frame; what is kept of those in sight is bounded by how many are in sight.

    Args:
        threshold: the score from which a detection counts.
        outputs: that get the records. Those that can fail at the end of a source, like videos, come first.
        track: give people numbers.
        holding: with `track`, the score from which a detection counts that continues a track (default: `threshold`).
        watched: lines, zones and falls to watch for; they need `track`.

    Attributes:
        people: detections in the sources that were not discarded.
        crossings: over each line and direction ("NAME right"), likewise.
    """

    def __init__(
        self,
        threshold: float,
        outputs: Sequence[Output],
        *,
        track: bool = False,
        holding: float | None = None,
        watched: Sequence[Line | Zone | Fallen] = (),
    ) -> None:
        self.people = 0
        self.crossings = {f"{one.name} {way}": 0 for one in watched if isinstance(one, Line) for way in one.directions}
        self._threshold = threshold
        self._outputs = outputs
        self._track = track
        self._holding = threshold if holding is None else holding
        self._watched = watched
        self._source: Source | None = None
        self._begun: list[Output] = []  # with this source
        self._finished = 0  # so many of them
        self._last: tuple[Event, ...] = ()
        self._tracker: PersonTracker | None = None
        self._watcher = Watcher(watched)
        self._people = 0

    def add(self, frame: Frame, found: Detected) -> None:
        """Record a frame."""
        if self._source is None:
            self._begin(frame)
        events: list[Event] = []
        if frame.number is not None and self._tracker is not None:
            found = self._tracker.update(found, frame.seconds)
            events = self._watcher.see(found, frame.seconds or 0.0, frame.number)
        else:
            found = found.above(self._threshold)
        counts = {"people": len(found.scores), **self._watcher.counts()}
        record = FrameRecord(frame, found, tuple(events), counts)
        for output in self._outputs:
            output.add(record)
        self._people += len(found.scores)

    def finish(self) -> None:
        """The source was read to its end."""
        if self._source is None:
            return
        self._last += tuple(self._watcher.end())
        for output in self._begun:
            output.finish(self._last)
            self._finished += 1
        self._count()

    def stop(self) -> None:
        """The source was broken off, or could not be finished: what was found is kept, by the outputs that can.

        Raises:
            Exception: the first of those that kept one from it; the others keep what was found, all the same.
        """
        if self._source is None:
            return
        self._last += tuple(self._watcher.end())
        errors = []
        for output in self._begun[self._finished :]:
            try:
                output.finish(self._last)
            except Exception as error:
                errors.append(error)
                if not isinstance(error, DiskFull):
                    with suppress(Exception):
                        output.discard()
        self._count()
        if errors:
            raise errors[0]

    def discard(self) -> None:
        """Forget a source that failed."""
        if self._source is not None:
            self._source = None
            for output in self._begun:
                output.discard()

    def close(self) -> None:
        """After the last source: the outputs give their files their names.

        Raises:
            InputError: one cannot be written; the others are, all the same.
        """
        errors = []
        for output in self._outputs:
            try:
                output.close()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _begin(self, frame: Frame) -> None:
        self._source = frame.source
        self._begun, self._finished, self._last = [], 0, ()
        self._people = 0
        self._watcher = Watcher(self._watched)
        self._tracker = None
        if self._track and frame.number is not None:
            self._tracker = PersonTracker(frame.fps or 25.0, self._threshold, self._holding)
        for output in self._outputs:
            output.begin(frame.source)
            self._begun.append(output)

    def _count(self) -> None:
        self._source = None
        self.people += self._people
        counts = self._watcher.counts()
        for name in self.crossings:
            self.crossings[name] += counts[name]
