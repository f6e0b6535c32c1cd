"""The same figures by a loop over pictures, subsets, detections and ground truths, as the rules are written.

It is what a benchmark's own program does, written with some care: overlaps of a picture come from NumPy and are
shared by the subsets. `tools/evaluate.py --check` runs it beside the vectorised evaluation, on the user's own
detections, and compares figures and time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from upright.datasets.sample import Annotations
from upright.detector.evaluation.detections import Detections
from upright.detector.evaluation.miss_rate import Result, evaluate, log_average, picture_order
from upright.detector.evaluation.protocols import Protocol, Subset, find_protocol, ground_truths, with_aspect

TRUE, FALSE, DROPPED = 1, 0, -1


@dataclass(frozen=True)
class Check:
    """The vectorised evaluation beside the loop.

    Attributes:
        difference: the largest difference of any log-average miss rate or recall.
        seconds: of the vectorised evaluation, the median.
        loop_seconds: of the loop, the median.
    """

    difference: float
    seconds: float
    loop_seconds: float


def check(
    annotations: Annotations,
    detections: Detections,
    protocol: str = "citypersons",
    *,
    detections_aspect: float | None = None,
    subsets: Iterable[str] | None = None,
    runs: int = 5,
) -> Check:
    """Evaluate both ways, in turn, `runs` times; other arguments as in `evaluate`."""
    subsets = None if subsets is None else list(subsets)
    fast, slow, figures = [], [], {}
    for _ in range(runs):
        result = evaluate(annotations, detections, protocol, detections_aspect=detections_aspect, subsets=subsets)
        start = time.perf_counter()
        figures = loop_over_pictures(annotations, detections, protocol, detections_aspect, subsets)
        slow.append(time.perf_counter() - start)
        fast.append(result.seconds)
    return Check(_difference(result, figures), float(np.median(fast)), float(np.median(slow)))


def _difference(result: Result, figures: dict[str, tuple[float, list[float]] | None]) -> float:
    largest = 0.0
    for name, subset in result.subsets.items():
        expected = figures[name]
        if (expected is None) != (subset.recall is None):
            return float("inf")
        if expected is not None and subset.recall is not None:
            ours = np.array([subset.lamr, *subset.recall])
            largest = max(largest, float(np.abs(ours - [expected[0], *expected[1]]).max()))
    return largest


def loop_over_pictures(
    annotations: Annotations,
    detections: Detections,
    protocol: str,
    detections_aspect: float | None = None,
    subsets: list[str] | None = None,
) -> dict[str, tuple[float, list[float]] | None]:
    """Log-average miss rate and nine recalls of each subset as published; None with no evaluated box."""
    rules = find_protocol(protocol)
    chosen = rules.choose(subsets)
    position = picture_order(annotations, rules)
    truths = ground_truths(annotations, rules, position)
    evaluated = {name: truths.evaluated(rules, subset) for name, subset in chosen.items()}
    shapes = truths.boxes if truths.evaluated_boxes is None else truths.evaluated_boxes
    aspect = rules.detections_aspect if detections_aspect is None else detections_aspect
    found_in = _rows_by_picture(position[detections.image_index], len(position))
    present_in = _rows_by_picture(truths.image, len(position))
    outcomes: dict[str, list[tuple[float, int]]] = {name: [] for name in chosen}
    for found, present in zip(found_in, present_in, strict=True):
        found = found[np.argsort(-detections.scores[found], kind="stable")][: rules.detections_per_image]
        boxes = detections.boxes[found]
        if aspect:
            boxes = with_aspect(boxes, aspect)
        over_union, over_detection = _overlaps(boxes, shapes[present], truths.boxes[present])
        scores = detections.scores[found].tolist()
        for name, subset in chosen.items():
            wanted = evaluated[name][present]
            kept = _kept(boxes, subset)
            kinds = _match(
                over_union[kept][:, wanted].tolist(), over_detection[kept][:, ~wanted].tolist(), subset.threshold
            )
            outcomes[name].extend((scores[row], kind) for row, kind in zip(kept, kinds, strict=True))
    return {name: _figures(outcomes[name], len(position), int(evaluated[name].sum()), rules) for name in chosen}


def _rows_by_picture(image: np.ndarray, pictures: int) -> list[np.ndarray]:
    order = np.argsort(image, kind="stable")
    return np.split(order, np.searchsorted(image[order], np.arange(1, pictures))) if pictures else []


def _kept(boxes: np.ndarray, subset: Subset) -> list[int]:
    low, high = subset.heights[0] / subset.expansion, subset.heights[1] * subset.expansion
    return [row for row, height in enumerate(boxes[:, 3].tolist()) if low <= height < high]


def _overlaps(boxes: np.ndarray, shapes: np.ndarray, truths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersection over union with evaluated shapes and over the detection's area with ignored ones, (k, n) each."""
    area = (boxes[:, 2] * boxes[:, 3])[:, None]
    shared = _intersections(boxes, shapes)
    with np.errstate(divide="ignore", invalid="ignore"):
        over_union = np.where(shared > 0, shared / (area + (shapes[:, 2] * shapes[:, 3])[None] - shared), 0)
        shared = _intersections(boxes, truths)
        return over_union, np.where(shared > 0, shared / area, 0)


def _intersections(boxes: np.ndarray, truths: np.ndarray) -> np.ndarray:
    start, end = boxes[:, None, :2], boxes[:, None, :2] + boxes[:, None, 2:]
    sides = np.minimum(end, truths[:, :2] + truths[:, 2:]) - np.maximum(start, truths[:, :2])
    return np.where((sides > 0).all(axis=2), sides[..., 0] * sides[..., 1], 0)


def _match(evaluated: list[list[float]], ignored: list[list[float]], threshold: float) -> list[int]:
    """What becomes of each detection of a picture, by falling score."""
    taken = [False] * (len(evaluated[0]) if evaluated else 0)
    kinds = []
    for overlaps, inside in zip(evaluated, ignored, strict=True):
        best, match = threshold, None
        for truth, overlap in enumerate(overlaps):
            if overlap >= best and not taken[truth]:
                best, match = overlap, truth
        if match is not None:
            taken[match] = True
            kinds.append(TRUE)
        elif any(overlap >= threshold for overlap in inside):
            kinds.append(DROPPED)
        else:
            kinds.append(FALSE)
    return kinds


def _figures(
    outcomes: list[tuple[float, int]], images: int, ground_truths: int, rules: Protocol
) -> tuple[float, list[float]] | None:
    if not ground_truths:
        return None
    fppi, recall, true, false = [], [], 0, 0
    for _, kind in sorted(outcomes, key=lambda outcome: -outcome[0]):
        if kind == DROPPED:
            continue
        true, false = true + (kind == TRUE), false + (kind == FALSE)
        fppi.append(false / images)
        recall.append(true / ground_truths)
    before = recall[-1] if recall and rules.final_recall_before_first_point else 0.0
    read = []
    for point in rules.reference_points:
        index = int(np.searchsorted(fppi, point, side="right")) - 1
        read.append(recall[index] if index >= 0 else before)
    return log_average(1 - np.array(read)), read
