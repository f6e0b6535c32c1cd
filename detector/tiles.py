"""Small people in large pictures: overlapping tiles are searched as well as the whole picture, and joined.

Slicing as in Akyon et al. 2022, *Slicing Aided Hyper Inference and Fine-tuning for Small Object Detection*, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from upright.detector.detected import Detected
from upright.detector.engines.engine import Engine

OVERLAP = 0.25  # of a tile's side at least; whoever is smaller than that is whole in one of them
AT_EDGE = 2.0  # pixels: a box that ends so near to where a tile was cut is part of somebody
SAME = 0.5  # intersection over union of two views of one person
INSIDE = 0.8  # or so much of the smaller box in the larger one


class TiledEngine:
    """An `Engine` that lets another one search tiles of each picture besides the whole of it.

    Args:
        engine: the detector.
        side: of a tile in pixels; by default tiles have the size at which the detector looks at pictures.
    """

    def __init__(self, engine: Engine, side: int | None = None) -> None:
        self._engine = engine
        settings = engine.settings
        self._tile = (settings.min_size, settings.max_size) if side is None else (side, side)
        self.settings = settings
        self.name = f"{engine.name} in tiles of {self._tile[1]} x {self._tile[0]}"

    def detect(self, images: Sequence[np.ndarray]) -> list[Detected]:
        """As `Engine.detect`."""
        at_once = max(1, len(images))
        found = []
        for image in images:
            height, width = image.shape[:2]
            windows = tile_windows(height, width, self._tile)
            views = [image] + [np.ascontiguousarray(image[y1:y2, x1:x2]) for x1, y1, x2, y2 in windows]
            outputs: list[Detected] = []
            for start in range(0, len(views), at_once):
                outputs += self._engine.detect(views[start : start + at_once])
            parts = [outputs[0]]
            for window, output in zip(windows, outputs[1:], strict=True):
                parts.append(_shifted(_whole_ones(output, window, (height, width)), window[:2]))
            found.append(merged(parts))
        return found


def tile_windows(height: int, width: int, tile: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Where the tiles of a picture lie, x1 y1 x2 y2, all of one size; none where the picture is no larger.

    Args:
        height, width: of the picture.
        tile: height and width of a tile; a smaller picture makes it smaller.
    """
    high, wide = min(tile[0], height), min(tile[1], width)
    if (high, wide) == (height, width):
        return []
    return [(x, y, x + wide, y + high) for y in _starts(height, high) for x in _starts(width, wide)]


def _starts(length: int, tile: int) -> list[int]:
    if tile >= length:
        return [0]
    count = 1 + int(np.ceil((length - tile) / (tile * (1 - OVERLAP))))
    return [round(place) for place in np.linspace(0, length - tile, count)]


def _whole_ones(found: Detected, window: tuple[int, int, int, int], size: tuple[int, int]) -> Detected:
    """Without boxes that end where a tile was cut: a neighbour, or the whole picture, has the person whole."""
    x1, y1, x2, y2 = window
    boxes = found.boxes
    cut = np.zeros(len(boxes), bool)
    if x1 > 0:
        cut |= boxes[:, 0] <= AT_EDGE
    if y1 > 0:
        cut |= boxes[:, 1] <= AT_EDGE
    if x2 < size[1]:
        cut |= boxes[:, 2] >= x2 - x1 - AT_EDGE
    if y2 < size[0]:
        cut |= boxes[:, 3] >= y2 - y1 - AT_EDGE
    return found.take(np.flatnonzero(~cut))


def _shifted(found: Detected, corner: tuple[int, int]) -> Detected:
    """What was found in a tile, in the picture."""
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    for name in ("boxes", "proposals"):
        if values.get(name) is not None:
            values[name] = values[name] + np.array([*corner, *corner], np.float64)
    for name in ("whole", "parts"):
        if values.get(name) is not None:
            values[name] = values[name] + np.array(corner, np.float64)
    return Detected(**values)


def merged(parts: Sequence[Detected]) -> Detected:
    """Detections of several views of one picture, in falling order of the score; of one person's only the surest.

    Within a view nothing is suppressed, since the detector has done so, by its own rules.
    """
    names = [field.name for field in fields(Detected)]
    columns: dict[str, Any] = {
        name: None
        if any(getattr(part, name) is None for part in parts)
        else np.concatenate([np.asarray(getattr(part, name)) for part in parts])
        for name in names
    }
    together = Detected(**columns)
    view = np.repeat(np.arange(len(parts)), [len(part.scores) for part in parts])
    order = np.argsort(-together.scores, kind="stable")
    together, view = together.take(order), view[order]
    corners = together.boxes
    area = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    alive = np.ones(len(corners), bool)
    for row in range(len(corners)):
        if not alive[row]:
            continue
        others = row + 1 + np.flatnonzero(alive[row + 1 :] & (view[row + 1 :] != view[row]))
        low = np.maximum(corners[row, :2], corners[others, :2])
        high = np.minimum(corners[row, 2:], corners[others, 2:])
        shared = np.prod(np.clip(high - low, 0, None), axis=1)
        union = area[row] + area[others] - shared
        smaller = np.minimum(area[row], area[others])
        same = (shared > SAME * union) | (shared > INSIDE * smaller)
        alive[others[same]] = False
    return together.take(np.flatnonzero(alive))
