"""Which detection finds which ground truth: the benchmarks' sequential rule, for a whole data set at once.

The rule (P. Dollar et al., "Pedestrian Detection: An Evaluation of the State of the Art", PAMI 2012, section
3.1, and the programs of both benchmarks): picture by picture, detections by falling score, each takes the free
evaluated ground truth that it overlaps most, if any reaches the threshold; failing that, a detection that lies
in an ignored one is dropped; what is left is a false positive.

Every ground truth prefers the better-scored detection, so this is a stable matching with one preference for
all, which has exactly one solution. It can therefore be reached in any order: all detections propose to their
best ground truth at once, each ground truth keeps its best-scored one, the others go on to their next. A few
rounds of array operations replace the loops over pictures, detections and ground truths.
"""

from __future__ import annotations

import numpy as np

FALSE_POSITIVE = -1
DROPPED = -2

# Pairs of a detection and a ground truth that are looked at in one go: few enough to stay in the cache.
_PAIRS_A_BLOCK = 1 << 14
# Upright strips of each picture in which ground truths are looked up.
_STRIPS = 64


def overlapping_pairs(
    boxes: np.ndarray, images: np.ndarray, truths: np.ndarray, truth_images: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of a detection and a ground truth of the same picture that have an area in common.

    Args:
        boxes: float64 (k, 4), detections, x y w h.
        images: int64 (k,), their pictures, from 0.
        truths: float64 (n, 4), ground truths, x y w h.
        truth_images: int64 (n,), their pictures, from 0.

    Returns:
        rows of the detections, rising, and of the ground truths, both int64 (p,); intersections float64 (p,), all
        positive.
    """
    if not len(boxes) or not len(truths):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    order, first, counts = _windows(boxes, images, truths, truth_images)
    # Columns, and the far edges: x + w exactly as the official programs form it.
    x, y, right, bottom = _edges(boxes)
    truth_x, truth_y, truth_right, truth_bottom = _edges(truths[order])

    ends = np.cumsum(counts)
    blocks = []
    start, stop = 0, 0
    while stop < len(boxes):
        start, done = stop, int(ends[stop] - counts[stop])
        stop = max(start + 1, int(np.searchsorted(ends, done + _PAIRS_A_BLOCK, side="right")))
        block, repeats = slice(start, stop), counts[start:stop]
        truth = np.arange(ends[stop - 1] - done)
        truth += np.repeat(first[block] - (ends[block] - repeats - done), repeats)
        width = np.minimum(np.repeat(right[block], repeats), truth_right[truth])
        width -= np.maximum(np.repeat(x[block], repeats), truth_x[truth])
        near = np.flatnonzero(width > 0)
        detection = np.repeat(np.arange(start, stop), repeats)[near]
        truth, width = truth[near], width[near]
        height = np.minimum(bottom[detection], truth_bottom[truth]) - np.maximum(y[detection], truth_y[truth])
        near = np.flatnonzero(height > 0)
        blocks.append((detection[near], order[truth[near]], width[near] * height[near]))
    if len(blocks) == 1:
        return blocks[0]
    detections, pair_truths, intersections = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return detections, pair_truths, intersections


def _windows(
    boxes: np.ndarray, images: np.ndarray, truths: np.ndarray, truth_images: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ground truths that may reach a detection from the left or right: a window in an order by picture and x.

    A detection is met by none that begins right of it, nor by one that begins further left of it than the widest
    of the picture reaches. Each picture is cut into upright strips; a window begins and ends with a strip.

    Returns:
        order of the ground truths, int64 (n,); each detection's first place in it and the number of places,
        int64 (k,).
    """
    pictures = int(max(images.max(), truth_images.max())) + 1
    left = truths[:, 0].min()
    strip = (truths[:, 0].max() - left) / _STRIPS or 1.0
    widest = np.zeros(pictures)
    np.maximum.at(widest, truth_images, truths[:, 2])

    def strip_of(x: np.ndarray, picture: np.ndarray) -> np.ndarray:
        return np.clip((x - left) / strip, 0, _STRIPS - 1).astype(np.int64) + picture * _STRIPS

    strips = strip_of(truths[:, 0], truth_images)
    order = np.argsort(strips, kind="stable")
    places = np.zeros(pictures * _STRIPS + 1, np.int64)
    np.cumsum(np.bincount(strips, minlength=pictures * _STRIPS), out=places[1:])
    # One pixel more takes up the rounding of the subtraction.
    first = places[strip_of(boxes[:, 0] - widest[images] - 1, images)]
    last = places[strip_of(boxes[:, 0] + boxes[:, 2], images) + 1]
    return order, first, np.maximum(last - first, 0)


def _edges(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return boxes[:, 0].copy(), boxes[:, 1].copy(), boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]


def match(
    boxes: np.ndarray,
    images: np.ndarray,
    truths: np.ndarray,
    truth_images: np.ndarray,
    *,
    kept: np.ndarray,
    evaluated: np.ndarray,
    thresholds: np.ndarray,
    evaluated_truths: np.ndarray | None = None,
) -> np.ndarray:
    """Match detections with ground truths, for several subsets at once.

    Args:
        boxes: float64 (k, 4), detections x y w h, sorted by picture and, in a picture, by falling score.
        images: int64 (k,), their pictures.
        truths: float64 (n, 4), ground truths x y w h, sorted by picture and, in a picture, as in the file.
        truth_images: int64 (n,), their pictures.
        kept: bool (s, k), the detections that take part in each subset.
        evaluated: bool (s, n), the ground truths to be found in each subset; the others are ignored ones.
        thresholds: float64 (s,), the least overlap of a match; an overlap equal to it matches.
        evaluated_truths: float64 (n, 4), the boxes that stand for the evaluated ground truths where they are
            not `truths`; the ignored ones always count as they are in `truths`.

    Returns:
        int64 (s, k): the row of the ground truth that each detection found, or FALSE_POSITIVE, or DROPPED for
        a detection of an ignored ground truth; detections that are not kept are DROPPED.
    """
    areas = boxes[:, 2] * boxes[:, 3]
    detection, truth, intersection = overlapping_pairs(boxes, images, truths, truth_images)
    inside = intersection / areas[detection]
    ignored_pairs = detection, truth, inside
    if evaluated_truths is None:
        evaluated_truths = truths
    else:
        detection, truth, intersection = overlapping_pairs(boxes, images, evaluated_truths, truth_images)
    truth_areas = evaluated_truths[:, 2] * evaluated_truths[:, 3]
    overlap = intersection / (areas[detection] + truth_areas[truth] - intersection)
    evaluated_pairs = _by_preference(detection, truth, overlap, thresholds.min())

    found = np.where(kept, FALSE_POSITIVE, DROPPED)
    proposals = _take(evaluated_pairs, kept, evaluated, thresholds)
    rows, columns = _propose(*proposals, size=evaluated.size)
    found.reshape(-1)[rows] = columns % len(truths)

    least = np.flatnonzero(ignored_pairs[2] >= thresholds.min())
    rows, _ = _take(tuple(part[least] for part in ignored_pairs), kept, ~evaluated, thresholds)
    rows = rows[found.reshape(-1)[rows] == FALSE_POSITIVE]
    found.reshape(-1)[rows] = DROPPED
    return found


def _by_preference(
    detection: np.ndarray, truth: np.ndarray, overlap: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of at least that overlap, each detection's best first; of equal overlaps the later truth first."""
    enough = np.flatnonzero(overlap >= least)
    detection, truth, overlap = detection[enough], truth[enough], overlap[enough]
    same = detection[1:] == detection[:-1]
    choosers = np.flatnonzero(np.append(same, False) | np.append(False, same))  # with more than one candidate
    order = np.arange(len(detection))
    order[choosers] = choosers[np.lexsort((-truth[choosers], -overlap[choosers], detection[choosers]))]
    return detection[order], truth[order], overlap[order]


def _take(
    pairs: tuple[np.ndarray, ...], kept: np.ndarray, wanted: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of each subset, as flat indices into (s, k) and (s, n), in the order of `pairs`."""
    detection, truth, overlap = pairs
    rows, columns = [], []
    for subset, threshold in enumerate(thresholds):
        chosen = kept[subset][detection] & wanted[subset][truth]
        chosen &= overlap >= threshold
        index = np.flatnonzero(chosen)
        rows.append(detection[index] + subset * kept.shape[1])
        columns.append(truth[index] + subset * wanted.shape[1])
    return np.concatenate(rows), np.concatenate(columns)


def _propose(proposer: np.ndarray, target: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Deferred acceptance where every target prefers the lowest proposer.

    Args:
        proposer: int64 (p,), rising; each one's pairs stand in the order of its preference.
        target: int64 (p,), in 0..size.

    Returns:
        the matched proposers and their targets.
    """
    starts = np.flatnonzero(np.diff(proposer, prepend=-1))
    names = proposer[starts]
    ends = np.append(starts[1:], len(proposer))
    cursor = starts.copy()
    nobody = len(names)
    holder = np.full(size, nobody)
    active = np.arange(len(names))
    while len(active):
        wanted = target[cursor[active]]
        before = holder[wanted]
        np.minimum.at(holder, wanted, active)
        won = holder[wanted] == active
        displaced = before[won]
        active = np.concatenate([active[~won], displaced[displaced < nobody]])
        cursor[active] += 1
        active = active[cursor[active] < ends[active]]
    taken = np.flatnonzero(holder < nobody)
    return names[holder[taken]], taken
