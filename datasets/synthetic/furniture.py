"""Things that stand in streets and are no people: cars, trees, lamps, bins, coats on racks.

Each kind has some variants, drawn once a process from fixed seeds and then scaled, mirrored and placed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import pi

import cv2
import numpy as np

from datasets.synthetic import textures
from datasets.synthetic.canvas import Canvas, Colour, Light, Sprite

VARIANTS = 10

_LIGHT = Light((-0.45, 0.6, 0.66), 0.5, 0.6, (0.0, 0.0))
_PAINTS = (
    *((30, 32, 36), (70, 72, 76), (120, 122, 126), (170, 172, 176), (224, 224, 224), (236, 236, 232)),
    *((40, 60, 100), (130, 30, 34), (60, 80, 70), (150, 130, 100), (90, 130, 170), (190, 160, 50)),
)
_METALS = ((60, 62, 66), (90, 92, 94), (130, 132, 134), (44, 60, 52), (70, 64, 60), (160, 160, 158))
_LEAVES = ((58, 84, 40), (74, 100, 46), (92, 112, 54), (48, 70, 44), (112, 118, 58), (150, 110, 50))


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
    stock = _stock(prop.kind, prop.variant % VARIANTS)
    ratio = scale * prop.size / stock.scale
    height, width = stock.alpha.shape
    size = (max(2, round(width * ratio)), max(2, round(height * ratio)))
    method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    alpha = cv2.resize(stock.alpha, size, interpolation=method)
    colour = cv2.resize(stock.colour, size, interpolation=method) if coloured else None
    anchor = stock.foot[0] * ratio
    if prop.mirrored:
        alpha, anchor = np.ascontiguousarray(alpha[:, ::-1]), size[0] - anchor
        colour = np.ascontiguousarray(colour[:, ::-1]) if coloured else None
    left, top = round(foot[0] - anchor), round(foot[1] - stock.foot[1] * ratio)
    return Sprite(left, top, alpha, colour, None, None, foot)


@cache
def _stock(kind: str, variant: int) -> Stock:
    extent, scale, draw = KINDS[kind]
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence((2000, *kind.encode(), variant))))
    canvas = Canvas(extent, scale, (-extent[0] * scale, extent[3] * scale), _LIGHT, coloured=True, person=False)
    draw(canvas, rng)
    offset = (int(rng.integers(1024)), int(rng.integers(1024)))
    texture = textures.grain() if kind in ("tree", "bush") else textures.fractal()
    sprite = canvas.finish(
        textures.cut(texture, offset, canvas.height, canvas.width), 0.8 if kind in ("tree", "bush") else 0.22
    )
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


def _colour(rng: np.random.Generator, colours: tuple[Colour, ...], by: int = 14) -> Colour:
    base = colours[int(rng.integers(len(colours)))]
    common = rng.integers(-by, by + 1)
    return tuple(int(np.clip(c + common + rng.integers(-4, 5), 4, 250)) for c in base)


def _shade(colour: Colour, share: float) -> Colour:
    return tuple(int(min(255, c * share)) for c in colour)


def _p(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, np.float64)


def _bar(canvas: Canvas, x: float, low: float, high: float, half: float, colour: Colour) -> None:
    """An upright round post."""
    canvas.tube(_p((x, low), (x, high)), np.array((half, half)), colour, body=False, round_ends=False, strips=5)


def _block(canvas: Canvas, x1: float, y1: float, x2: float, y2: float, colour: Colour, light: float = 1.0) -> None:
    canvas.polygon(_p((x1, y1), (x2, y1), (x2, y2), (x1, y2)), colour, light, body=False)


def _disc(x: float, y: float, radius: float, points: int = 24) -> np.ndarray:
    angles = np.arange(points) * 2 * pi / points
    return np.stack((x + radius * np.cos(angles), y + radius * np.sin(angles)), axis=1)


def _car_side(canvas: Canvas, rng: np.random.Generator) -> None:
    paint = _colour(rng, _PAINTS)
    van = rng.uniform() < 0.22
    roof = rng.uniform(1.9, 2.2) if van else rng.uniform(1.4, 1.6)
    belt = 0.62 * roof if not van else 0.55 * roof
    end, nose = -2.1, 2.1
    a, b = (-2.05, 1.25) if van else (rng.uniform(-1.95, -1.5), rng.uniform(0.4, 0.8))
    front = b + rng.uniform(0.5, 0.75)
    body = _p(
        *((end, 0.35), (end - 0.03, 0.75), (end + 0.05, belt), (a, belt + 0.02), (a + 0.3 * (not van), roof - 0.05)),
        *((a + 0.6, roof), (b - 0.3, roof), (b, roof - 0.06), (front, belt + 0.02)),
        *((nose - 0.15, belt - 0.14), (nose, 0.7), (nose, 0.38), (nose - 0.1, 0.28), (end + 0.1, 0.28)),
    )
    canvas.polygon(body, paint, 0.95, body=False)
    canvas.polygon(_p((end, 0.28), (nose, 0.28), (nose, 0.55), (end, 0.55)), paint, 0.62, body=False)
    canvas.polygon(
        _p((end, belt - 0.12), (nose - 0.2, belt - 0.2), (nose - 0.2, belt - 0.1), (end, belt)), paint, 1.25, body=False
    )
    glass = (38, 44, 50)
    low, high = belt + 0.05, roof - 0.1
    if van:
        canvas.polygon(
            _p((b - 0.75, low), (front - 0.1, low), (b - 0.05, high), (b - 0.75, high)), glass, 1.0, body=False
        )
    else:
        canvas.polygon(
            _p((a + 0.14, low), (front - 0.12, low), (b - 0.06, high), (a + 0.55, high)), glass, 1.0, body=False
        )
        canvas.polygon(
            _p((a + 0.5, high - 0.12), (b - 0.2, high - 0.12), (b - 0.1, high), (a + 0.55, high)),
            (110, 124, 136),
            1.0,
            body=False,
        )
        middle = 0.5 * (a + b) + 0.25
        _block(canvas, middle - 0.05, low, middle + 0.05, high, paint, 0.7)
        canvas.crease(_p((middle, belt), (middle, 0.35)), 0.015, 0.5)
        canvas.crease(_p((a + 0.25, belt), (a + 0.3, 0.4)), 0.015, 0.5)
    _block(canvas, nose - 0.22, 0.66, nose - 0.02, 0.78, (230, 230, 220))
    _block(canvas, end, 0.72, end + 0.12, 0.9, (150, 24, 24))
    for x in (-1.3, 1.32):
        canvas.polygon(_disc(x, 0.34, 0.38), (16, 16, 18), 0.6, body=False)
        canvas.polygon(_disc(x, 0.32, 0.32), (28, 28, 30), 0.9, body=False)
        canvas.polygon(_disc(x, 0.32, 0.2), (150, 152, 154), 0.9, body=False)
        for spoke in range(5):
            tip = _disc(x, 0.32, 0.19, 5)[spoke]
            canvas.crease(_p((x, 0.32), tuple(tip)), 0.04, 0.45)


def _car_rear(canvas: Canvas, rng: np.random.Generator) -> None:
    paint = _colour(rng, _PAINTS)
    front = rng.uniform() < 0.5
    roof = rng.uniform(1.4, 1.75)
    belt = 0.6 * roof
    for x in (-0.68, 0.68):
        canvas.tube(_p((x, 0.02), (x, 0.5)), np.array((0.11, 0.11)), (22, 22, 24), body=False, round_ends=False)
    canvas.polygon(
        _p(
            (-0.86, 0.28),
            (0.86, 0.28),
            (0.9, belt - 0.1),
            (0.84, belt),
            (0.62, roof - 0.06),
            (0.5, roof),
            (-0.5, roof),
            (-0.62, roof - 0.06),
            (-0.84, belt),
            (-0.9, belt - 0.1),
        ),
        paint,
        0.9,
        body=False,
    )
    canvas.polygon(
        _p((-0.7, belt + 0.03), (0.7, belt + 0.03), (0.54, roof - 0.1), (-0.54, roof - 0.1)),
        (40, 46, 52),
        1.0,
        body=False,
    )
    canvas.polygon(
        _p((-0.6, roof - 0.25), (0.6, roof - 0.25), (0.54, roof - 0.1), (-0.54, roof - 0.1)),
        (104, 118, 130),
        1.0,
        body=False,
    )
    canvas.polygon(_p((-0.86, belt - 0.1), (0.86, belt - 0.1), (0.84, belt), (-0.84, belt)), paint, 1.2, body=False)
    _block(canvas, -0.86, 0.26, 0.86, 0.46, (36, 36, 38))
    lamp = (236, 236, 226) if front else (160, 26, 26)
    for x in (-0.72, 0.72):
        _block(canvas, x - 0.14, belt - 0.3, x + 0.14, belt - 0.14, lamp, 1.1)
    _block(canvas, -0.26, 0.5, 0.26, 0.61, (236, 236, 230))


def _trunk(canvas: Canvas, rng: np.random.Generator) -> tuple[float, float, Colour]:
    """Stem and boughs; returns where the crown begins (right, up) and the colour of the bark."""
    bark = _colour(rng, ((74, 62, 52), (92, 80, 68), (60, 54, 48)))
    fork = rng.uniform(1.9, 2.8)
    bend = rng.uniform(-0.25, 0.25)
    canvas.tube(_p((0, 0), (bend * 0.4, fork), (bend, fork + 1.8)), np.array((0.2, 0.14, 0.08)), bark, body=False)
    for _ in range(6):
        tip = (bend + rng.uniform(-1.7, 1.7), fork + rng.uniform(1.2, 3.2))
        start = (bend * 0.5, fork + rng.uniform(-0.3, 0.9))
        canvas.tube(_p(start, tip), np.array((0.07, 0.02)), bark, body=False, strips=3)
    return bend, fork, bark


def _bare_tree(canvas: Canvas, rng: np.random.Generator) -> None:
    bend, fork, bark = _trunk(canvas, rng)
    for _ in range(90):
        start = np.array((bend + rng.uniform(-1.5, 1.5), fork + rng.uniform(0.4, 3.2)))
        tip = start + np.array((rng.uniform(-0.6, 0.6), rng.uniform(0.2, 0.9)))
        canvas.line(np.array((start, tip)), 0.025, bark)


def _tree(canvas: Canvas, rng: np.random.Generator) -> None:
    bend, fork, _ = _trunk(canvas, rng)
    leaf = _colour(rng, _LEAVES)
    crown = (rng.uniform(1.3, 1.8), rng.uniform(1.5, 2.1))
    clumps = []
    for _ in range(110):
        angle, out = rng.uniform(0, 2 * pi), np.sqrt(rng.uniform(0, 1))
        clumps.append((crown[0] * out * np.cos(angle), crown[1] * out * np.sin(angle), rng.uniform(0.22, 0.52)))
    middle = np.array((bend, fork + 0.6 + crown[1]))
    # Dark clumps deep inside first, lit ones on top.
    for k, (x, y, radius) in enumerate(clumps):
        lit = 0.5 + 0.35 * k / len(clumps) + 0.22 * y / crown[1] - 0.12 * x / crown[0]
        tone = _shade(leaf, float(lit + rng.uniform(-0.1, 0.1)))
        canvas.polygon(_disc(middle[0] + x, middle[1] + y, radius, 9), tone, 1.0, body=False)


def _bush(canvas: Canvas, rng: np.random.Generator) -> None:
    leaf = _colour(rng, _LEAVES[:4])
    for _ in range(26):
        centre = np.array((rng.uniform(-1.1, 1.1), rng.uniform(0.2, 0.85)))
        tone = _shade(leaf, float(0.6 + 0.5 * centre[1] + rng.uniform(-0.12, 0.12)))
        canvas.blob(centre, np.array((0.0, 1.0)), rng.uniform(0.2, 0.4), rng.uniform(0.16, 0.3), tone, body=False)


def _lamp(canvas: Canvas, rng: np.random.Generator) -> None:
    metal = _colour(rng, _METALS)
    _bar(canvas, 0, 0, 0.9, 0.09, metal)
    _bar(canvas, 0, 0.8, 5.6, 0.05, metal)
    if rng.uniform() < 0.5:
        canvas.line(_p((0, 5.5), (0.5, 5.75), (1.0, 5.75)), 0.07, metal)
        _block(canvas, 0.8, 5.66, 1.4, 5.8, (200, 200, 190))
    else:
        canvas.blob(np.array((0, 5.75)), np.array((0.0, 1.0)), 0.22, 0.25, (230, 228, 214), body=False)


def _sign(canvas: Canvas, rng: np.random.Generator) -> None:
    _bar(canvas, 0, 0, 2.7, 0.035, (140, 142, 144))
    kind, y = int(rng.integers(4)), 2.45
    if kind == 0:
        canvas.polygon(_disc(0, y, 0.32), (176, 30, 34), 1.0, body=False)
        canvas.polygon(_disc(0, y, 0.24), (236, 236, 234) if rng.uniform() < 0.5 else (30, 70, 150), 1.0, body=False)
    elif kind == 1:
        canvas.polygon(_p((-0.38, y + 0.3), (0.38, y + 0.3), (0, y - 0.34)), (176, 30, 34), 1.0, body=False)
        canvas.polygon(_p((-0.26, y + 0.23), (0.26, y + 0.23), (0, y - 0.2)), (236, 236, 234), 1.0, body=False)
    elif kind == 2:
        _block(canvas, -0.3, y - 0.3, 0.3, y + 0.3, (30, 80, 160))
        _block(canvas, -0.16, y - 0.2, 0.0, y + 0.2, (236, 236, 234))
    else:
        _block(canvas, -0.5, y - 0.1, 0.5, y + 0.2, _colour(rng, ((30, 80, 160), (236, 236, 230), (220, 190, 50))))
        _block(canvas, -0.4, y, 0.4, y + 0.08, (60, 60, 62))


def _traffic_light(canvas: Canvas, rng: np.random.Generator) -> None:
    _bar(canvas, 0, 0, 3.2, 0.055, _colour(rng, _METALS))
    _block(canvas, -0.16, 2.3, 0.16, 3.15, (26, 28, 28))
    on = int(rng.integers(3))
    for k, lamp in enumerate(((220, 40, 30), (230, 170, 40), (60, 200, 110))):
        canvas.polygon(_disc(0, 3.0 - 0.27 * k, 0.1), lamp if k == on else _shade(lamp, 0.2), 1.0, body=False)


def _bollard(canvas: Canvas, rng: np.random.Generator) -> None:
    colour = _colour(rng, (*_METALS, (170, 166, 158), (150, 40, 40)))
    tall, half = rng.uniform(0.75, 1.15), rng.uniform(0.06, 0.14)
    canvas.tube(_p((0, 0), (0, tall)), np.array((half, half * rng.uniform(0.7, 1.0))), colour, body=False)
    if rng.uniform() < 0.5:
        _block(canvas, -half, tall - 0.2, half, tall - 0.1, (230, 230, 228))


def _post(canvas: Canvas, rng: np.random.Generator) -> None:
    """A post or pillar as tall and as wide as a person, the kind that deceives."""
    colour = _colour(rng, (*_METALS, (90, 74, 58), (150, 120, 70), (40, 60, 110), (140, 40, 40)))
    tall, half = rng.uniform(1.4, 2.0), rng.uniform(0.14, 0.28)
    canvas.tube(_p((0, 0), (0, tall)), np.array((half, half * rng.uniform(0.8, 1.0))), colour, body=False, strips=8)
    band = _colour(rng, _PAINTS)
    low = rng.uniform(0.5, 1.1)
    _block(canvas, -half * 0.97, low, half * 0.97, low + rng.uniform(0.2, 0.5), band, 0.95)
    if rng.uniform() < 0.5:
        canvas.blob(
            np.array((0, tall + 0.08)), np.array((0.0, 1.0)), half * 0.8, 0.13, _colour(rng, _PAINTS), body=False
        )


def _bin(canvas: Canvas, rng: np.random.Generator) -> None:
    colour = _colour(rng, ((40, 70, 50), (60, 62, 66), (40, 60, 110), (100, 100, 98), (190, 110, 40), (26, 28, 30)))
    half, tall = rng.uniform(0.22, 0.36), rng.uniform(0.8, 1.15)
    canvas.tube(_p((0, 0.04), (0, tall)), np.array((half * 0.85, half)), colour, body=False, round_ends=False)
    canvas.tube(_p((0, tall), (0, tall + 0.1)), np.array((half * 1.08, half * 0.9)), _shade(colour, 0.75), body=False)
    if rng.uniform() < 0.5:
        _block(canvas, -half * 0.6, tall * 0.75, half * 0.6, tall * 0.88, (20, 20, 20))
    for x in (-half * 0.7, half * 0.7):
        canvas.polygon(_disc(x, 0.07, 0.07, 10), (24, 24, 24), 0.8, body=False)


def _rack(canvas: Canvas, rng: np.random.Generator) -> None:
    """Coats on hangers: shoulders, sleeves and colour of a person, but no head and no legs."""
    wide = rng.uniform(0.5, 1.3)
    for x in (-wide, wide):
        _bar(canvas, x, 0, 1.65, 0.025, (120, 122, 124))
    canvas.line(_p((-wide, 1.65), (wide, 1.65)), 0.04, (130, 132, 134))
    for x in np.arange(-wide + 0.22, wide - 0.1, rng.uniform(0.2, 0.5)):
        cloth = _colour(rng, (*_PAINTS, (150, 110, 70), (110, 40, 60), (190, 190, 180)))
        length = rng.uniform(0.55, 1.05)
        canvas.line(_p((x, 1.64), (x, 1.52)), 0.015, (150, 150, 150))
        stations = _p((x, 1.54), (x, 1.44), (x, 1.2), (x, 1.5 - length))
        for side in (-1, 1):
            canvas.tube(_p((x + 0.17 * side, 1.42), (x + 0.24 * side, 0.95)), np.array((0.06, 0.05)), cloth, body=False)
        canvas.tube(stations, np.array((0.06, 0.21, 0.2, 0.24)), cloth, body=False, round_ends=False)


def _planter(canvas: Canvas, rng: np.random.Generator) -> None:
    pot = _colour(rng, ((150, 146, 140), (120, 72, 54), (70, 70, 70)))
    for _ in range(18):
        centre = np.array((rng.uniform(-0.45, 0.45), rng.uniform(0.6, 1.1)))
        leaf = _shade(_colour(rng, _LEAVES[:4]), float(0.6 + 0.4 * centre[1]))
        canvas.blob(centre, np.array((0.0, 1.0)), rng.uniform(0.1, 0.2), rng.uniform(0.1, 0.22), leaf, body=False)
    canvas.tube(_p((0, 0.02), (0, 0.6)), np.array((0.4, 0.48)), pot, body=False, round_ends=False)


def _parked_bicycle(canvas: Canvas, rng: np.random.Generator) -> None:
    paint = _colour(rng, _PAINTS)
    for x in (-0.52, 0.52):
        ring = _disc(x, 0.34, 0.33)
        canvas.line(np.concatenate((ring, ring[:1])), 0.035, (30, 30, 32))
        for tip in ring[::4]:
            canvas.line(_p((x, 0.34), tuple(tip)), 0.006, (130, 130, 132))
    for a, b in (
        ((-0.52, 0.34), (-0.15, 0.8)),
        ((-0.52, 0.34), (-0.02, 0.3)),
        ((-0.02, 0.3), (-0.18, 0.88)),
        ((-0.02, 0.3), (0.36, 0.78)),
        ((-0.15, 0.78), (0.36, 0.8)),
        ((0.52, 0.34), (0.34, 0.98)),
    ):
        canvas.line(_p(a, b), 0.035, paint)
    canvas.line(_p((0.25, 1.02), (0.42, 1.0)), 0.035, (40, 40, 42))
    canvas.line(_p((-0.3, 0.92), (-0.06, 0.92)), 0.06, (24, 24, 24))


def _cafe(canvas: Canvas, rng: np.random.Generator) -> None:
    """A table with a parasol and empty chairs."""
    cloth = _colour(rng, ((170, 40, 40), (220, 214, 200), (40, 80, 60), (50, 70, 120), (200, 150, 60)))
    wood = _colour(rng, ((120, 84, 54), (60, 58, 56), (190, 188, 182)))
    _bar(canvas, 0, 0, 2.4, 0.03, (180, 178, 172))
    for x in (-0.75, 0.75):
        for leg in (-0.2, 0.2):
            _bar(canvas, x + leg, 0, 0.45, 0.02, wood)
        _block(canvas, x - 0.23, 0.42, x + 0.23, 0.48, wood)
        back = x + 0.2 * np.sign(x)
        _block(canvas, back - 0.04, 0.45, back + 0.04, 0.92, wood, 0.8)
    _block(canvas, -0.42, 0.7, 0.42, 0.75, wood, 1.1)
    if rng.uniform() < 0.7:
        canvas.polygon(_p((-1.4, 2.15), (0, 2.75), (1.4, 2.15)), cloth, 1.0, body=False)
        canvas.polygon(_p((-1.4, 2.15), (0, 2.75), (-0.4, 2.15)), cloth, 1.2, body=False)
        _block(canvas, -1.4, 2.0, 1.4, 2.16, _shade(cloth, 0.85))


def _board(canvas: Canvas, rng: np.random.Generator) -> None:
    """An advertising board; a poster's person is drawn on it."""
    for x in (-0.5, 0.5):
        _bar(canvas, x, 0, 0.6, 0.04, (80, 82, 84))
    _block(canvas, -0.68, 0.45, 0.68, 2.45, (70, 72, 74))
    ground = _colour(
        rng, ((230, 226, 216), (60, 110, 160), (220, 170, 60), (180, 50, 60), (90, 160, 130), (200, 200, 210)), 20
    )
    _block(canvas, -0.6, 0.53, 0.6, 2.37, ground)
    _block(canvas, -0.6, 0.53, 0.6, rng.uniform(0.7, 1.0), _shade(ground, 0.7))
    for k in range(3):
        wide = rng.uniform(0.15, 0.5)
        _block(
            canvas, -wide, 0.6 + 0.1 * k, wide, 0.65 + 0.1 * k, (240, 240, 236) if sum(ground) < 420 else (40, 40, 44)
        )


