"""What climbers climb on: a ladder, or a wall with holds. Never part of the person's box."""

from __future__ import annotations

import numpy as np

from upright.datasets.synthetic.drawing.canvas import Canvas
from upright.datasets.synthetic.figure.skeleton import Skeleton

_BEFORE = 0.32  # metres from the trunk to the ladder or wall
_STEP = 0.29  # metres from rung to rung


def climb_corners(skeleton: Skeleton) -> np.ndarray:
    """Feet (first two) and top (last two) of the ladder or wall in the picture's frame. (4, 3)"""
    figure = skeleton.figure
    half = 0.24 if figure.seat == "ladder" else 0.8
    low = skeleton.ground - figure.raised
    high = skeleton.ground + 1.45 * figure.look.body.stature
    return skeleton.place(np.array([(i * half, up, _BEFORE) for up in (low, high) for i in (-1, 1)]))


def draw_climb(skeleton: Skeleton, canvas: Canvas) -> None:
    """Draw it, behind the climber."""
    one, other, top_one, top_other = climb_corners(skeleton)
    up, across = top_one - one, other - one
    steps = np.arange(1, int(np.hypot(*up[:2]) / _STEP)) * _STEP / np.hypot(*up[:2])
    if skeleton.figure.seat == "ladder":
        for foot in (one, other):
            canvas.line(np.array((foot, foot + up)), 0.06, (150, 146, 140))
        for part in steps:
            canvas.line(np.array((one + part * up, other + part * up)), 0.035, (170, 166, 160))
        return
    canvas.polygon(np.array((one, other, top_other, top_one)), (146, 138, 126), 0.85, body=False)
    for number, part in enumerate(steps):
        # Holds to the left and right in turn, by no rule that the eye sees.
        place = one + (0.5 + 0.38 * np.sin(2.4 * number)) * across + part * up
        canvas.blob(place[:2], np.array((0.0, 1.0)), 0.06, 0.04, skeleton.figure.look.bag_colour, body=False)
