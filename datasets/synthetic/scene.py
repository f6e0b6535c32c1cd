"""Street scenes from (seed, index) alone: who stands where, drawn from far to near, boxes from the masks.

`compose` is the one painter: it lays sprites over each other and keeps, for each pixel, whose it is. With
colours it makes the picture, without it makes the same boxes at a fraction of the cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from upright.datasets.sample import Sample
from upright.datasets.synthetic import sensor
from upright.datasets.synthetic.drawing.canvas import SOLID, Sprite
from upright.datasets.synthetic.figure import Figure, render_figure
from upright.datasets.synthetic.population import Placed, draw_population
from upright.datasets.synthetic.street.furniture import render_prop
from upright.datasets.synthetic.street.scenery import paint_scenery
from upright.datasets.synthetic.street.view import View, draw_view

LEAST_SEEN = 0.2  # share of a person's pixels under which nobody can judge: an ignore region
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
    source: list[int] = field(default_factory=list)


def generator(seed: int, index: int, stream: int) -> np.random.Generator:
    """Random numbers that depend on these three alone; each part of a scene has a stream of its own."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, index, stream))))


def compose(view: View, placed: list[Placed], image: np.ndarray | None = None) -> tuple[np.ndarray, Boxes]:
    """Draw everybody from far to near.

    Args:
        view: the camera.
        placed: people and things in any order.
        image: uint8 (H, W, 3), the stage, drawn over in place; None makes the masks alone.

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
    boxes = Boxes()
    kept = np.zeros(len(order) + 1, np.int16)
    for k, (sprite, p) in enumerate(zip(sprites, order, strict=True), start=1):
        if p.label and _measure(owner, k, sprite, boxes):
            boxes.source.append(source[k - 1])
            boxes.label.append(p.label)
            boxes.pose.append(p.skeleton.figure.pose)
            boxes.lean.append(p.skeleton.lean)
            kept[k] = len(boxes.label)
    return kept[owner], boxes


def _render(placed: Placed, view: View, *, coloured: bool) -> Sprite:
    if isinstance(placed.what, Figure):
        return render_figure(placed.skeleton, placed.scale, placed.foot, view.light, coloured=coloured)
    return render_prop(placed.what, placed.scale, placed.foot, coloured=coloured)


def _window(sprite: Sprite, shape: tuple[int, ...]) -> tuple[slice, slice, slice, slice] | None:
    """Rows and columns of the picture that a sprite covers, and the same in the sprite."""
    h, w = sprite.alpha.shape
    top, left = max(0, sprite.top), max(0, sprite.left)
    bottom, right = min(shape[0], sprite.top + h), min(shape[1], sprite.left + w)
    if top >= bottom or left >= right:
        return None
    return (
        slice(top, bottom),
        slice(left, right),
        slice(top - sprite.top, bottom - sprite.top),
        slice(left - sprite.left, right - sprite.left),
    )


def _paste(image: np.ndarray | None, owner: np.ndarray, sprite: Sprite, view: View, depth: float, mark: int) -> None:
    window = _window(sprite, owner.shape)
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


def _measure(owner: np.ndarray, mark: int, sprite: Sprite, boxes: Boxes) -> bool:
    """Add the boxes of one person; False where too little is in view."""
    window = _window(sprite, owner.shape)
    if window is None:
        return False
    rows, columns, _, _ = window
    seen = (owner[rows, columns] == mark).view(np.uint8)
    seen_area = cv2.countNonZero(seen)
    if sprite.full is None or seen_area < LEAST_PIXELS:
        return False
    full = sprite.full.view(np.uint8)
    x, y, w, h = cv2.boundingRect(full)
    boxes.full.append((sprite.left + x, sprite.top + y, sprite.left + x + w, sprite.top + y + h))
    x, y, w, h = cv2.boundingRect(seen)
    x, y = x + columns.start, y + rows.start
    boxes.visible.append((x, y, x + w, y + h))
    boxes.full_area.append(cv2.countNonZero(full))
    boxes.seen_area.append(seen_area)
    return True


def describe(seed: int, index: int, size: tuple[int, int] = (640, 480)) -> tuple[View, list[Placed]]:
    """Camera and population of a scene, nothing drawn."""
    rng = generator(seed, index, 0)
    view = draw_view(rng, size)
    return view, draw_population(rng, view)


def measure_scene(seed: int, index: int, size: tuple[int, int] = (640, 480)) -> Boxes:
    """The boxes of a scene without painting it: the same as those of `render_scene`."""
    view, placed = describe(seed, index, size)
    return compose(view, placed)[1]


def box_columns(boxes: Boxes) -> dict[str, np.ndarray]:
    """Boxes as columns.

    Returns:
        full, visible: float64 (n, 4), x1 y1 x2 y2; full unclipped.
        visible_ratio: float64 (n,), area of the visible box over that of the full box, the benchmarks' measure.
        mask_ratio: float64 (n,), pixels seen over pixels of the whole person.
        ignore: bool (n,). label, pose: str (n,). lean: float32 (n,), degrees.
    """
    full = np.array(boxes.full, np.float64).reshape(-1, 4)
    visible = np.array(boxes.visible, np.float64).reshape(-1, 4)
    mask_ratio = np.array(boxes.seen_area, np.float64) / np.array(boxes.full_area, np.float64)
    label = np.array(boxes.label, dtype="<U8")
    hidden = (label == "person") & (mask_ratio < LEAST_SEEN)
    label[hidden] = "ignore"
    return {
        "full": full,
        "visible": visible,
        "visible_ratio": _area(visible) / _area(full),
        "mask_ratio": mask_ratio,
        "ignore": label != "person",
        "label": label,
        "pose": np.array(boxes.pose, dtype="<U12"),
        "lean": np.array(boxes.lean, np.float32),
    }


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def make_sample(image: np.ndarray, boxes: Boxes, sample_id: int) -> Sample:
    """A sample of a picture and its boxes, full boxes clipped to the picture."""
    columns = box_columns(boxes)
    height, width = image.shape[:2]
    return Sample(
        image=image,
        boxes=np.clip(columns["full"], 0, (width, height, width, height)).astype(np.float32),
        visible=columns["visible"].astype(np.float32),
        ignore=columns["ignore"],
        visible_ratio=columns["visible_ratio"].astype(np.float32),
        attributes={
            "pose": columns["pose"],
            "lean": columns["lean"],
            "label": columns["label"],
            "mask_ratio": columns["mask_ratio"].astype(np.float32),
        },
        id=sample_id,
        path=None,
    )


def render_scene(seed: int, index: int, size: tuple[int, int] = (640, 480)) -> Sample:
    """One picture with its people, from `seed` and `index` alone.

    Args:
        seed: names the series of pictures.
        index: which picture of the series, from 0; its `id` is index + 1.
        size: width and height in pixels.
    """
    view, placed = describe(seed, index, size)
    clean = paint_scenery(generator(seed, index, 1), view)
    _, boxes = compose(view, placed, clean)
    rng = generator(seed, index, 2)
    image = sensor.expose(clean, sensor.draw_sensor(rng), rng)
    return make_sample(image, boxes, index + 1)
