"""The outlines of people: polygons that make the boxes of a turned picture exact.

A column of outlines is an object array (n,), so that rows are chosen as in every other column. Each element is a tuple
of polygons float32 (k, 2), x and y in pixels in the frame of the boxes; empty where no outline is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Polygons = tuple[np.ndarray, ...]
LEAST_OVERLAP = 0.5  # with its own box; an outline that overlaps it less belongs to something else


def outline_column(people: Iterable[Sequence[np.ndarray]]) -> np.ndarray:
    """A column of the polygons of each person. object (n,)."""
    rows = [tuple(np.asarray(polygon, np.float32) for polygon in polygons) for polygons in people]
    column = np.empty(len(rows), object)
    for row, polygons in enumerate(rows):
        column[row] = polygons
    return column


def no_outlines(n: int) -> np.ndarray:
    """The outlines of n people of whom none is known. object (n,)."""
    column = np.empty(n, object)
    column.fill(())
    return column


def has_outline(outlines: np.ndarray) -> np.ndarray:
    """bool (n,): whose outline is known."""
    return np.array([len(polygons) > 0 for polygons in outlines], bool)


def moved_outlines(outlines: np.ndarray, matrix: np.ndarray, width: int, height: int) -> np.ndarray:
    """Outlines in a picture that was turned, scaled, cropped or mirrored; what left it is laid on its border.

    Args:
        outlines: object (n,).
        matrix: (2, 3), affine, from the old picture to the new.
        width, height: of the new picture.
    """
    limit = (width, height)
    return outline_column(
        [np.clip(polygon @ matrix[:, :2].T + matrix[:, 2], 0, limit) for polygon in polygons] for polygons in outlines
    )


def outline_box(polygons: Polygons, matrix: np.ndarray | None = None) -> np.ndarray:
    """The box x1 y1 x2 y2 of one person's polygons, moved by an affine matrix (2, 3) where one is given. float64."""
    points = np.concatenate(polygons).astype(np.float64)
    if matrix is not None:
        points = points @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def coco_outlines(segmentations: Sequence[Any], boxes: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, int]:
    """A column of outlines from the `segmentation` of COCO JSON; what cannot be used counts as not known.

    Args:
        segmentations: of each person, a list of polygons [x, y, x, y, ...], or None or an empty list without any.
        boxes: (n, 4), x y w h.
        sizes: (n, 2), width and height of each person's picture, 0 where not known; points outside are laid on its
            border, as boxes are clipped.

    Returns:
        object (n,); and of how many people there is something else: a run-length mask, numbers that make no polygon or
        are not finite, or polygons whose box overlaps the person's own by less than `LEAST_OVERLAP`.
    """
    column = no_outlines(len(segmentations))
    refused = 0
    for row, segmentation in enumerate(segmentations):
        if not segmentation:
            continue
        polygons = _polygons(segmentation, np.where(sizes[row] > 0, sizes[row], np.inf))
        if polygons and _overlap(outline_box(polygons), boxes[row]) >= LEAST_OVERLAP:
            column[row] = polygons
        else:
            refused += 1
    return column, refused


def _polygons(segmentation: Any, size: np.ndarray) -> Polygons:
    """The polygons, or none where one of them is no polygon."""
    if not isinstance(segmentation, list):
        return ()
    polygons = []
    for values in segmentation:
        try:
            points = np.array(values, np.float64).reshape(-1, 2)
        except (TypeError, ValueError, OverflowError):
            return ()
        if len(points) < 3 or not np.isfinite(points).all():
            return ()
        polygons.append(np.clip(points, 0, size).astype(np.float32))
    return tuple(polygons)


def _overlap(corners: np.ndarray, box: np.ndarray) -> float:
    """Intersection over union of x1 y1 x2 y2 and x y w h."""
    end = box[:2] + box[2:]
    sides = np.clip(np.minimum(corners[2:], end) - np.maximum(corners[:2], box[:2]), 0, None)
    shared = float(sides.prod())
    return shared / max(float((corners[2:] - corners[:2]).prod() + box[2:].prod()) - shared, 1e-9)
