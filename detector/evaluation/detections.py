"""Detections of a whole data set in columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from upright.detector.pose_entries import PoseColumns


@dataclass(frozen=True)
class Detections:
    """Persons that a detector found, in the order of its file: equal scores are ranked by that order.

    Attributes:
        image_index: int64 (k,), the row of `annotations.image_ids` that each one belongs to.
        boxes: float64 (k, 4), x y width height in pixels.
        scores: float64 (k,), higher is surer.
        pose: how each one stands, or None where the detector does not tell.
    """

    image_index: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    pose: PoseColumns | None = None

    def __len__(self) -> int:
        return len(self.scores)
