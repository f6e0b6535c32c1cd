"""What tracked people do: they cross lines, enter and leave zones, fall and rise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np

from upright.detector.detected import Detected
from upright.detector.tracking import HELD

# Of somebody's height beyond an edge, until a side is sure: boxes tremble. Who stands on the edge of a zone would come
# and go all the time; people pass a line once, and some are seen beyond it for a moment only.
LINE_MARGIN, ZONE_MARGIN = 0.02, 0.05


@dataclass(frozen=True)
class Event:
    """Something that a tracked person did.

    Attributes:
        kind: "crossed" a line, "entered" or "left" a zone, "fallen", or "risen" again.
        seconds: when, in the time of the video.
        frame: the number of the frame from which it was seen.
        track: who.
        name: of the line or zone; "" of the others.
        direction: where over a line: "left", "right", "up", "down" in the picture; to which side fallen: "left",
            "right"; "" of the others.
        duration: seconds in the zone that was left, or that somebody who has risen was down; None of the others.
    """

    kind: str
    seconds: float
    frame: int
    track: int
    name: str = ""
    direction: str = ""
    duration: float | None = None


@dataclass(frozen=True)
class Line:
    """A straight line that people cross, from (x, y) to (x, y) in pixels."""

    name: str
    start: tuple[float, float]
    end: tuple[float, float]

    @property
    def directions(self) -> tuple[str, str]:
        """Where people go over it: names of the two ways in the picture, "right" or "down" first."""
        steep = abs(self.end[1] - self.start[1]) >= abs(self.end[0] - self.start[0])
        return ("right", "left") if steep else ("down", "up")


@dataclass(frozen=True)
class Zone:
    """A part of the picture in which people stay: a polygon of (x, y) in pixels."""

    name: str
    corners: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Person:
    """A tracked person in a frame: the point (x, y) on the ground and the height in pixels, the lean in degrees."""

    track: int
    foot: tuple[float, float]
    height: float
    lean: float | None


class Watch(Protocol):
    """Looks for one kind of event in one video."""

    def see(self, person: Person, seconds: float, frame: int) -> Iterator[Event]:
        """Somebody is there."""

    def lose(self, track: int, seconds: float, frame: int) -> Iterator[Event]:
        """Somebody is gone, seen last at that time in that frame."""

    def counts(self) -> dict[str, int]:
        """What there is to count, as far as it has come."""


class LineWatch:
    """Counts who crosses a line, by the way they go.

    Somebody has crossed when the feet are beyond the line by `LINE_MARGIN` of the height, and the straight way from
    where they last were beyond it on the other side leads between its ends; through gaps, too.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._start, self._end = np.array(line.start), np.array(line.end)
        along = self._end - self._start
        normal = np.array([along[1], -along[0]]) / np.hypot(*along)
        # Towards the first of the line's directions.
        self._normal = normal if normal[0 if line.directions[0] == "right" else 1] > 0 else -normal
        self._sure: dict[int, tuple[int, np.ndarray]] = {}
        self._counts = dict.fromkeys(line.directions, 0)

    def see(self, person: Person, seconds: float, frame: int) -> Iterator[Event]:
        foot = np.array(person.foot)
        distance = float((foot - self._start) @ self._normal)
        if abs(distance) <= LINE_MARGIN * person.height:
            return
        side = 1 if distance > 0 else -1
        before = self._sure.get(person.track)
        self._sure[person.track] = side, foot
        if before is None or before[0] == side:
            return
        was = float((before[1] - self._start) @ self._normal)
        met = before[1] + (foot - before[1]) * was / (was - distance)
        along = self._end - self._start
        if 0 <= float((met - self._start) @ along) <= float(along @ along):
            direction = self._line.directions[0 if side > 0 else 1]
            self._counts[direction] += 1
            yield Event("crossed", seconds, frame, person.track, self._line.name, direction)

    def lose(self, track: int, seconds: float, frame: int) -> Iterator[Event]:
        self._sure.pop(track, None)
        yield from ()

    def counts(self) -> dict[str, int]:
        return {f"{self._line.name} {direction}": count for direction, count in self._counts.items()}


