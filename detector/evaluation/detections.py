"""Detections of a whole data set in columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Detections:
    """Persons that a detector found, in the order of its file: equal scores are ranked by that order.

    Attributes:
        image_index: int64 (k,), the row of `annotations.image_ids` that each one belongs to.
        boxes: float64 (k, 4), x y width height in pixels.
        scores: float64 (k,), higher is surer.
    """

    image_index: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)
