"""Things that stand in streets and are not people: cars, trees, lamps, bins, coats on racks.

Each kind has some variants, drawn once a process from fixed seeds and then scaled, mirrored and placed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import log2

import cv2
import numpy as np

from upright.datasets.synthetic.drawing import textures
from upright.datasets.synthetic.drawing.canvas import Canvas, Light, Sprite
from upright.datasets.synthetic.drawing.palette import pick, shaded
from upright.datasets.synthetic.street import plants, vehicles
from upright.datasets.synthetic.street.shapes import PAINTS, block, disc, points, post

VARIANTS = 10

_LIGHT = Light((-0.45, 0.6, 0.66), 0.5, 0.6, (0.0, 0.0))


@dataclass(frozen=True)
class Stock:
    """A drawn thing: premultiplied colour, alpha, pixels a metre, and its foot in pixels."""

    colour: np.ndarray
    alpha: np.ndarray
    scale: float
    foot: tuple[float, float]


@dataclass(frozen=True)
class Prop:
    """A thing to be placed: its kind (a key of `KINDS`), variant, whether mirrored, and its size (1 = normal)."""

    kind: str
    variant: int
    mirrored: bool
    size: float = 1.0


def render_prop(prop: Prop, scale: float, foot: tuple[float, float], *, coloured: bool = True) -> Sprite:
    """Scale a thing to `scale` pixels a metre and stand it at `foot`."""
    halvings = max(0, int(log2(max(1.0, KINDS[prop.kind][1] / (scale * prop.size)))))
    stock = _stock(prop.kind, prop.variant % VARIANTS, min(halvings, 4))
    ratio = scale * prop.size / stock.scale
    height, width = stock.alpha.shape
    size = (max(2, round(width * ratio)), max(2, round(height * ratio)))
    method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    alpha = cv2.resize(stock.alpha, size, interpolation=method)
    colour: np.ndarray | None = cv2.resize(stock.colour, size, interpolation=method) if coloured else None
    anchor = stock.foot[0] * ratio
    if prop.mirrored:
        alpha, anchor = np.ascontiguousarray(alpha[:, ::-1]), size[0] - anchor
        colour = None if colour is None else np.ascontiguousarray(colour[:, ::-1])
    left, top = round(foot[0] - anchor), round(foot[1] - stock.foot[1] * ratio)
    return Sprite(left, top, alpha, colour, None, None, foot)


@cache
def _stock(kind: str, variant: int, halvings: int) -> Stock:
    """A thing at its drawn size, or halved so often that little is left to scale."""
    if halvings:
        large = _stock(kind, variant, halvings - 1)
        height, width = large.alpha.shape
        size = (-(-width // 2), -(-height // 2))
        alpha = cv2.resize(large.alpha, size, interpolation=cv2.INTER_AREA)
        colour = cv2.resize(large.colour, size, interpolation=cv2.INTER_AREA)
        foot = (large.foot[0] * size[0] / width, large.foot[1] * size[1] / height)
        return Stock(colour, alpha, large.scale * size[1] / height, foot)
    extent, scale, draw = KINDS[kind]
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence((2000, *kind.encode(), variant))))
    canvas = Canvas(extent, scale, (-extent[0] * scale, extent[3] * scale), _LIGHT, coloured=True, person=False)
    draw(canvas, rng)
    offset = (int(rng.integers(1024)), int(rng.integers(1024)))
    texture = textures.grain() if kind in ("tree", "bush") else textures.fractal()
    sprite = canvas.finish(
        textures.cut(texture, offset, canvas.height, canvas.width), 0.8 if kind in ("tree", "bush") else 0.22
    )
    assert sprite.colour is not None, "the canvas is coloured"
    alpha, colour = sprite.alpha, sprite.colour
    if kind in ("tree", "bush"):
        trunk = round(sprite.foot[1] - sprite.top - (1.8 * scale if kind == "tree" else 0.0))
        alpha, colour = _ragged(alpha, colour, offset, trunk)
    return Stock(colour, alpha, scale, (sprite.foot[0] - sprite.left, sprite.foot[1] - sprite.top))


def _ragged(
    alpha: np.ndarray, colour: np.ndarray, offset: tuple[int, int], trunk: int
) -> tuple[np.ndarray, np.ndarray]:
    """Holes and leafy edges, the smoothed outline against noise, above the row `trunk`."""
    height, width = alpha.shape
    inner = cv2.GaussianBlur(alpha, (0, 0), 3.5).astype(np.int16)
    noise = textures.cut(textures.grain(), offset, height, width).astype(np.int16) - 128
    ragged = np.clip((inner + noise * 2 - 110) * 3, 0, 255).astype(np.uint8)
    ragged = cv2.min(cv2.GaussianBlur(ragged, (3, 3), 0.6), alpha)
    ragged[trunk:] = alpha[trunk:]
    return ragged, cv2.multiply(colour, cv2.merge((ragged,) * 3), scale=1 / 255)


_METALS = ((60, 62, 66), (90, 92, 94), (130, 132, 134), (44, 60, 52), (70, 64, 60), (160, 160, 158))


def _lamp(canvas: Canvas, rng: np.random.Generator) -> None:
    metal = pick(rng, _METALS)
    post(canvas, 0, 0, 0.9, 0.09, metal)
    post(canvas, 0, 0.8, 5.6, 0.05, metal)
    if rng.uniform() < 0.5:
        canvas.line(points((0, 5.5), (0.5, 5.75), (1.0, 5.75)), 0.07, metal)
        block(canvas, 0.8, 5.66, 1.4, 5.8, (200, 200, 190))
    else:
        canvas.blob(np.array((0, 5.75)), np.array((0.0, 1.0)), 0.22, 0.25, (230, 228, 214), body=False)


def _sign(canvas: Canvas, rng: np.random.Generator) -> None:
    post(canvas, 0, 0, 2.7, 0.035, (140, 142, 144))
    kind, y = int(rng.integers(4)), 2.45
    if kind == 0:
        canvas.polygon(disc(0, y, 0.32), (176, 30, 34), 1.0, body=False)
        canvas.polygon(disc(0, y, 0.24), (236, 236, 234) if rng.uniform() < 0.5 else (30, 70, 150), 1.0, body=False)
    elif kind == 1:
        canvas.polygon(points((-0.38, y + 0.3), (0.38, y + 0.3), (0, y - 0.34)), (176, 30, 34), 1.0, body=False)
        canvas.polygon(points((-0.26, y + 0.23), (0.26, y + 0.23), (0, y - 0.2)), (236, 236, 234), 1.0, body=False)
    elif kind == 2:
        block(canvas, -0.3, y - 0.3, 0.3, y + 0.3, (30, 80, 160))
        block(canvas, -0.16, y - 0.2, 0.0, y + 0.2, (236, 236, 234))
    else:
        block(canvas, -0.5, y - 0.1, 0.5, y + 0.2, pick(rng, ((30, 80, 160), (236, 236, 230), (220, 190, 50))))
        block(canvas, -0.4, y, 0.4, y + 0.08, (60, 60, 62))


def _traffic_light(canvas: Canvas, rng: np.random.Generator) -> None:
    post(canvas, 0, 0, 3.2, 0.055, pick(rng, _METALS))
    block(canvas, -0.16, 2.3, 0.16, 3.15, (26, 28, 28))
    on = int(rng.integers(3))
    for k, lamp in enumerate(((220, 40, 30), (230, 170, 40), (60, 200, 110))):
        canvas.polygon(disc(0, 3.0 - 0.27 * k, 0.1), lamp if k == on else shaded(lamp, 0.2), 1.0, body=False)


def _bollard(canvas: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, (*_METALS, (170, 166, 158), (150, 40, 40)))
    tall, half = rng.uniform(0.75, 1.15), rng.uniform(0.06, 0.14)
    canvas.tube(points((0, 0), (0, tall)), np.array((half, half * rng.uniform(0.7, 1.0))), colour, body=False)
    if rng.uniform() < 0.5:
        block(canvas, -half, tall - 0.2, half, tall - 0.1, (230, 230, 228))


def _post(canvas: Canvas, rng: np.random.Generator) -> None:
    """A post or pillar as tall and as wide as a person, the kind that deceives."""
    colour = pick(rng, (*_METALS, (90, 74, 58), (150, 120, 70), (40, 60, 110), (140, 40, 40)))
    tall, half = rng.uniform(1.4, 2.0), rng.uniform(0.14, 0.28)
    canvas.tube(points((0, 0), (0, tall)), np.array((half, half * rng.uniform(0.8, 1.0))), colour, body=False, strips=8)
    band = pick(rng, PAINTS)
    low = rng.uniform(0.5, 1.1)
    block(canvas, -half * 0.97, low, half * 0.97, low + rng.uniform(0.2, 0.5), band, 0.95)
    if rng.uniform() < 0.5:
        canvas.blob(np.array((0, tall + 0.08)), np.array((0.0, 1.0)), half * 0.8, 0.13, pick(rng, PAINTS), body=False)


def _bin(canvas: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, ((40, 70, 50), (60, 62, 66), (40, 60, 110), (100, 100, 98), (190, 110, 40), (26, 28, 30)))
    half, tall = rng.uniform(0.22, 0.36), rng.uniform(0.8, 1.15)
    canvas.tube(points((0, 0.04), (0, tall)), np.array((half * 0.85, half)), colour, body=False, round_ends=False)
    canvas.tube(
        points((0, tall), (0, tall + 0.1)), np.array((half * 1.08, half * 0.9)), shaded(colour, 0.75), body=False
    )
    if rng.uniform() < 0.5:
        block(canvas, -half * 0.6, tall * 0.75, half * 0.6, tall * 0.88, (20, 20, 20))
    for x in (-half * 0.7, half * 0.7):
        canvas.polygon(disc(x, 0.07, 0.07, 10), (24, 24, 24), 0.8, body=False)


def _rack(canvas: Canvas, rng: np.random.Generator) -> None:
    """Coats on hangers: shoulders, sleeves and colour of a person, but no head and no legs."""
    wide = rng.uniform(0.5, 1.3)
    for x in (-wide, wide):
        post(canvas, x, 0, 1.65, 0.025, (120, 122, 124))
    canvas.line(points((-wide, 1.65), (wide, 1.65)), 0.04, (130, 132, 134))
    for x in np.arange(-wide + 0.22, wide - 0.1, rng.uniform(0.2, 0.5)):
        cloth = pick(rng, (*PAINTS, (150, 110, 70), (110, 40, 60), (190, 190, 180)))
        length = rng.uniform(0.55, 1.05)
        canvas.line(points((x, 1.64), (x, 1.52)), 0.015, (150, 150, 150))
        stations = points((x, 1.54), (x, 1.44), (x, 1.2), (x, 1.5 - length))
        for side in (-1, 1):
            canvas.tube(
                points((x + 0.17 * side, 1.42), (x + 0.24 * side, 0.95)), np.array((0.06, 0.05)), cloth, body=False
            )
        canvas.tube(stations, np.array((0.06, 0.21, 0.2, 0.24)), cloth, body=False, round_ends=False)


def _cafe(canvas: Canvas, rng: np.random.Generator) -> None:
    """A table with a parasol and empty chairs."""
    cloth = pick(rng, ((170, 40, 40), (220, 214, 200), (40, 80, 60), (50, 70, 120), (200, 150, 60)))
    wood = pick(rng, ((120, 84, 54), (60, 58, 56), (190, 188, 182)))
    post(canvas, 0, 0, 2.4, 0.03, (180, 178, 172))
    for x in (-0.75, 0.75):
        for leg in (-0.2, 0.2):
            post(canvas, x + leg, 0, 0.45, 0.02, wood)
        block(canvas, x - 0.23, 0.42, x + 0.23, 0.48, wood)
        back = x + 0.2 * np.sign(x)
        block(canvas, back - 0.04, 0.45, back + 0.04, 0.92, wood, 0.8)
    block(canvas, -0.42, 0.7, 0.42, 0.75, wood, 1.1)
    if rng.uniform() < 0.7:
        canvas.polygon(points((-1.4, 2.15), (0, 2.75), (1.4, 2.15)), cloth, 1.0, body=False)
        canvas.polygon(points((-1.4, 2.15), (0, 2.75), (-0.4, 2.15)), cloth, 1.2, body=False)
        block(canvas, -1.4, 2.0, 1.4, 2.16, shaded(cloth, 0.85))


def _board(canvas: Canvas, rng: np.random.Generator) -> None:
    """An advertising board; a poster's person is drawn on it."""
    for x in (-0.5, 0.5):
        post(canvas, x, 0, 0.6, 0.04, (80, 82, 84))
    block(canvas, -0.68, 0.45, 0.68, 2.45, (70, 72, 74))
    ground = pick(
        rng, ((230, 226, 216), (60, 110, 160), (220, 170, 60), (180, 50, 60), (90, 160, 130), (200, 200, 210)), 20
    )
    block(canvas, -0.6, 0.53, 0.6, 2.37, ground)
    block(canvas, -0.6, 0.53, 0.6, rng.uniform(0.7, 1.0), shaded(ground, 0.7))
    for k in range(3):
        wide = rng.uniform(0.15, 0.5)
        block(
            canvas, -wide, 0.6 + 0.1 * k, wide, 0.65 + 0.1 * k, (240, 240, 236) if sum(ground) < 420 else (40, 40, 44)
        )


