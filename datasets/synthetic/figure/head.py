"""The head: hair, face, hats."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np

from upright.datasets.synthetic.drawing.canvas import Canvas
from upright.datasets.synthetic.drawing.palette import shaded
from upright.datasets.synthetic.figure.look import Look
from upright.datasets.synthetic.figure.skeleton import Skeleton


@dataclass(frozen=True)
class Frame:
    """Where the head is and how it is turned; lengths below are shares of `size`, the head's height.

    Attributes:
        centre: middle of the skull (right, up) in metres.
        axis: unit vector from chin to crown.
        across: unit vector to the right of it.
        size: metres from chin to crown.
        half_length, half_width: half axes of the skull as seen, in metres.
        facing: 1 towards the camera, -1 away.
        sideways: 1 to the picture's right, -1 to the left.
    """

    centre: np.ndarray
    axis: np.ndarray
    across: np.ndarray
    size: float
    half_length: float
    half_width: float
    facing: float
    sideways: float

    def at(self, right: float, up: float) -> np.ndarray:
        """A point of the head, from its centre."""
        return self.centre + (self.across * right + self.axis * up) * self.size


def _frame(skeleton: Skeleton) -> Frame:
    turn = radians(skeleton.figure.yaw)
    facing, sideways = cos(turn), sin(turn)
    chin, crown = skeleton["chin"][:2], skeleton["crown"][:2]
    length = max(float(np.hypot(*(crown - chin))), 1e-3)
    axis = (crown - chin) / length
    size = skeleton.figure.look.body.head
    return Frame(
        centre=0.5 * (chin + crown),
        axis=axis,
        across=np.array((axis[1], -axis[0])),
        size=size,
        half_length=0.52 * max(length, 0.75 * size),
        half_width=size * float(np.hypot(0.36 * facing, 0.43 * sideways)),
        facing=facing,
        sideways=sideways,
    )


def draw_head(skeleton: Skeleton, canvas: Canvas) -> None:
    """Draw the hair that hangs behind, the skull, the face, and what is worn on top."""
    look = skeleton.figure.look
    frame = _frame(skeleton)
    canvas.keep_smooth(frame.centre, frame.half_length)
    behind = frame.facing > -0.2
    if look.hair == "long" and behind:
        _long_hair(skeleton, canvas, frame)
    _skull(canvas, look, frame)
    if frame.facing > -0.55:
        _face(canvas, look, frame)
    elif look.hair in ("short", "bald"):
        canvas.blob(frame.at(0, -0.43), frame.axis, frame.half_width * 0.55, 0.12 * frame.size, look.skin)
    if look.hair == "long" and not behind:
        _long_hair(skeleton, canvas, frame)
    _tied_hair(canvas, look, frame)
    _hat(canvas, look, frame)


def _skull(canvas: Canvas, look: Look, frame: Frame) -> None:
    if look.hat == "hood":
        canvas.blob(frame.at(0, 0.02), frame.axis, frame.half_width * 1.22, frame.half_length * 1.12, look.top)
    elif look.hair == "bald":
        canvas.blob(frame.centre, frame.axis, frame.half_width, frame.half_length, look.skin)
    else:
        back = frame.at(-0.05 * frame.sideways, 0.05)
        canvas.blob(back, frame.axis, frame.half_width * 1.06, frame.half_length * 1.02, look.hair_colour)


def _long_hair(skeleton: Skeleton, canvas: Canvas, frame: Frame) -> None:
    back = -frame.across * frame.sideways * 0.12 * frame.size
    head, neck, chest = skeleton["head"][:2], skeleton["neck"][:2], skeleton["chest"][:2]
    stations = np.array((head + back, neck + back, neck + 0.35 * (chest - neck) + back * 1.4))
    widths = frame.half_width * np.array((1.08, 1.15, 0.95))
    canvas.tube(stations, widths, skeleton.figure.look.hair_colour, strips=5)


def _tied_hair(canvas: Canvas, look: Look, frame: Frame) -> None:
    back = -frame.sideways
    if look.hair == "bun":
        place = frame.at(0.3 * back, 0.5)
        canvas.blob(place, frame.axis, 0.16 * frame.size, 0.14 * frame.size, look.hair_colour)
    elif look.hair == "tail" and frame.facing < 0.6:
        tail = np.array((frame.at(0.42 * back, 0.2), frame.at(0.54 * back, -0.15), frame.at(0.42 * back, -0.65)))
        canvas.tube(tail, np.array((0.08, 0.1, 0.05)) * frame.size, look.hair_colour, strips=3)


def _hat(canvas: Canvas, look: Look, frame: Frame) -> None:
    if look.hat in ("beanie", "helmet"):
        canvas.blob(frame.at(0, 0.27), frame.axis, frame.half_width * 1.12, frame.half_length * 0.62, look.hat_colour)
    elif look.hat in ("cap", "brim"):
        canvas.blob(frame.at(0, 0.33), frame.axis, frame.half_width * 1.06, frame.half_length * 0.46, look.hat_colour)
        left, right = (-0.42, 0.42) if look.hat == "cap" else (-0.64, 0.64)
        if look.hat == "cap":
            # The peak points where the face does.
            left, right = left + 0.32 * min(0.0, frame.sideways), right + 0.32 * max(0.0, frame.sideways)
        rim = np.array((frame.at(left, 0.27), frame.at(right, 0.27)))
        canvas.tube(rim, np.array((0.04, 0.04)) * frame.size, look.hat_colour, strips=2, rim=0.004)


def _face(canvas: Canvas, look: Look, frame: Frame) -> None:
    """The face turns with the head: it slides to the side and grows narrow."""
    half = frame.size * (0.31 * max(0.0, frame.facing) + 0.27 * frame.sideways**2 + 0.05)
    half = min(half, frame.half_width * 0.92)
    canvas.blob(frame.at(0.17 * frame.sideways, -0.09), frame.axis, half, frame.half_length * 0.84, look.skin)
    if canvas.coloured and frame.size * canvas.scale >= 9 and not look.faceless:
        _features(canvas, look, frame)


def _features(canvas: Canvas, look: Look, frame: Frame) -> None:
    """Eyes, brows, nose, mouth and beard."""
    front, sideways = max(0.0, frame.facing), frame.sideways
    middle = 0.17 * sideways
    if look.beard:
        angles = np.linspace(0, np.pi, 9)
        rights, ups = middle + 0.28 * max(0.6, front) * np.cos(angles), -0.34 - 0.2 * np.sin(angles)
        ring = np.array([frame.at(r, u) for r, u in zip(rights.tolist(), ups.tolist(), strict=True)])
        canvas.paint(ring, look.hair_colour)
    dark = shaded(look.skin, 0.35)
    width = max(0.45, front)
    for eye in (-0.14, 0.14):
        if abs(eye * front + 0.3 * sideways) > 0.42:
            continue
        right = middle + eye * front + 0.15 * sideways
        canvas.paint(_box(frame, right, 0.03, 0.055 * width, 0.022), dark)
        canvas.paint(_box(frame, right, 0.1, 0.069 * width, 0.014), look.hair_colour)
    nose = middle + 0.24 * sideways
    canvas.crease(np.array((frame.at(nose, -0.05), frame.at(nose, -0.16))), 0.03 * frame.size, 0.8)
    lips = (int(look.skin[0] * 0.82), int(look.skin[1] * 0.6), int(look.skin[2] * 0.6))
    canvas.paint(_box(frame, middle + 0.17 * sideways, -0.29, 0.09 * max(0.5, front), 0.02), lips)


def _box(frame: Frame, right: float, up: float, half_width: float, half_height: float) -> np.ndarray:
    """A small upright rectangle on the head."""
    return np.array([frame.at(right + i * half_width, up + j * half_height) for i, j in _CORNERS])


_CORNERS = ((-1, -1), (1, -1), (1, 1), (-1, 1))