class ZoneWatch:
    """Says who enters and leaves a zone with the feet, and how long they stayed."""

    def __init__(self, zone: Zone) -> None:
        self._name = zone.name
        self._corners = np.array(zone.corners, np.float32).reshape(-1, 1, 2)
        self._since: dict[int, float] = {}

    def see(self, person: Person, seconds: float, frame: int) -> Iterator[Event]:
        inside = cv2.pointPolygonTest(self._corners, person.foot, True)  # the distance from the edge, positive inside
        if person.track not in self._since and inside >= ZONE_MARGIN * person.height:
            self._since[person.track] = seconds
            yield Event("entered", seconds, frame, person.track, self._name)
        elif person.track in self._since and inside < -ZONE_MARGIN * person.height:
            yield from self.lose(person.track, seconds, frame)

    def lose(self, track: int, seconds: float, frame: int) -> Iterator[Event]:
        if track in self._since:
            yield Event("left", seconds, frame, track, self._name, duration=seconds - self._since.pop(track))

    def counts(self) -> dict[str, int]:
        return {self._name: len(self._since)}


class FallWatch:
    """Says who lies or has fallen: whose lean is beyond a limit for a time; and who has risen for as long.

    Args:
        limit: degrees from upright, to either side.
        seconds: how long.
    """

    def __init__(self, limit: float, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._changed: dict[int, float] = {}  # since when somebody is other than was said last
        self._down: dict[int, float] = {}  # since when those who are down have been

    def see(self, person: Person, seconds: float, frame: int) -> Iterator[Event]:
        if person.lean is None:
            return
        track = person.track
        if (abs(person.lean) > self._limit) == (track in self._down):
            self._changed.pop(track, None)
            return
        since = self._changed.setdefault(track, seconds)
        if seconds - since < self._seconds:
            return
        del self._changed[track]
        if track in self._down:
            yield Event("risen", seconds, frame, track, duration=since - self._down.pop(track))
        else:
            self._down[track] = since
            yield Event("fallen", seconds, frame, track, direction="right" if person.lean > 0 else "left")

    def lose(self, track: int, seconds: float, frame: int) -> Iterator[Event]:
        self._changed.pop(track, None)
        self._down.pop(track, None)
        yield from ()

    def counts(self) -> dict[str, int]:
        return {"fallen": len(self._down)}


@dataclass(frozen=True)
class Fallen:
    """The limit in degrees and the seconds of `FallWatch`."""

    limit: float
    seconds: float = 1.0


@dataclass
class Watcher:
    """Watches the people of one video for what is asked for; whoever is gone for `HELD` seconds is forgotten.

    Args:
        asked: lines, zones and what counts as fallen.
    """

    asked: Sequence[Line | Zone | Fallen]
    _watches: list[Watch] = field(default_factory=list)
    _seen: dict[int, tuple[float, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._watches = [watch_for(one) for one in self.asked]

    def see(self, found: Detected, seconds: float, frame: int) -> list[Event]:
        """What happens in a frame.

        Args:
            found: with `track`.
            seconds: the time of the frame.
            frame: its number.
        """
        if not self._watches or found.track is None:
            return []
        events = self._forget(seconds - HELD)
        for row in np.flatnonzero(found.track > 0):
            x1, y1, x2, y2 = found.boxes[row].tolist()
            lean = None if found.lean is None else float(found.lean[row])
            person = Person(int(found.track[row]), ((x1 + x2) / 2, y2), y2 - y1, lean)
            self._seen[person.track] = seconds, frame
            for watch in self._watches:
                events += watch.see(person, seconds, frame)
        return events

    def end(self) -> list[Event]:
        """What is left to say after the last frame: who was still in a zone has left it with the video."""
        return self._forget(np.inf)

    def counts(self) -> dict[str, int]:
        """Crossings by line and direction so far, people in each zone, people who are down."""
        return {name: count for watch in self._watches for name, count in watch.counts().items()}

    def _forget(self, before: float) -> list[Event]:
        """Those seen last before a time are gone."""
        events: list[Event] = []
        for track in [track for track, (seconds, _) in self._seen.items() if seconds < before]:
            for watch in self._watches:
                events += watch.lose(track, *self._seen[track])
            del self._seen[track]
        return events


def watch_for(asked: Line | Zone | Fallen) -> Watch:
    """What looks for it."""
    if isinstance(asked, Line):
        return LineWatch(asked)
    if isinstance(asked, Zone):
        return ZoneWatch(asked)
    return FallWatch(asked.limit, asked.seconds)
