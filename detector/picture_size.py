"""How large a picture reaches the model."""

from __future__ import annotations

import cv2
import numpy as np

from upright.errors import InputError

MOST_PIXELS = 1 << 24  # of a picture as the model gets it; in float32 it takes 200 MB, and again that when normalised


def reduced(image: np.ndarray) -> np.ndarray:
    """A picture uint8 (H, W, 3) of at most about `MOST_PIXELS`: itself, or a smaller one."""
    height, width = image.shape[:2]
    if height * width <= MOST_PIXELS:
        return image
    scale = (MOST_PIXELS / (height * width)) ** 0.5
    return cv2.resize(
        image, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
    )


def resized_sides(height: int, width: int, min_size: int, max_size: int) -> tuple[int, int]:
    """Height and width of a picture as a model takes it: no side over `max_size`, the shorter at most `min_size`.

    In whole numbers: torchvision's product of floats is one pixel less for one size of pictures in 25, and not the same
    in every engine.

    Raises:
        InputError: less than one pixel would be left of a side.
    """
    shorter, longer = min(height, width), max(height, width)
    sides = [min(side * min_size // shorter, side * max_size // longer) for side in (height, width)]
    if min(sides) < 1:
        raise InputError(
            f"{width} x {height} pixels are too thin: made {max_size} long, as the model takes them, less "
            "than one pixel would be left of the other side"
        )
    return sides[0], sides[1]


def refuse_thin(width: int, height: int, *, min_size: int, max_size: int) -> None:
    """Check that a picture can be made as small as the detector takes it; see `resized_sides`."""
    resized_sides(height, width, min_size, max_size)
