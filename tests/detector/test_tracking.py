"""People keep their numbers through gaps and at uneven times."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from upright.detector.detected import Detected
from upright.detector.tracking import HELD, UNTRACKED, PersonTracker


def people(*places: tuple[float, float]) -> Detected:
    """Of 40 x 100 pixels, by their top left corners."""
    boxes = np.array([(x, y, x + 40, y + 100) for x, y in places], np.float64).reshape(-1, 4)
    return Detected(boxes, np.linspace(0.9, 0.8, len(boxes)))


def walkers(seconds: float) -> list[tuple[float, float]]:
    """One to the right, one to the left, each 60 pixels a second."""
    return [(60 * seconds, 50), (600 - 60 * seconds, 200)]


def numbers(tracker: PersonTracker, found: Detected, seconds: float | None) -> np.ndarray:
    """The tracks of those who count."""
    tracks = tracker.update(found, seconds).track
    assert tracks is not None
    return tracks


def test_two_who_walk_keep_their_numbers_whatever_their_order():
    tracker = PersonTracker(fps=25)
    rng = np.random.default_rng(0)
    seen = []
    for frame in range(50):
        order = rng.permutation(2)
        places = walkers(frame / 25)
        tracks = numbers(tracker, people(*[places[i] for i in order]), frame / 25)
        if frame > 1:
            seen.append(tuple(tracks[np.argsort(order)].tolist()))
    assert len(set(seen)) == 1
    assert sorted(seen[0]) == [1, 2]


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(lambda frame: 1 / 25, id="as announced"),
        pytest.param(lambda frame: 1 / 5, id="every fifth"),
        pytest.param(lambda frame: (0.02, 0.2, 0.04, 0.1)[frame % 4], id="variable"),
    ],
)
def test_somebody_hidden_for_less_than_held_keeps_the_number(step: Callable[[int], float]):
    tracker = PersonTracker(fps=25)
    time, before = 0.0, UNTRACKED
    frame = 0
    while time < 8:
        hidden = 3 <= time < 3 + 0.8 * HELD
        place = walkers(time)[0]
        tracks = numbers(tracker, people() if hidden else people(place), time)
        if not hidden and time > 1:
            assert tracks.tolist() == [1]
            before = int(tracks[0])
        time, frame = time + step(frame), frame + 1
    assert before == 1


@pytest.mark.parametrize("fps", [5, 25, 100])
def test_somebody_gone_for_longer_than_held_comes_back_as_another(fps: int):
    tracker = PersonTracker(fps=fps)
    times = np.arange(0, 2, 1 / fps).tolist() + np.arange(2 + 1.2 * HELD, 4 + 1.2 * HELD, 1 / fps).tolist()
    tracks = [numbers(tracker, people((100, 50)), time)[0] for time in times]
    assert tracks[len(times) // 2 - 1] == 1
    assert tracks[-1] == 2


def test_times_that_stand_still_or_are_missing_are_frames_all_the_same():
    tracker = PersonTracker(fps=25)
    for frame, time in enumerate([0.0, 0.04, 0.04, 0.02, None, float("nan"), 0.2]):
        tracks = numbers(tracker, people(walkers(frame / 25)[0]), time)
    assert tracks.tolist() == [1]


def test_nobody_is_nobody():
    tracker = PersonTracker()
    assert numbers(tracker, people(), 0.0).tolist() == []
    assert numbers(tracker, people((0, 0)), 0.04).shape == (1,)


def scored(*people: tuple[float, float]) -> Detected:
    """Of 40 x 100 pixels, by their left edge and score."""
    boxes = np.array([(x, 50, x + 40, 150) for x, _ in people], np.float64).reshape(-1, 4)
    return Detected(boxes, np.array([score for _, score in people], np.float64))


def test_who_was_sure_once_is_held_by_weaker_detections():
    tracker = PersonTracker(fps=25, threshold=0.5, holding=0.3)
    seen = []
    for frame, score in enumerate([0.4, 0.4, 0.6, 0.4, 0.35, 0.2, 0.4]):
        found = tracker.update(scored((60 + 2 * frame, score)), frame / 25)
        seen.append((found.track.tolist(), found.scores.tolist()))
    weak = ([], [])
    assert seen == [weak, weak, ([1], [0.6]), ([1], [0.4]), ([1], [0.35]), weak, ([1], [0.4])]


def test_who_was_never_sure_is_nobody_and_takes_no_number():
    tracker = PersonTracker(fps=25, threshold=0.5, holding=0.3)
    for frame in range(10):
        strong = [(300.0, 0.8)] if frame >= 5 else []
        found = tracker.update(scored(*strong, (60.0, 0.45)), frame / 25)
        assert found.scores.tolist() == [score for _, score in strong]
    assert found.track.tolist() == [1]


def test_a_second_box_on_one_person_is_counted_but_gets_no_number():
    tracker = PersonTracker(fps=25, threshold=0.5, holding=0.5)
    for frame in range(6):
        found = tracker.update(scored((60 + 2 * frame, 0.9), (72 + 2 * frame, 0.6), (200, 0.55)), frame / 25)
    assert found.track.tolist() == [1, UNTRACKED, 2]
