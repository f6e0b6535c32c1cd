"""The empty stage of a view: sky, houses, ground and what is painted on it."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from upright.datasets.synthetic.drawing import textures
from upright.datasets.synthetic.drawing.canvas import Colour
from upright.datasets.synthetic.drawing.palette import pick, shaded
from upright.datasets.synthetic.street import facades
from upright.datasets.synthetic.street.view import View

_GROUNDS = ((122, 120, 118), (98, 98, 100), (146, 142, 136), (164, 156, 144), (112, 106, 100), (134, 124, 114))
_ROADS = ((86, 86, 88), (70, 70, 74), (102, 102, 102), (118, 116, 114))
_GRASS = ((86, 104, 56), (104, 116, 66), (72, 92, 50), (124, 122, 76))


def paint_scenery(rng: np.random.Generator, view: View) -> np.ndarray:
    """The stage without people and things. uint8 (H, W, 3), RGB."""
    width, height = view.size
    image = np.empty((height, width, 3), np.uint8)
    if view.kind == "hall":
        _ceiling(rng, image, view)
    else:
        _sky(rng, image, view)
    _ground(rng, image, view)
    _houses(rng, image, view)
    return image


def _sky(rng: np.random.Generator, image: np.ndarray, view: View) -> None:
    """A gradient with clouds, down to the horizon."""
    height, width = image.shape[:2]
    rows = min(height, max(2, int(view.horizon) + 2))
    clear = view.light.sun > 0.45
    if clear:
        top = np.array((92, 140, 200)) + rng.integers(-25, 30)
        low = np.array((190, 212, 232)) + rng.integers(-12, 16)
    else:
        grey = rng.integers(165, 235)
        top, low = np.array((grey - 14, grey - 8, grey)), np.array((grey + 12, grey + 14, grey + 16))
    image[rows - 1 :] = low.clip(0, 255)
    # Skies are smooth: half the size is enough to paint on.
    half_rows, half_columns = max(2, rows // 2), max(2, width // 2)
    steps = np.linspace(0, 1, half_rows)[:, None, None] ** 1.3
    sky = np.empty((half_rows, half_columns, 3), np.uint8)
    sky[:] = np.clip(top * (1 - steps) + low * steps, 0, 255)
    offset = (int(rng.integers(1024)), int(rng.integers(1024)))
    piece = textures.cut(textures.fractal(), offset, half_rows, max(8, half_columns // 2))
    clouds = cv2.resize(piece, (half_columns, half_rows), interpolation=cv2.INTER_LINEAR)
    bias = int(rng.integers(95, 165)) if clear else 110
    above = cv2.subtract(clouds, bias)  # type: ignore[call-overload]  # OpenCV's types know no scalars
    cover = cv2.cvtColor(cv2.convertScaleAbs(above, alpha=4.0 if clear else 1.0), cv2.COLOR_GRAY2RGB)
    white = 244 if clear else int(low.min().clip(0, 255))
    held = cv2.multiply(sky, cv2.bitwise_not(cover), scale=1 / 255)
    sky = cv2.add(held, cv2.convertScaleAbs(cover, alpha=white / 255))
    image[:rows] = cv2.resize(sky, (width, rows), interpolation=cv2.INTER_LINEAR)


def _ceiling(rng: np.random.Generator, image: np.ndarray, view: View) -> None:
    """The ceiling of a hall, with rows of lamps."""
    tone = pick(rng, ((214, 212, 206), (180, 178, 172), (120, 118, 114)))
    image[:] = tone
    high = view.camera + 2.6
    lamp = (252, 250, 240)
    for x in np.linspace(view.left, view.right, int(rng.integers(3, 6)))[1:-1]:
        for z in np.arange(2.0, view.far, float(rng.uniform(2, 4))):
            corners = np.array(
                ((x - 0.3, high, z), (x + 0.3, high, z), (x + 0.3, high, z + 0.9), (x - 0.3, high, z + 0.9))
            )
            _polygon(image, view.seen(corners), lamp)


def _polygon(image: np.ndarray, points: np.ndarray, colour: Colour) -> None:
    held = np.clip(points, -20_000, 20_000)
    cv2.fillPoly(image, [np.rint(held * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)


def _strip(image: np.ndarray, view: View, x: tuple[float, float], z: tuple[float, float], colour: Colour) -> None:
    """A rectangle on the ground."""
    near, far = max(z[0], 0.6 * view.near), min(z[1], 400.0)
    if far <= near:
        return
    corners = np.array(((x[0], 0, near), (x[1], 0, near), (x[1], 0, far), (x[0], 0, far)), np.float64)
    _polygon(image, view.seen(corners), colour)


def _ground(rng: np.random.Generator, image: np.ndarray, view: View) -> None:
    top = max(0, int(view.horizon))
    ground = pick(rng, _GRASS if view.kind == "park" else _GROUNDS)
    if view.kind == "hall":
        ground = pick(rng, ((190, 184, 174), (150, 144, 136), (206, 202, 196), (120, 112, 104)))
    image[top:] = ground
    wide = (-200.0, 200.0)
    road = pick(rng, _ROADS)
    if view.kind == "street" and view.kerbs:
        _tiles(rng, image, view, ground, (view.left, view.right))
        _street_road(rng, image, view, view.kerbs, road)
    elif view.kind == "front" and view.kerbs:
        _tiles(rng, image, view, ground, wide)
        begin, end = view.kerbs
        _strip(image, view, wide, (begin, end), road)
        for z in view.kerbs:
            _strip(image, view, wide, (z - 0.09, z + 0.09), shaded(ground, 1.2))
            _strip(image, view, wide, (z - 0.22, z - 0.09), shaded(road, 0.7))
        _front_markings(rng, image, view, view.kerbs)
    elif view.kind == "park" and view.kerbs:
        path = pick(rng, ((170, 158, 136), (140, 134, 126), (110, 108, 106)))
        if rng.uniform() < 0.5:
            _strip(image, view, wide, (view.near, view.far * float(rng.uniform(0.2, 0.6))), path)
        _strip(image, view, view.kerbs, (0.5, view.far), path)
    elif rng.uniform() < 0.8:
        _tiles(rng, image, view, ground, wide)
    _patches(rng, image, view)
    _house_shadow(rng, image, view)
    _roughen(rng, image[top:], view, top)


def _street_road(
    rng: np.random.Generator, image: np.ndarray, view: View, kerbs: tuple[float, float], road: Colour
) -> None:
    one, other = kerbs
    along = (0.5, 300.0)
    _strip(image, view, (one, other), along, road)
    kerb = pick(rng, ((168, 164, 158), (140, 138, 134)))
    for x, inner in ((one, 0.2), (other, -0.2)):
        _strip(image, view, (x - 0.08, x + 0.08), along, kerb)
        left, right = sorted((x + inner * 0.4, x + inner))
        _strip(image, view, (left, right), along, shaded(road, 0.72))
    white = pick(rng, ((222, 222, 216), (196, 196, 190)))
    middle = 0.5 * (one + other)
    if rng.uniform() < 0.8:
        dash, gap = float(rng.uniform(1.5, 4)), float(rng.uniform(1.5, 5))
        for z in np.arange(float(rng.uniform(0, 4)), 60, dash + gap):
            _strip(image, view, (middle - 0.07, middle + 0.07), (z, z + dash), white)
    if rng.uniform() < 0.35:
        z = float(rng.uniform(1.2, 4)) * view.near
        for x in np.arange(one + 0.3, other - 0.5, 1.0):
            _strip(image, view, (x, x + 0.5), (z, z + 3.0), white)


def _front_markings(rng: np.random.Generator, image: np.ndarray, view: View, kerbs: tuple[float, float]) -> None:
    begin, end = kerbs
    white = pick(rng, ((222, 222, 216), (196, 196, 190)))
    middle = 0.5 * (begin + end)
    if rng.uniform() < 0.7:
        start = float(rng.uniform(0, 5))
        for x in np.arange(-30 + start, 30, 5.5):
            _strip(image, view, (x, x + 2.8), (middle - 0.07, middle + 0.07), white)
    if rng.uniform() < 0.3:
        x = float(rng.uniform(-5, 3))
        for z in np.arange(begin + 0.4, end - 0.6, 1.0):
            _strip(image, view, (x, x + 3.0), (z, z + 0.5), white)


def _tiles(rng: np.random.Generator, image: np.ndarray, view: View, ground: Colour, x: tuple[float, float]) -> None:
    """The joints of slabs, as far as they can be told apart."""
    side = float(rng.choice((0.4, 0.6, 1.0, 2.0)))
    colour = shaded(ground, float(rng.uniform(0.78, 0.92)))
    near, reach = 0.8 * view.near, view.scale(1.0) * side
    far = min(60.0, reach / 3.5)
    half = (view.size[0] / view.focal) * far
    xs = np.arange(max(x[0], -half), min(x[1], half), side)[:240]
    zs = np.arange(near, min(60.0, float(np.sqrt(reach * view.camera / 2.5))), side)[:240]
    x0, x1 = max(x[0], -half), min(x[1], half)
    ends = [((v, 0.0, near), (v, 0.0, far)) for v in xs] + [((x0, 0.0, z), (x1, 0.0, z)) for z in zs]
    if not ends:
        return
    seen = view.seen(np.array(ends).reshape(-1, 3))
    fixed = np.rint(np.clip(seen, -20_000, 20_000) * 16).astype(np.int32).reshape(-1, 2, 2)
    cv2.polylines(image, list(fixed), False, colour, 1, cv2.LINE_AA, 4)


def _patches(rng: np.random.Generator, image: np.ndarray, view: View) -> None:
    """Mended asphalt, manholes and stains."""
    for _ in range(int(rng.integers(0, 4))):
        z = view.near * float(rng.uniform(1.0, 4.0))
        x = float(rng.uniform(-0.5, 0.5)) * view.size[0] / view.scale(z)
        column, row = (round(v) for v in view.foot(x, z))
        radius = float(rng.uniform(0.15, 0.45)) * view.scale(z)
        flat = max(1, round(radius * view.camera / z))
        if not (0 <= column < view.size[0] and 0 <= row < view.size[1]):
            continue
        tone = tuple(int(v) for v in image[row, column] * float(rng.uniform(0.75, 1.1)))
        cv2.ellipse(image, (column, row), (max(1, round(radius)), flat), 0, 0, 360, tone, -1, cv2.LINE_AA)


def _roughen(rng: np.random.Generator, ground: np.ndarray, view: View, top: int) -> None:
    """Lay noise on the ground in perspective, so that it grows towards the camera."""
    height, width = ground.shape[:2]
    per_metre = 46.0
    shift = rng.uniform(0, 20, 2)
    to_world = np.array(((1 / per_metre, 0, -11 - shift[0]), (0, 1 / per_metre, -shift[1]), (0, 0, 1)))
    to_image = np.array(((view.focal, view.cx, 0), (0, view.horizon - top, view.focal * view.camera), (0, 1, 0)))
    texture = textures.fractal()[: textures.SIDE, : textures.SIDE]
    flat = cv2.warpPerspective(
        texture, to_image @ to_world, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    offset = (int(rng.integers(1024)), int(rng.integers(1024)))
    fine = textures.cut(textures.grain(), offset, height, width)
    strength = float(rng.uniform(0.12, 0.3)) * (0.4 if view.kind == "hall" else 1.0)
    layer = cv2.addWeighted(flat, strength, fine, 0.7 * strength, 128 - 1.7 * strength * 128)
    cv2.addWeighted(ground, 1.0, cv2.merge((layer,) * 3), 1.0, -128, dst=ground)
    # The distance fades into haze.
    if view.haze > 0:
        z = view.focal * view.camera / np.maximum(1.0, np.arange(height) + top - view.horizon)
        share = np.minimum(0.75, 1.0 - np.exp(-z / view.haze))
        keep = np.repeat(np.rint(255 * (1 - share)).astype(np.uint8)[:, None], width, axis=1)
        veil = np.rint(share[:, None] * np.array(view.haze_colour)).astype(np.uint8)
        cv2.multiply(ground, cv2.merge((keep,) * 3), dst=ground, scale=1 / 255)
        ground += veil[:, None]


@cache
def _front(number: int, level: int) -> np.ndarray:
    """A house front, halved `level` times."""
    image = facades.facade(number)
    if level == 0:
        return image
    size = (image.shape[1] >> level, image.shape[0] >> level)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _houses(rng: np.random.Generator, image: np.ndarray, view: View) -> None:
    """House fronts along the walls of the view, the far ones first."""
    if view.kind == "park":
        _far_trees(rng, image, view)
        return
    tall = (4.2, 4.4) if view.kind == "hall" else (8.0, 16.0)
    sunlit = view.light.direction[0] * view.light.sun
    walls: list[tuple[float, tuple[float, float], tuple[float, float], float]] = []
    if view.kind in ("street", "hall"):
        if view.kind == "hall" or rng.uniform() < 0.75:
            for x in np.arange(view.left - 24, view.right + 24, 12.0).tolist():
                walls.append((view.far, (x, view.far), (x + 12.0, view.far), 1.0))
        for x, light in ((view.left, 1.0 + 0.4 * sunlit), (view.right, 1.0 - 0.4 * sunlit)):
            z = view.far
            while z > 0.45 * view.near:
                z0 = z - float(rng.uniform(7, 13))
                walls.append((z0, (x, z), (x, max(0.4, z0)), light))
                z = z0
    else:
        slope = float(rng.normal(0, 0.06))
        half = 0.75 * view.size[0] * view.far / view.focal
        x = -half - float(rng.uniform(0, 10))
        while x < half:
            x1 = x + float(rng.uniform(7, 13))
            walls.append((view.far, (x, view.far + slope * x), (x1, view.far + slope * x1), 1.0))
            x = x1
    for z, start, end, light in sorted(walls, key=lambda w: -w[0]):
        _hang(rng, image, view, start, end, float(rng.uniform(*tall)), light, z)


def _far_trees(rng: np.random.Generator, image: np.ndarray, view: View) -> None:
    """The edge of a wood behind a park: a ragged band under the sky."""
    width, height = view.size
    row = int(view.horizon)
    tall = float(rng.uniform(14, 50)) * view.unit
    offset = (int(rng.integers(1024)), int(rng.integers(1024)))
    line = textures.cut(textures.fractal(), offset, 1, width)[0].astype(np.float64) - 128
    edge = row - tall * (1 + 0.012 * line)
    points = np.concatenate((np.stack((np.arange(width), edge), axis=1), ((width, row + 3), (0, row + 3))))
    shape = np.zeros((height, width), np.uint8)
    _polygon(shape, points, (255, 255, 255))
    top, bottom = max(0, int(edge.min())), min(height, row + 4)
    if bottom <= top:
        return
    leaves = textures.cut(textures.grain(), offset, bottom - top, width)
    tone = np.array(pick(rng, ((64, 84, 48), (84, 96, 60), (96, 96, 70))))
    fade = view.fade(view.far * 1.5)
    wood = np.clip(tone * (leaves[..., None] / 128.0) * (1 - fade) + np.array(view.haze_colour) * fade, 0, 255)
    region = image[top:bottom]
    inside = shape[top:bottom] > 127
    region[inside] = wood.astype(np.uint8)[inside]


def _house_shadow(rng: np.random.Generator, image: np.ndarray, view: View) -> None:
    """The shadow of houses out of view, a dark part of the ground with a straight edge."""
    if view.light.sun < 0.45 or view.kind == "hall" or rng.uniform() < 0.45:
        return
    edge = view.near * float(rng.uniform(1.1, 5.0))
    slope = float(rng.normal(0, 0.8))
    before = rng.uniform() < 0.5
    x = np.array((-60.0, 60.0))
    z = np.clip(edge + slope * x, 0.7 * view.near, 200.0)
    other = 0.7 * view.near if before else 300.0
    corners = np.array(((x[0], 0, z[0]), (x[1], 0, z[1]), (x[1], 0, other), (x[0], 0, other)))
    top = max(0, int(view.horizon))
    dark = np.full((image.shape[0] - top, image.shape[1]), 255, np.uint8)
    _polygon(dark, view.seen(corners) - (0, top), (int(rng.uniform(140, 200)), 0, 0))
    dark = cv2.GaussianBlur(dark, (5, 5), 1.2)
    cv2.multiply(image[top:], cv2.merge((dark,) * 3), dst=image[top:], scale=1 / 255)


def _hang(
    rng: np.random.Generator,
    image: np.ndarray,
    view: View,
    start: tuple[float, float],
    end: tuple[float, float],
    tall: float,
    light: float,
    z: float,
) -> None:
    """Hang one house front between two points (x, z) of the ground, `tall` metres high."""
    height, width = image.shape[:2]
    (x0, z0), (x1, z1) = start, end
    corners = view.seen(np.array(((x0, tall, z0), (x1, tall, z1), (x1, 0, z1), (x0, 0, z0)), np.float64))
    if corners[0, 0] > corners[1, 0]:
        corners = corners[[1, 0, 3, 2]]
    low, high = corners.min(axis=0), corners.max(axis=0)
    left, top = max(0, int(np.floor(low[0]))), max(0, int(np.floor(low[1])))
    right, bottom = min(width, int(np.ceil(high[0]))), min(height, int(np.ceil(high[1])))
    number = int(rng.integers(facades.COUNT))
    if right <= left or bottom <= top:
        return
    density = view.scale(max(min(z0, z1), view.near)) / facades.PER_METRE
    level = 0 if density > 0.6 else 1 if density > 0.3 else 2
    front = _front(number, level)
    kept = round(front.shape[0] * min(1.0, tall / facades.HEIGHT))
    front = front[-kept:]
    tint = np.clip(light * rng.uniform(0.82, 1.12) * (1 + rng.normal(0, 0.03, 3)), 0.3, 1.5)
    rows, columns = front.shape[:2]
    source = np.array(((0, 0), (columns, 0), (columns, rows), (0, rows)), np.float32)
    target = (corners - (left, top)).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(source, target)
    fade = view.fade(max(1.0, z))
    table = np.arange(256)[:, None] * tint * (1 - fade) + np.array(view.haze_colour) * fade
    front = cv2.LUT(front, np.rint(np.clip(table, 0, 255)).astype(np.uint8)[None])
    region = np.ascontiguousarray(image[top:bottom, left:right])
    cv2.warpPerspective(
        front,
        matrix,
        (right - left, bottom - top),
        dst=region,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    image[top:bottom, left:right] = region
