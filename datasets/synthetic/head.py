"""The head: face, hair, hats."""

from __future__ import annotations

from math import cos, radians, sin
from typing import TYPE_CHECKING

import numpy as np

from datasets.synthetic.canvas import Canvas

if TYPE_CHECKING:
    from datasets.synthetic.figure import Skeleton


def draw_head(skeleton: Skeleton, canvas: Canvas) -> None:
    """Draw hair behind, skull, face and what is worn on top."""
    figure = skeleton.figure
    look = figure.look
    turn = radians(figure.yaw)
    facing, sideways = cos(turn), sin(turn)
    chin, crown = skeleton["chin"][:2], skeleton["crown"][:2]
    axis = crown - chin
    length = max(float(np.hypot(*axis)), 1e-3)
    axis = axis / length
    across = np.array((axis[1], -axis[0]))
    size = look.body.head
    length = max(length, 0.75 * size)
    centre = 0.5 * (chin + crown)
    half_width = size * float(np.sqrt((0.36 * facing) ** 2 + (0.43 * sideways) ** 2))
    half_length = 0.52 * length
    canvas.keep_smooth(centre, 0.5 * length)
    covered = look.hat in ("beanie", "hood", "helmet")
    hair = look.hair_colour

    if look.hair == "long" and facing > -0.2:
        _long_hair(skeleton, canvas, across, half_width, sideways)
    if look.hat == "hood":
        canvas.blob(centre + axis * 0.02 * size, axis, half_width * 1.22, half_length * 1.12, look.top)
    elif look.hair != "bald":
        canvas.blob(
            centre + axis * 0.05 * size - across * sideways * 0.05 * size,
            axis,
            half_width * 1.06,
            half_length * 1.02,
            hair,
        )
    else:
        canvas.blob(centre, axis, half_width, half_length, look.skin)
    if facing > -0.55:
        # The face turns with the head: it slides towards the side and grows narrow.
        shift = across * sideways * 0.17 * size
        face_half = size * (0.31 * max(0.0, facing) + 0.27 * abs(sideways) ** 2 + 0.05)
        face_half = min(face_half, half_width * 0.92)
        face = centre + shift - axis * 0.09 * size
        canvas.blob(face, axis, face_half, half_length * 0.84, look.skin)
        _features(skeleton, canvas, face, axis, across, size, facing, sideways)
    elif look.hair in ("short", "bald"):
        canvas.blob(centre - axis * 0.43 * size, axis, half_width * 0.55, 0.12 * size, look.skin)
    if look.hair == "long" and facing <= -0.2:
        _long_hair(skeleton, canvas, across, half_width, sideways)
    if look.hair == "bun":
        canvas.blob(crown - across * sideways * 0.3 * size, axis, 0.16 * size, 0.14 * size, hair)
    if look.hair == "tail" and facing < 0.6:
        root = centre + axis * 0.2 * size - across * sideways * 0.42 * size
        tail = np.array((root, root - axis * 0.35 * size - across * sideways * 0.12 * size, root - axis * 0.85 * size))
        canvas.tube(tail, np.array((0.08, 0.1, 0.05)) * size, hair, strips=3)
    if look.hat == "beanie" or look.hat == "helmet":
        top = centre + axis * 0.27 * size
        canvas.blob(top, axis, half_width * 1.12, half_length * (0.62 if covered else 0.5), look.hat_colour)
    elif look.hat in ("cap", "brim"):
        top = centre + axis * 0.33 * size
        canvas.blob(top, axis, half_width * 1.06, half_length * 0.46, look.hat_colour)
        reach = 0.75 if look.hat == "brim" else 0.0
        one = top - axis * 0.06 * size - across * size * (0.42 + reach * 0.3)
        other = top - axis * 0.06 * size + across * size * (0.42 + reach * 0.3)
        if look.hat == "cap":
            other = other + across * sideways * 0.32 * size if sideways > 0 else other
            one = one + across * sideways * 0.32 * size if sideways < 0 else one
        canvas.tube(np.array((one, other)), np.array((0.04, 0.04)) * size, look.hat_colour, strips=2, rim=0.004)


def _long_hair(skeleton: Skeleton, canvas: Canvas, across: np.ndarray, half_width: float, sideways: float) -> None:
    look = skeleton.figure.look
    back = -across * sideways * 0.12 * look.body.head
    head, neck, chest = skeleton["head"][:2], skeleton["neck"][:2], skeleton["chest"][:2]
    end = neck + 0.35 * (chest - neck)
    stations = np.array((head + back, neck + back, end + back * 1.4))
    canvas.tube(stations, half_width * np.array((1.08, 1.15, 0.95)), look.hair_colour, strips=5)


def _features(
    skeleton: Skeleton,
    canvas: Canvas,
    face: np.ndarray,
    axis: np.ndarray,
    across: np.ndarray,
    size: float,
    facing: float,
    sideways: float,
) -> None:
    """Eyes, brows, nose, mouth and beard, where the head is large enough to show them."""
    look = skeleton.figure.look
    if not canvas.coloured or size * canvas.scale < 9 or look.faceless:
        return
    dark = tuple(int(c * 0.35) for c in look.skin)
    lips = (int(look.skin[0] * 0.82), int(look.skin[1] * 0.6), int(look.skin[2] * 0.6))
    if look.beard:
        jaw = face - axis * 0.25 * size
        angles = np.linspace(0, np.pi, 9)
        ring = (
            jaw
            + np.cos(angles)[:, None] * across * 0.28 * size * max(0.6, facing)
            - np.sin(angles)[:, None] * axis * 0.2 * size
        )
        canvas.paint(ring, look.hair_colour)
    for eye in (-1, 1):
        place = 0.14 * eye * max(0.0, facing) + 0.15 * sideways
        if abs(0.14 * eye * facing + 0.3 * sideways) > 0.42:
            continue
        spot = face + across * place * size + axis * 0.12 * size
        width = 0.055 * size * max(0.45, facing)
        canvas.paint(_box(spot, across, axis, width, 0.022 * size), dark)
        canvas.paint(_box(spot + axis * 0.07 * size, across, axis, width * 1.25, 0.014 * size), look.hair_colour)
    nose = face + across * sideways * 0.24 * size - axis * 0.04 * size
    canvas.crease(np.array((nose + axis * 0.08 * size, nose - axis * 0.03 * size)), 0.03 * size, 0.8)
    mouth = face + across * sideways * 0.17 * size - axis * 0.2 * size
    canvas.paint(_box(mouth, across, axis, 0.09 * size * max(0.5, facing), 0.02 * size), lips)


def _box(centre: np.ndarray, across: np.ndarray, axis: np.ndarray, half_width: float, half_height: float) -> np.ndarray:
    a, b = across * half_width, axis * half_height
    return np.array((centre - a - b, centre + a - b, centre + a + b, centre - a + b))