Drawing = Callable[[Canvas, np.random.Generator], None]

# Kind: the extent it stays inside (left, bottom, right, top in metres), pixels a metre, drawing.
KINDS: dict[str, tuple[tuple[float, float, float, float], float, Drawing]] = {
    "car_side": ((-2.3, -0.1, 2.3, 2.3), 90.0, vehicles.car_side),
    "car_rear": ((-1.0, -0.1, 1.0, 1.9), 110.0, vehicles.car_rear),
    "tree": ((-3.2, -0.3, 3.2, 8.2), 55.0, plants.tree),
    "bare_tree": ((-3.2, -0.3, 3.2, 8.2), 55.0, plants.bare_tree),
    "bush": ((-1.7, -0.1, 1.7, 1.4), 90.0, plants.bush),
    "lamp": ((-0.4, -0.1, 1.5, 6.2), 60.0, _lamp),
    "sign": ((-0.6, -0.1, 0.6, 2.9), 100.0, _sign),
    "traffic_light": ((-0.3, -0.1, 0.3, 3.4), 90.0, _traffic_light),
    "bollard": ((-0.25, -0.15, 0.25, 1.4), 130.0, _bollard),
    "post": ((-0.4, -0.3, 0.4, 2.4), 120.0, _post),
    "bin": ((-0.5, -0.1, 0.5, 1.7), 120.0, _bin),
    "rack": ((-1.5, -0.1, 1.5, 1.8), 120.0, _rack),
    "planter": ((-0.7, -0.1, 0.7, 1.4), 110.0, plants.planter),
    "bicycle": ((-1.0, -0.1, 1.0, 1.2), 120.0, vehicles.parked_bicycle),
    "cafe": ((-1.5, -0.1, 1.5, 2.9), 90.0, _cafe),
    "board": ((-0.8, -0.1, 0.8, 2.6), 110.0, _board),
}
