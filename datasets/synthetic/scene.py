"""Street scenes from (seed, index) alone: who stands where, drawn from far to near, boxes from the masks.

`compose` is the one painter: it lays sprites over each other and keeps, for each pixel, whose it is. With
colours it makes the picture, without it makes the same boxes at a fraction of the cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from datasets.sample import Sample
from datasets.synthetic import sensor
from datasets.synthetic.canvas import Sprite
from datasets.synthetic.figure import Figure, body_height, build_skeleton, draw_figure_at_random, render_figure
from datasets.synthetic.poses import POSES
from datasets.synthetic.scenery import View, draw_view, paint_scenery

LEAST_SEEN = 0.2  # share of a person's pixels under which nobody can judge: an ignore region
LEAST_PIXELS = 12  # with fewer pixels in view a person is not annotated at all
POSE_ODDS = (0.24, 0.32, 0.08, 0.09, 0.06, 0.08, 0.08, 0.05)


@dataclass(frozen=True)
class Placed:
    """A person or thing on the ground.

    Attributes:
        what: the figure.
        scale: pixels a metre at its distance.
        foot: where it stands in the picture.
        label: person, dummy, poster; other things have no label.
    """

    what: Figure
    scale: float
    foot: tuple[float, float]
    label: str = "person"


@dataclass
class Boxes:
    """What the masks say, a row for each person, dummy and poster in view; boxes are x1 y1 x2 y2.

    `full` may leave the picture; `seen_area` and `full_area` count pixels.
    """

    full: list[tuple[int, int, int, int]] = field(default_factory=list)
    visible: list[tuple[int, int, int, int]] = field(default_factory=list)
    full_area: list[int] = field(default_factory=list)
    seen_area: list[int] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    pose: list[str] = field(default_factory=list)
    lean: list[float] = field(default_factory=list)


def _generator(seed: int, index: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, index, stream))))


def draw_population(rng: np.random.Generator, view: View) -> list[Placed]:
    """People on the ground of a view, singly and in groups."""
    width, height = view.size
    unit = height / 480
    crowd = rng.choice(4, p=(0.04, 0.46, 0.36, 0.14))
    wanted = (0, int(rng.integers(1, 6)), int(rng.integers(5, 11)), int(rng.integers(11, 19)))[crowd]
    least = max(26 * unit, (view.far - view.horizon) / view.camera * 1.7)
    placed: list[Placed] = []
    for _ in range(4 * wanted):
        if len(placed) >= wanted:
            break
        figure = draw_figure_at_random(rng, str(rng.choice(POSES, p=POSE_ODDS)), view.warm)
        tall = body_height(build_skeleton(figure))
        target = float(np.exp(rng.uniform(np.log(least), np.log(340 * unit))))
        scale = target / 1.7
        if not 27 * unit <= scale * tall <= 340 * unit:
            continue
        if placed and rng.uniform() < 0.35:
            friend = placed[int(rng.integers(len(placed)))]
            scale = friend.scale * float(rng.uniform(0.94, 1.06))
            if not 27 * unit <= scale * tall <= 340 * unit:
                continue
            x = friend.foot[0] + float(rng.choice((-1, 1)) * rng.uniform(0.25, 0.8)) * scale
        else:
            x = float(rng.uniform(-0.02, 1.02) * width)
        row = view.row(scale)
        if row - 0.75 * scale * tall > height or row < view.far:
            continue
        placed.append(Placed(figure, scale, (x, row)))
    return placed


def compose(view: View, placed: list[Placed], picture: np.ndarray | None = None) -> tuple[np.ndarray, Boxes]:
    """Draw everybody from far to near.

    Args:
        view: the camera.
        placed: people and things in any order.
        picture: uint8 (H, W, 3), the stage, drawn over in place; None makes the masks alone.

    Returns:
        owner int16 (H, W): 1 + the row of `Boxes` that each pixel belongs to, 0 for everything else; and the boxes.
    """
    width, height = view.size
    owner = np.zeros((height, width), np.int16)
    order = sorted(placed, key=lambda p: p.scale)
    sprites = [render_figure(p.what, p.scale, p.foot, view.light, coloured=picture is not None) for p in order]
    if picture is not None:
        for sprite, p in zip(sprites, order, strict=True):
            _shadow(picture, sprite, view, p.scale)
    for k, (sprite, p) in enumerate(zip(sprites, order, strict=True), start=1):
        _paste(picture, owner, sprite, view, p.scale, k)
    boxes = Boxes()
    kept = np.zeros(len(order) + 1, np.int16)
    for k, (sprite, p) in enumerate(zip(sprites, order, strict=True), start=1):
        if sprite.full is None or not _measure(owner, k, sprite, boxes):
            continue
        boxes.label.append(p.label)
        boxes.pose.append(p.what.pose)
        boxes.lean.append(build_skeleton(p.what).lean)
        kept[k] = len(boxes.label)
    return kept[owner], boxes


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


def _paste(picture: np.ndarray | None, owner: np.ndarray, sprite: Sprite, view: View, scale: float, mark: int) -> None:
    window = _window(sprite, owner.shape)
    if window is None:
        return
    rows, columns, own_rows, own_columns = window
    alpha = sprite.alpha[own_rows, own_columns]
    region = owner[rows, columns]
    region[alpha >= 128] = 0
    if sprite.seen is not None:
        region[sprite.seen[own_rows, own_columns]] = mark
    if picture is None:
        return
    colour = sprite.colour[own_rows, own_columns]
    cover = cv2.merge((alpha, alpha, alpha))
    haze = min(0.7, view.haze / scale)
    if haze > 0.02:
        veil = cv2.multiply(cover, (*view.haze_colour, 0), scale=1 / 255)
        colour = cv2.addWeighted(colour, 1 - haze, veil, haze, 0)
    behind = picture[rows, columns]
    picture[rows, columns] = cv2.add(cv2.multiply(behind, cv2.bitwise_not(cover), scale=1 / 255), colour)


def _shadow(picture: np.ndarray, sprite: Sprite, view: View, scale: float) -> None:
    """Lay the silhouette on the ground, away from the light, and darken it there."""
    across, along = view.light.shadow
    h, w = sprite.alpha.shape
    foot_x, foot_y = sprite.foot[0] - sprite.left, sprite.foot[1] - sprite.top
    left = int(min(0.0, across * h)) - 4
    extra_h = int(abs(along) * h) + 8
    size = (w + int(abs(across) * h) + 8, 2 * extra_h)
    # A pixel r rows above the foot falls at (x + across r, foot + along r).
    matrix = np.array(((1.0, -across, across * foot_y - left), (0.0, -along, along * foot_y + extra_h)), np.float64)
    fallen = cv2.warpAffine(sprite.alpha, matrix, size, flags=cv2.INTER_LINEAR)
    strength = 0.25 + 0.55 * view.light.sun
    fallen = cv2.GaussianBlur(fallen, (0, 0), max(0.8, 0.02 * scale))
    at_top = round(sprite.top + foot_y - extra_h)
    shadow = Sprite(sprite.left + left, at_top, fallen, None, None, None, sprite.foot)
    window = _window(shadow, picture.shape)
    del foot_x
    if window is None:
        return
    rows, columns, own_rows, own_columns = window
    dark = cv2.convertScaleAbs(fallen[own_rows, own_columns], alpha=strength)
    keep = cv2.bitwise_not(dark)
    picture[rows, columns] = cv2.multiply(picture[rows, columns], cv2.merge((keep, keep, keep)), scale=1 / 255)


def _measure(owner: np.ndarray, mark: int, sprite: Sprite, boxes: Boxes) -> bool:
    """Add the boxes of one person; False where too little is in view."""
    window = _window(sprite, owner.shape)
    if window is None:
        return False
    rows, columns, _, _ = window
    seen = (owner[rows, columns] == mark).view(np.uint8)
    seen_area = cv2.countNonZero(seen)
    if seen_area < LEAST_PIXELS:
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
    rng = _generator(seed, index, 0)
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
    picture = paint_scenery(_generator(seed, index, 1), view)
    _, boxes = compose(view, placed, picture)
    rng = _generator(seed, index, 2)
    image = sensor.expose(picture, sensor.draw_sensor(rng), rng)
    return make_sample(image, boxes, index + 1)