Drawing = Callable[[Canvas, np.random.Generator], None]

# Kind: the extent it stays inside (left, bottom, right, top in metres), pixels a metre, drawing.
KINDS: dict[str, tuple[tuple[float, float, float, float], float, Drawing]] = {
    "car_side": ((-2.3, -0.1, 2.3, 2.3), 90.0, _car_side),
    "car_rear": ((-1.0, -0.1, 1.0, 1.9), 110.0, _car_rear),
    "tree": ((-3.2, -0.3, 3.2, 8.2), 55.0, _tree),
    "bare_tree": ((-3.2, -0.3, 3.2, 8.2), 55.0, _bare_tree),
    "bush": ((-1.7, -0.1, 1.7, 1.4), 90.0, _bush),
    "lamp": ((-0.4, -0.1, 1.5, 6.2), 60.0, _lamp),
    "sign": ((-0.6, -0.1, 0.6, 2.9), 100.0, _sign),
    "traffic_light": ((-0.3, -0.1, 0.3, 3.4), 90.0, _traffic_light),
    "bollard": ((-0.25, -0.15, 0.25, 1.4), 130.0, _bollard),
    "post": ((-0.4, -0.3, 0.4, 2.4), 120.0, _post),
    "bin": ((-0.5, -0.1, 0.5, 1.7), 120.0, _bin),
    "rack": ((-1.5, -0.1, 1.5, 1.8), 120.0, _rack),
    "planter": ((-0.7, -0.1, 0.7, 1.4), 110.0, _planter),
    "bicycle": ((-1.0, -0.1, 1.0, 1.2), 120.0, _parked_bicycle),
    "cafe": ((-1.5, -0.1, 1.5, 2.9), 90.0, _cafe),
    "board": ((-0.8, -0.1, 0.8, 2.6), 110.0, _board),
}
