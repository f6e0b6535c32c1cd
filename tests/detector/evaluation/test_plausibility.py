"""Detections that are read in another way than they were written are suspected, sound ones never."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from upright.datasets.sample import Annotations
from upright.detector.evaluation.detections import Detections
from upright.detector.evaluation.plausibility import suspicions

PICTURES = 30


@pytest.fixture
def truth() -> Annotations:
    """Two people in each of thirty pictures 640 x 480, at random."""
    generator = np.random.default_rng(2)
    boxes = np.column_stack(
        [
            generator.uniform(20, 560, 2 * PICTURES),
            generator.uniform(20, 330, 2 * PICTURES),
            np.tile([40, 100], (60, 1)),
        ]
    )
    return Annotations(
        image_ids=list(range(1, PICTURES + 1)),
        file_names=[str(i) for i in range(1, PICTURES + 1)],
        sizes=np.tile(np.array([[640, 480]]), (PICTURES, 1)),
        image_index=np.repeat(np.arange(PICTURES), 2),
        boxes=boxes,
        visible=boxes,
        ignore=np.zeros(2 * PICTURES, bool),
        height=boxes[:, 3],
        visible_ratio=np.ones(2 * PICTURES),
        category=np.ones(2 * PICTURES, np.int64),
    )


def as_detections(truth: Annotations) -> Detections:
    return Detections(truth.image_index, truth.boxes + 2, np.linspace(0, 1, len(truth.boxes)))


def test_sound_detections_and_none_raise_no_suspicion(truth: Annotations) -> None:
    sound = as_detections(truth)
    assert list(suspicions(truth, sound)) == []
    assert list(suspicions(truth, Detections(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0)))) == []
    few = Detections(sound.image_index[:2], sound.boxes[:2], sound.scores[:2])
    assert list(suspicions(truth, few)) == []


@pytest.mark.parametrize("known", [True, False], ids=["sizes", "no sizes"])
def test_corners_are_suspected(truth: Annotations, known: bool) -> None:
    truth = truth if known else replace(truth, sizes=np.zeros_like(truth.sizes))
    sound = as_detections(truth)
    boxes = sound.boxes.copy()
    boxes[:, 2:] += boxes[:, :2]
    found = " ".join(suspicions(truth, replace(sound, boxes=boxes)))
    assert "60 would if boxes were corners" in found
    assert ("leave their pictures" in found) == known


@pytest.mark.parametrize(("shift", "word"), [(-1, "next"), (1, "previous")])
def test_ids_that_are_counted_otherwise_are_suspected(truth: Annotations, shift: int, word: str) -> None:
    sound = as_detections(truth)
    moved = sound.image_index + shift
    kept = (moved >= 0) & (moved < PICTURES)
    (found,) = suspicions(truth, Detections(moved[kept], sound.boxes[kept], sound.scores[kept]))
    assert f"58 would if each image id meant the {word} picture" in found


def test_nothing_that_matches_is_said(truth: Annotations) -> None:
    sound = as_detections(truth)
    (found,) = suspicions(truth, replace(sound, boxes=sound.boxes * [0.001, 0.001, 0.001, 0.001]))
    assert "no detection matches" in found


def test_detections_that_stand_there_twice_are_suspected(truth: Annotations) -> None:
    sound = as_detections(truth)
    once = np.arange(len(sound))
    assert list(suspicions(truth, _rows(sound, np.append(once, once[:3])))) == []
    (found,) = suspicions(truth, _rows(sound, np.append(once, once)))
    assert found.startswith(f"{len(sound)} of {2 * len(sound)} detections stand there more than once")
    alike = replace(sound, scores=np.full(len(sound), 0.5))  # scores that were rounded are no copies
    assert list(suspicions(truth, alike)) == []


def _rows(detections: Detections, rows: np.ndarray) -> Detections:
    return Detections(detections.image_index[rows], detections.boxes[rows], detections.scores[rows])
