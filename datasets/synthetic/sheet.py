"""Contact sheets: many pictures of a data set on one, with or without their boxes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from upright.datasets.sample import PedestrianDataset, Sample


def draw_boxes(sample: Sample) -> np.ndarray:
    """The picture with full boxes (green; grey for ignore regions) and visible boxes (yellow). uint8 (H, W, 3)."""
    image = sample.image.copy()
    for box, seen, ignore in zip(sample.boxes, sample.visible, sample.ignore, strict=True):
        for edges, colour in ((seen, (240, 220, 60)), (box, (150, 150, 150) if ignore else (60, 220, 80))):
            x1, y1, x2, y2 = (round(float(v)) for v in edges)
            cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), colour, 1)
    return image


def contact_sheet(
    dataset: PedestrianDataset, indices: Sequence[int], columns: int = 4, width: int = 320, *, boxes: bool = False
) -> np.ndarray:
    """Pictures side by side, each `width` pixels wide. uint8 (H, W, 3), RGB."""
    tiles = []
    for index in indices:
        sample = dataset[index]
        image = draw_boxes(sample) if boxes else sample.image
        height = round(image.shape[0] * width / image.shape[1])
        tiles.append(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    tallest = max(tile.shape[0] for tile in tiles)
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * tallest, columns * width, 3), 255, np.uint8)
    for k, tile in enumerate(tiles):
        y, x = (k // columns) * tallest, (k % columns) * width
        sheet[y : y + tile.shape[0], x : x + width] = tile
    return sheet
