"""Simple shapes and paints that street furniture is made of; lengths in metres."""

from __future__ import annotations

from math import pi

import numpy as np

from upright.datasets.synthetic.drawing.canvas import Canvas, Colour

PAINTS = (
    *((30, 32, 36), (70, 72, 76), (120, 122, 126), (170, 172, 176), (224, 224, 224), (236, 236, 232)),
    *((40, 60, 100), (130, 30, 34), (60, 80, 70), (150, 130, 100), (90, 130, 170), (190, 160, 50)),
)


def points(*pairs: tuple[float, float]) -> np.ndarray:
    """Points (n, 2) right, up."""
    return np.array(pairs, np.float64)


def post(canvas: Canvas, x: float, low: float, high: float, half: float, colour: Colour) -> None:
    """An upright round post."""
    canvas.tube(points((x, low), (x, high)), np.array((half, half)), colour, body=False, round_ends=False, strips=5)


def block(canvas: Canvas, x1: float, y1: float, x2: float, y2: float, colour: Colour, light: float = 1.0) -> None:
    """A rectangle from (x1, y1) to (x2, y2)."""
    canvas.polygon(points((x1, y1), (x2, y1), (x2, y2), (x1, y2)), colour, light, body=False)


def disc(x: float, y: float, radius: float, corners: int = 24) -> np.ndarray:
    """Points on a circle."""
    angles = np.arange(corners) * 2 * pi / corners
    return np.stack((x + radius * np.cos(angles), y + radius * np.sin(angles)), axis=1)
