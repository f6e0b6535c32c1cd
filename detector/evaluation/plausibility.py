"""Detections that are hardly what they are taken for: corners for sizes, ids that are counted otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from upright.datasets.sample import Annotations
from upright.detector.evaluation.detections import Detections
from upright.detector.evaluation.matching import overlapping_pairs

BEYOND = 0.05  # of the picture's width or height: further out no honest box reaches
OVERLAP = 0.5
FEW = 0.2  # share of the people, or of the detections, that even a poor detector matches
REPEATED = 0.2  # share of the detections; a detector of its own accord repeats none to the last digit
MORE = 3  # times as many matches make another reading the likelier one


def suspicions(annotations: Annotations, detections: Detections) -> Iterator[str]:
    """What looks wrong about detections as a whole, a sentence each; nothing where they look sound."""
    people = np.flatnonzero((annotations.category == 1) & ~annotations.ignore)
    if not len(detections) or not len(people):
        return
    beyond = _share_beyond(annotations, detections)
    if beyond > 0.5:
        yield f"{beyond:.0%} of the boxes leave their pictures: are they corners rather than [x, y, width, height]?"
    repeated = _repeated(detections)
    if repeated > REPEATED * len(detections):
        yield f"{repeated} of {len(detections)} detections stand there more than once: was the file written twice?"
    matched = _matched(annotations, people, detections)
    if matched >= FEW * min(len(people), len(detections)):
        return
    for reading, other in _other_readings(annotations, detections):
        count = _matched(annotations, people, other)
        if count > MORE * max(1, matched):
            yield f"{matched} detections match a person, but {count} would if {reading}"
            return
    if not matched:
        yield "no detection matches a person: are they of the same pictures, and in pixels?"


def _repeated(detections: Detections) -> int:
    """How many detections are another one's copy."""
    count = len(detections)
    if count - len(np.unique(detections.scores)) <= REPEATED * count:  # the quick look that most files end with
        return 0
    table = np.column_stack([detections.image_index, detections.boxes, detections.scores])
    return count - len(np.unique(table, axis=0))


def _share_beyond(annotations: Annotations, detections: Detections) -> float:
    size = annotations.sizes[detections.image_index]
    known = (size > 0).all(axis=1)
    if not known.any():
        return 0.0
    boxes, size = detections.boxes[known], size[known]
    spare = BEYOND * size
    outside = (boxes[:, :2] < -spare) | (boxes[:, :2] + boxes[:, 2:] > size + spare)
    return float(outside.any(axis=1).mean())


def _matched(annotations: Annotations, people: np.ndarray, detections: Detections) -> int:
    """How many people a detection overlaps by half."""
    truths = annotations.boxes[people]
    images = annotations.image_index[people]
    found, truth, shared = overlapping_pairs(detections.boxes, detections.image_index, truths, images)
    areas = detections.boxes[found, 2:].prod(axis=1) + truths[truth, 2:].prod(axis=1) - shared
    return len(np.unique(truth[shared >= OVERLAP * areas]))


def _other_readings(annotations: Annotations, detections: Detections) -> Iterator[tuple[str, Detections]]:
    corners = detections.boxes.copy()
    corners[:, 2:] -= corners[:, :2]
    sound = np.flatnonzero((corners[:, 2:] > 0).all(axis=1))
    if len(sound):
        yield "boxes were corners, x1 y1 x2 y2", _chosen(replace(detections, boxes=corners), sound)
    pictures = len(annotations.image_ids)
    for shift, words in ((1, "next"), (-1, "previous")):
        moved = detections.image_index + shift
        kept = np.flatnonzero((moved >= 0) & (moved < pictures))
        if len(kept):
            yield f"each image id meant the {words} picture", _chosen(replace(detections, image_index=moved), kept)


def _chosen(detections: Detections, rows: np.ndarray) -> Detections:
    return Detections(detections.image_index[rows], detections.boxes[rows], detections.scores[rows])
