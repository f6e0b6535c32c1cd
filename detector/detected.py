"""What a detector finds in a picture, in NumPy: whichever engine found it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike

PART_NAMES = ("head", "torso", "legs")


@dataclass(frozen=True)
class Detected:
    """What was found in a frame, in falling order of the score.

    Quadrilaterals are in pixels, top left of the upright person first, then clockwise.

    Attributes:
        boxes: float64 (n, 4), x1 y1 x2 y2 in pixels.
        scores: float64 (n,).
        lean: float64 (n,), degrees of the trunk from upright, clockwise in the picture, -180 to 180;
        whole: float64 (n, 4, 2), the quadrilateral of the whole person;
        parts: float64 (n, 3, 4, 2), those of `PART_NAMES`;
        seen: float64 (n, 3), how likely each part is seen, 0..1; all four None where the detector tells no pose.
        track: int64 (n,), the number of the person in this video, from 1, or -1; None where nobody is tracked.
    """

    boxes: np.ndarray
    scores: np.ndarray
    lean: np.ndarray | None = None
    whole: np.ndarray | None = None
    parts: np.ndarray | None = None
    seen: np.ndarray | None = None
    track: np.ndarray | None = None

    @classmethod
    def of(cls, output: Mapping[str, ArrayLike]) -> Detected:
        """From the model's output for one picture, arrays or tensors on the CPU."""
        names = [field.name for field in fields(cls) if field.name in output and field.name != "track"]
        return cls(**{name: np.asarray(output[name], np.float64) for name in names})

    def above(self, threshold: float) -> Detected:
        """Those with a score of at least `threshold`."""
        return self.take(np.flatnonzero(self.scores >= threshold))

    def take(self, rows: np.ndarray) -> Detected:
        """Some of them, in the order of `rows`, int (m,)."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: value[rows] for name, value in values.items() if value is not None})


def boxes_xywh(boxes: np.ndarray) -> np.ndarray:
    """float64 x y width height (n, 4) of boxes x1 y1 x2 y2 (n, 4)."""
    corners = boxes.astype(np.float64).reshape(-1, 4)
    corners[:, 2:] -= corners[:, :2]
    return corners
