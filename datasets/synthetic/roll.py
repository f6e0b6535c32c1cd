"""A camera that is rolled about its line of sight: picture, masks and joints, turned about the picture's centre."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, cos, hypot, radians, sin

import cv2
import numpy as np

from upright.datasets.synthetic.street.view import View


def widened(view: View) -> View:
    """The same camera with a larger picture about the same centre, which covers the old picture at every roll."""
    width, height = view.size
    diagonal = ceil(hypot(width, height)) + 2
    across, down = ceil((diagonal - width) / 2), ceil((diagonal - height) / 2)
    size = (width + 2 * across, height + 2 * down)
    return replace(view, size=size, cx=view.cx + across, horizon=view.horizon + down)


@dataclass(frozen=True)
class Roll:
    """A turn of what is drawn in a wide picture, seen in a smaller one about the same centre.

    Attributes:
        degrees: of the turn of the content, clockwise; the camera itself is rolled the other way.
        wide: width and height of the picture that is drawn, of `widened`.
        size: width and height of the picture that is seen.
    """

    degrees: float
    wide: tuple[int, int]
    size: tuple[int, int]

    @property
    def matrix(self) -> np.ndarray:
        """(2, 3), affine, from the wide picture to the one that is seen, in the frame of boxes and joints."""
        c, s = cos(radians(self.degrees)), sin(radians(self.degrees))
        linear = np.array(((c, -s), (s, c)))
        shift = np.array(self.size) / 2 - linear @ np.array(self.wide) / 2
        return np.concatenate([linear, shift[:, None]], axis=1)

    def picture(self, image: np.ndarray) -> np.ndarray:
        """The picture that is seen, of the wide one. uint8 (H, W, 3)."""
        return cv2.warpAffine(image, _of_pixels(self.matrix), self.size, flags=cv2.INTER_CUBIC)

    def marks(self, owner: np.ndarray) -> np.ndarray:
        """The same of a map of whole numbers: each pixel has that of the nearest of the wide one. int16 (H, W)."""
        # OpenCV 4.13 takes the nearest pixel of int16 from wrong places; of uint16 it does not.
        unsigned = owner.view(np.uint16)
        return cv2.warpAffine(unsigned, _of_pixels(self.matrix), self.size, flags=cv2.INTER_NEAREST).view(np.int16)

    def mask(self, mask: np.ndarray, left: int, top: int) -> tuple[np.ndarray, int, int]:
        """One person's mask with its place in the wide picture; whole, also where it leaves the one that is seen.

        Args:
            mask: bool (h, w).
            left, top: the pixel of the wide picture of its first column and row.

        Returns:
            bool (h', w'), and the pixel of the picture that is seen of its first column and row.
        """
        h, w = mask.shape
        corners = np.array(((left, top), (left + w, top), (left, top + h), (left + w, top + h)))
        moved = corners @ self.matrix[:, :2].T + self.matrix[:, 2]
        low = np.floor(moved.min(axis=0)).astype(int) - 1
        high = np.ceil(moved.max(axis=0)).astype(int) + 1
        matrix = self.matrix
        matrix[:, 2] += matrix[:, :2] @ (left, top) - low
        size = (int(high[0] - low[0]), int(high[1] - low[1]))
        turned = cv2.warpAffine(mask.view(np.uint8), _of_pixels(matrix), size, flags=cv2.INTER_NEAREST)
        return turned.astype(bool), int(low[0]), int(low[1])


def _of_pixels(matrix: np.ndarray) -> np.ndarray:
    """The same move for OpenCV, which counts from the middle of the first pixel."""
    shift = matrix[:, 2] + matrix[:, :2] @ (0.5, 0.5) - 0.5
    return np.concatenate([matrix[:, :2], shift[:, None]], axis=1)
