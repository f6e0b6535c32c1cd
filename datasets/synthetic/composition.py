"""The one painter of rendered scenes: sprites over each other, from far to near, and whose each pixel is.

With colours it makes the picture, without it makes the same boxes at a fraction of the cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from upright.datasets.joints import JOINTS, moved_joints, without_outside
from upright.datasets.synthetic.drawing.canvas import SOLID, Sprite
from upright.datasets.synthetic.figure import Figure, render_figure
from upright.datasets.synthetic.figure.landmarks import landmarks
from upright.datasets.synthetic.population import Placed
from upright.datasets.synthetic.roll import Roll
from upright.datasets.synthetic.street.furniture import render_prop
from upright.datasets.synthetic.street.view import View
from upright.datasets.turning import wrapped

LEAST_PIXELS = 12  # with fewer pixels in view a person is not annotated at all
SHADOW_STEP = 2  # shadows are drawn on a map that much smaller than the picture


@dataclass
class Boxes:
    """What the masks say, a row for each person, dummy and poster in view; boxes are x1 y1 x2 y2.

    `full` may leave the picture; `seen_area` and `full_area` count pixels,
    `source` is the place in the list that was composed.
    """

    full: list[tuple[int, int, int, int]] = field(default_factory=list)
    visible: list[tuple[int, int, int, int]] = field(default_factory=list)
    full_area: list[int] = field(default_factory=list)
    seen_area: list[int] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    pose: list[str] = field(default_factory=list)
    lean: list[float] = field(default_factory=list)
    joints: list[np.ndarray] = field(default_factory=list)
    source: list[int] = field(default_factory=list)


def compose(
    view: View, placed: list[Placed], image: np.ndarray | None = None, roll: Roll | None = None
) -> tuple[np.ndarray, Boxes]:
    """Draw everybody from far to near.

    Args:
        view: the camera.
        placed: people and things in any order.
        image: uint8 (H, W, 3), the stage, drawn over in place; None makes the masks alone.
        roll: how the picture is turned afterwards: the owners and boxes are those of the turned masks; the picture is
            left to the caller, who turns it by `Roll.picture`.

    Returns:
        owner int16 (H, W): 1 + the row of `Boxes` that each pixel belongs to, 0 for everything else; and the boxes.
    """
    width, height = view.size
    owner = np.zeros((height, width), np.int16)
    source = sorted(range(len(placed)), key=lambda i: -placed[i].depth)
    order = [placed[i] for i in source]
    sprites = [_render(p, view, coloured=image is not None) for p in order]
    if image is not None:
        _cast_shadows(image, sprites, order, view)
    for k, (sprite, p) in enumerate(zip(sprites, order, strict=True), start=1):
        _paste(image, owner, sprite, view, p.depth, k)
    if roll is not None:
        owner = roll.marks(owner)
    boxes = Boxes()
    kept = np.zeros(len(order) + 1, np.int16)
    for k, (sprite, p) in enumerate(zip(sprites, order, strict=True), start=1):
        if p.label and _measure(owner, k, sprite, boxes, roll):
            boxes.source.append(source[k - 1])
            boxes.label.append(p.label)
            boxes.pose.append(p.skeleton.figure.pose)
            boxes.lean.append(float(wrapped(p.skeleton.lean + roll.degrees)) if roll else p.skeleton.lean)
            boxes.joints.append(_joints(owner, k, p, roll))
            kept[k] = len(boxes.label)
    return kept[owner], boxes


def _joints(owner: np.ndarray, mark: int, placed: Placed, roll: Roll | None) -> np.ndarray:
    """Where the joints are seen. float32 (17, 3): x, y, and 2 where the person's own pixels lie there, else 1.

    None of dummies and posters; 0 where they lie outside the picture.
    """
    joints = np.zeros((1, JOINTS, 3), np.float32)
    if placed.label != "person":
        return joints[0]
    height, width = owner.shape
    points, hidden = landmarks(placed.skeleton)
    joints[0, :, :2] = placed.foot + points[:, :2] * (placed.scale, -placed.scale)
    joints[..., 2] = np.where(hidden, 1, 2)
    joints = moved_joints(joints, roll.matrix, width, height) if roll else without_outside(joints, width, height)
    # Hands and feet lie at the edge of the mask: a pixel beside is near enough.
    columns, rows = np.floor(joints[0, :, :2]).astype(int).T
    own = np.pad(owner == mark, 2)
    near = [own[rows + 2 + i, columns + 2 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)]
    joints[0, ~np.any(near, axis=0) & (joints[0, :, 2] > 0), 2] = 1
    return joints[0]


def _render(placed: Placed, view: View, *, coloured: bool) -> Sprite:
    if isinstance(placed.what, Figure):
        return render_figure(placed.skeleton, placed.scale, placed.foot, view.light, coloured=coloured)
    return render_prop(placed.what, placed.scale, placed.foot, coloured=coloured)


def _window(
    mask: np.ndarray, first_column: int, first_row: int, shape: tuple[int, ...]
) -> tuple[slice, slice, slice, slice] | None:
    """Rows and columns of a picture of this shape that a mask covers, and the same in the mask."""
    h, w = mask.shape
    top, left = max(0, first_row), max(0, first_column)
    bottom, right = min(shape[0], first_row + h), min(shape[1], first_column + w)
    if top >= bottom or left >= right:
        return None
    return (
        slice(top, bottom),
        slice(left, right),
        slice(top - first_row, bottom - first_row),
        slice(left - first_column, right - first_column),
    )


def _paste(image: np.ndarray | None, owner: np.ndarray, sprite: Sprite, view: View, depth: float, mark: int) -> None:
    window = _window(sprite.alpha, sprite.left, sprite.top, owner.shape)
    if window is None:
        return
    rows, columns, own_rows, own_columns = window
    alpha = sprite.alpha[own_rows, own_columns]
    region = owner[rows, columns]
    region[alpha >= SOLID] = 0
    if sprite.seen is not None:
        region[sprite.seen[own_rows, own_columns]] = mark
    if image is None or sprite.colour is None:
        return
    colour = sprite.colour[own_rows, own_columns]
    cover = cv2.merge((alpha, alpha, alpha))
    fade = view.fade(depth)
    if fade > 0.02:
        haze = (*view.haze_colour, 0)
        veil = cv2.multiply(cover, haze, scale=1 / 255)  # type: ignore[call-overload]  # OpenCV's types know no scalars
        colour = cv2.addWeighted(colour, 1 - fade, veil, fade, 0)
    behind = image[rows, columns]
    image[rows, columns] = cv2.add(cv2.multiply(behind, cv2.bitwise_not(cover), scale=1 / 255), colour)


def _cast_shadows(image: np.ndarray, sprites: list[Sprite], order: list[Placed], view: View) -> None:
    """Lay every silhouette on the ground, away from the light, and darken the ground there and under the feet."""
    width, height = view.size
    ground = np.zeros((-(-height // SHADOW_STEP), -(-width // SHADOW_STEP)), np.uint8)
    contact = np.zeros_like(ground)
    across, along = view.light.shadow
    for sprite, p in zip(sprites, order, strict=True):
        if p.label == "poster":
            continue
        h, w = sprite.alpha.shape
        small = cv2.resize(
            sprite.alpha, (max(1, w // SHADOW_STEP), max(1, h // SHADOW_STEP)), interpolation=cv2.INTER_AREA
        )
        step_x, step_y = w / small.shape[1], h / small.shape[0]
        foot_y = sprite.foot[1]
        # A point r pixels above the foot falls at (x + across r, foot + along r).
        matrix = np.array(
            (
                (step_x, -across * step_y, sprite.left + across * (foot_y - sprite.top)),
                (0.0, -along * step_y, foot_y + along * (foot_y - sprite.top)),
            )
        )
        fallen = _fallen(small, matrix / SHADOW_STEP, ground.shape)
        if fallen is not None:
            rows, columns, piece = fallen
            ground[rows, columns] = cv2.max(ground[rows, columns], piece)
        # Dark under what touches the ground: the lowest twentieth of the silhouette.
        left, _, wide, _ = cv2.boundingRect(small[-max(2, small.shape[0] // 20) :])
        if not wide:
            continue
        reach = max(0.5 * wide * step_x, 0.12 * p.scale)
        centre = (round((sprite.left + (left + 0.5 * wide) * step_x) / SHADOW_STEP), round(foot_y / SHADOW_STEP))
        flat = max(0.1, min(0.4, view.camera / p.depth))
        axes = (max(1, round(reach / SHADOW_STEP)), max(1, round(0.8 * reach * flat / SHADOW_STEP)))
        cv2.ellipse(contact, centre, axes, 0, 0, 360, 255, -1)
    sun = view.light.sun
    hard = cv2.convertScaleAbs(cv2.GaussianBlur(ground, (0, 0), 0.7 if sun > 0.45 else 2.5), alpha=0.1 + 0.6 * sun)
    soft = cv2.convertScaleAbs(cv2.GaussianBlur(contact, (0, 0), 1.6), alpha=0.42)
    keep = cv2.bitwise_not(cv2.max(hard, soft))
    keep = cv2.resize(keep, (width, height), interpolation=cv2.INTER_LINEAR)
    cv2.multiply(image, cv2.merge((keep, keep, keep)), dst=image, scale=1 / 255)


def _fallen(alpha: np.ndarray, matrix: np.ndarray, shape: tuple[int, int]) -> tuple[slice, slice, np.ndarray] | None:
    """The silhouette under an affine map, cut to a map of this shape: rows, columns, piece."""
    h, w = alpha.shape
    corners = np.array(((0, 0, 1), (w, 0, 1), (0, h, 1), (w, h, 1))) @ matrix.T
    left, top = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int).tolist()
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)), (shape[1], shape[0])).astype(int).tolist()
    if left >= right or top >= bottom:
        return None
    moved = matrix.copy()
    moved[:, 2] -= (left, top)
    piece = cv2.warpAffine(alpha, moved, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    return slice(top, bottom), slice(left, right), piece


def _measure(owner: np.ndarray, mark: int, sprite: Sprite, boxes: Boxes, roll: Roll | None) -> bool:
    """Add the boxes of one person; False where too little is in view."""
    if sprite.full is None:
        return False
    mask, left, top = sprite.full, sprite.left, sprite.top
    if roll is not None:
        mask, left, top = roll.mask(mask, left, top)
    window = _window(mask, left, top, owner.shape)
    if window is None:
        return False
    rows, columns, _, _ = window
    seen = (owner[rows, columns] == mark).view(np.uint8)
    seen_area = cv2.countNonZero(seen)
    if seen_area < LEAST_PIXELS:
        return False
    full = mask.view(np.uint8)
    x, y, w, h = cv2.boundingRect(full)
    boxes.full.append((left + x, top + y, left + x + w, top + y + h))
    x, y, w, h = cv2.boundingRect(seen)
    x, y = x + columns.start, y + rows.start
    boxes.visible.append((x, y, x + w, y + h))
    boxes.full_area.append(cv2.countNonZero(full))
    boxes.seen_area.append(seen_area)
    return True
