"""Lines, zones and falls, on ways that are drawn by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from upright.detector.detected import Detected
from upright.detector.events import Event, Fallen, Line, Watcher, Zone
from upright.detector.tracking import HELD

FPS = 10
Way = Sequence[tuple[float, float] | None]  # where the feet are in each frame; None: out of sight


def watch(asked: Line | Zone | Fallen, *ways: Way, lean: Sequence[float] | None = None) -> tuple[list[Event], Watcher]:
    """What happens on ways of people of 100 pixels, with tracks from 1; and the watcher after the last frame."""
    watcher = Watcher([asked])
    events = []
    for frame in range(max(map(len, ways))):
        feet = [(track, way[frame]) for track, way in enumerate(ways, 1) if frame < len(way) and way[frame]]
        boxes = np.array([(x - 20, y - 100, x + 20, y) for _, (x, y) in feet], np.float64).reshape(-1, 4)
        found = Detected(
            boxes,
            np.ones(len(feet)),
            lean=None if lean is None else np.full(len(feet), lean[frame]),
            track=np.array([track for track, _ in feet], np.int64),
        )
        events += watcher.see(found, frame / FPS, frame)
    return events, watcher


def straight(start: tuple[float, float], end: tuple[float, float], frames: int = 21) -> Way:
    return [tuple(point) for point in np.linspace(start, end, frames).tolist()]


LEVEL = Line("kerb", (100, 200), (300, 200))
STEEP = Line("door", (200, 300), (200, 100))


@pytest.mark.parametrize(
    ("line", "way", "direction"),
    [
        (STEEP, straight((100, 200), (300, 200)), "right"),
        (STEEP, straight((300, 200), (100, 200)), "left"),
        (LEVEL, straight((200, 100), (200, 300)), "down"),
        (LEVEL, straight((200, 300), (200, 100)), "up"),
        (Line("back", LEVEL.end, LEVEL.start), straight((200, 300), (200, 100)), "up"),
    ],
)
def test_a_crossing_is_counted_once_with_its_direction(line, way, direction):
    (event,), watcher = watch(line, way)
    assert (event.kind, event.name, event.direction, event.track) == ("crossed", line.name, direction, 1)
    assert 1.0 <= event.seconds <= 1.2
    assert event.frame == round(event.seconds * FPS)
    assert watcher.counts()[f"{line.name} {direction}"] == 1
    assert sum(watcher.counts().values()) == 1


def test_somebody_who_passes_beside_the_line_crosses_nothing():
    assert watch(STEEP, straight((100, 350), (300, 350)))[0] == []
    assert watch(STEEP, straight((100, 50), (300, 50)))[0] == []


def test_somebody_who_stands_on_the_line_is_not_counted_for_trembling():
    trembling = [(200 + 2 * (-1) ** frame, 200) for frame in range(50)]
    assert watch(STEEP, [*straight((150, 200), (198, 200)), *trembling, *straight((198, 200), (150, 200))])[0] == []


def test_somebody_who_creeps_over_the_line_has_crossed_it():
    (event,), _ = watch(STEEP, straight((190, 200), (210, 200), frames=101))
    assert event.direction == "right"


def test_a_crossing_out_of_sight_is_counted_when_somebody_is_seen_again():
    way = list(straight((100, 200), (300, 200)))
    way[6:16] = [None] * 10
    (event,), _ = watch(STEEP, way)
    assert (event.frame, event.direction) == (16, "right")


def test_there_and_back_are_two():
    events, watcher = watch(STEEP, [*straight((100, 200), (300, 200)), *straight((300, 200), (100, 200))])
    assert [event.direction for event in events] == ["right", "left"]
    assert watcher.counts() == {"door right": 1, "door left": 1}


def test_time_in_a_zone():
    square = Zone("shop", ((100, 100), (300, 100), (300, 300), (100, 300)))
    (came, went), watcher = watch(square, straight((0, 200), (400, 200), 41), straight((0, 50), (400, 50), 41))
    assert (came.kind, came.name, came.track) == ("entered", "shop", 1)
    assert (went.kind, went.track) == ("left", 1)
    assert went.duration == pytest.approx(2.0, abs=0.15), "200 pixels at 100 a second"
    assert went.duration == pytest.approx(went.seconds - came.seconds)
    assert watcher.counts() == {"shop": 0}
    assert watcher.end() == []


def test_somebody_who_vanishes_in_a_zone_left_it_when_last_seen():
    square = Zone("shop", ((100, 100), (300, 100), (300, 300), (100, 300)))
    way = [*straight((0, 200), (200, 200)), *[None] * int(FPS * (HELD + 1))]
    (_, went), watcher = watch(square, way, [(500, 500)] * len(way))
    assert (went.kind, went.seconds, went.frame) == ("left", 2.0, 20)
    assert watcher.end() == []


def test_whoever_is_in_a_zone_at_the_end_leaves_it_with_the_video():
    square = Zone("shop", ((100, 100), (300, 100), (300, 300), (100, 300)))
    _, watcher = watch(square, straight((0, 200), (200, 200)))
    (went,) = watcher.end()
    assert (went.kind, went.duration) == ("left", pytest.approx(0.9, abs=0.15))
    assert watcher.counts() == {"shop": 0}


def test_a_fall_counts_after_its_time_and_so_does_rising():
    lean = [5.0] * 10 + [-80.0] * 30 + [10.0] * 30
    (fell, rose), _ = watch(Fallen(60, 1.0), [(200, 200)] * 70, lean=lean)
    assert (fell.kind, fell.frame, fell.direction) == ("fallen", 20, "left")
    assert (rose.kind, rose.frame, rose.duration) == ("risen", 50, pytest.approx(3.0))


@pytest.mark.parametrize("lean", [[5.0] * 10 + [80.0] * 8 + [5.0] * 10, [float("nan")] * 30, [59.0] * 30])
def test_a_stumble_is_no_fall(lean):
    assert watch(Fallen(60, 1.0), [(200, 200)] * len(lean), lean=lean)[0] == []


def test_nobody_is_remembered_for_longer_than_held():
    watcher = Watcher([STEEP, Zone("all", ((0, 0), (999, 0), (999, 999), (0, 999))), Fallen(60)])
    for frame in range(3000):
        found = Detected(np.array([[80.0, 0, 120, 100]]), np.ones(1), lean=np.ones(1), track=np.array([frame + 1]))
        watcher.see(found, frame / FPS, frame)
    assert watcher.counts()["all"] <= FPS * HELD + 1
