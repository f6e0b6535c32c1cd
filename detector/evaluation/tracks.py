"""How well tracks hold people, by `motmetrics` (extra `test`), and how well crossings of lines are counted.

IDF1 is of Ristani et al. 2016, MOTA of Bernardin and Stiefelhagen 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

LEAST_OVERLAP = 0.5  # of a box with that of a person, to be the same
MEASURES = ("idf1", "mota", "num_switches", "num_false_positives", "num_misses", "num_objects", "num_unique_objects")


class TrackScore:
    """Compares tracks with people frame by frame, over one or more videos.

    Raises:
        ModuleNotFoundError: `motmetrics` is not installed.
    """

    def __init__(self) -> None:
        import motmetrics

        self._library = motmetrics
        self._videos: list[motmetrics.MOTAccumulator] = []

    def begin(self) -> None:
        """Before each video."""
        self._videos.append(self._library.MOTAccumulator(auto_id=True))

    def add(
        self, people: np.ndarray, names: np.ndarray, ignored: np.ndarray, boxes: np.ndarray, tracks: np.ndarray
    ) -> None:
        """Compare a frame.

        Args:
            people: float (p, 4), x1 y1 x2 y2, of those who are to be tracked, and
            names: int (p,), who they are.
            ignored: float (k, 4), of those who count neither way: a track that is on one of them and on nobody else
                is left out.
            boxes: float (n, 4), and
            tracks: int (n,), what was tracked.
        """
        near = overlaps(people, boxes)
        hits = near >= LEAST_OVERLAP
        counted = hits.any(axis=0) | ~(overlaps(ignored, boxes) >= LEAST_OVERLAP).any(axis=0)
        distances = np.where(hits, 1 - near, np.nan)[:, counted]
        self._videos[-1].update(names.tolist(), tracks[counted].tolist(), distances)

    def figures(self) -> dict[str, float]:
        """`MEASURES` over all videos."""
        compute = self._library.metrics.create().compute_many
        table = compute(self._videos, metrics=list(MEASURES), generate_overall=True)
        return {name: float(table.loc["OVERALL", name]) for name in MEASURES}


def overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union (m, n) of boxes x1 y1 x2 y2 (m, 4) and (n, 4)."""
    one, other = one.astype(np.float64).reshape(-1, 1, 4), other.astype(np.float64).reshape(1, -1, 4)
    sides = np.clip(np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2]), 0, None)
    common = sides.prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (one, other)]
    return common / np.maximum(areas[0] + areas[1] - common, 1e-9)


@dataclass(frozen=True)
class Crossing:
    """Of a line: when, and over which line in which direction; `counts` False where it need not be noticed."""

    seconds: float
    way: str
    counts: bool = True


def compare_crossings(true: Sequence[Crossing], seen: Sequence[Crossing], within: float) -> tuple[int, int, int]:
    """How many crossings there are and how many were counted.

    Each that was seen goes with at most one true one of its way within some seconds, as many as possible; those that
    go with one that need not be noticed are left out.

    Returns:
        true crossings that count, seen ones that count, and how many of both go together.
    """
    near = np.array(
        [[a.way == b.way and abs(a.seconds - b.seconds) <= within for b in seen] for a in true], np.float64
    ).reshape(len(true), len(seen))
    # Those that count first, then the nearer in time.
    worth = np.array([[near[i, j] * (1 + true[i].counts) for j in range(len(seen))] for i in range(len(true))])
    rows, columns = linear_sum_assignment(worth.reshape(near.shape), maximize=True)
    pairs = [(i, j) for i, j in zip(rows, columns, strict=True) if near[i, j]]
    left_out = sum(not true[i].counts for i, _ in pairs)
    return sum(one.counts for one in true), len(seen) - left_out, len(pairs) - left_out
