"""Trees, bushes and planters, drawn on a canvas."""

from __future__ import annotations

from math import pi

import numpy as np

from upright.datasets.synthetic.drawing.canvas import Canvas, Colour
from upright.datasets.synthetic.drawing.palette import pick, shaded
from upright.datasets.synthetic.street.shapes import disc, points

_LEAVES = ((58, 84, 40), (74, 100, 46), (92, 112, 54), (48, 70, 44), (112, 118, 58), (150, 110, 50))


def _trunk(canvas: Canvas, rng: np.random.Generator) -> tuple[float, float, Colour]:
    """Stem and boughs; returns where the crown begins (right, up) and the colour of the bark."""
    bark = pick(rng, ((74, 62, 52), (92, 80, 68), (60, 54, 48)))
    fork = rng.uniform(1.9, 2.8)
    bend = rng.uniform(-0.25, 0.25)
    canvas.tube(points((0, 0), (bend * 0.4, fork), (bend, fork + 1.8)), np.array((0.2, 0.14, 0.08)), bark, body=False)
    for _ in range(6):
        tip = (bend + rng.uniform(-1.7, 1.7), fork + rng.uniform(1.2, 3.2))
        start = (bend * 0.5, fork + rng.uniform(-0.3, 0.9))
        canvas.tube(points(start, tip), np.array((0.07, 0.02)), bark, body=False, strips=3)
    return bend, fork, bark


def bare_tree(canvas: Canvas, rng: np.random.Generator) -> None:
    bend, fork, bark = _trunk(canvas, rng)
    for _ in range(90):
        start = np.array((bend + rng.uniform(-1.5, 1.5), fork + rng.uniform(0.4, 3.2)))
        tip = start + np.array((rng.uniform(-0.6, 0.6), rng.uniform(0.2, 0.9)))
        canvas.line(np.array((start, tip)), 0.025, bark)


def tree(canvas: Canvas, rng: np.random.Generator) -> None:
    bend, fork, _ = _trunk(canvas, rng)
    leaf = pick(rng, _LEAVES)
    crown = (rng.uniform(1.3, 1.8), rng.uniform(1.5, 2.1))
    clumps = []
    for _ in range(110):
        angle, out = rng.uniform(0, 2 * pi), np.sqrt(rng.uniform(0, 1))
        clumps.append((crown[0] * out * np.cos(angle), crown[1] * out * np.sin(angle), rng.uniform(0.22, 0.52)))
    middle = np.array((bend, fork + 0.6 + crown[1]))
    # Dark clumps deep inside first, lit ones on top.
    for k, (x, y, radius) in enumerate(clumps):
        lit = 0.5 + 0.35 * k / len(clumps) + 0.22 * y / crown[1] - 0.12 * x / crown[0]
        tone = shaded(leaf, float(lit + rng.uniform(-0.1, 0.1)))
        canvas.polygon(disc(middle[0] + x, middle[1] + y, radius, 9), tone, 1.0, body=False)


def bush(canvas: Canvas, rng: np.random.Generator) -> None:
    leaf = pick(rng, _LEAVES[:4])
    for _ in range(26):
        centre = np.array((rng.uniform(-1.1, 1.1), rng.uniform(0.2, 0.85)))
        tone = shaded(leaf, float(0.6 + 0.5 * centre[1] + rng.uniform(-0.12, 0.12)))
        canvas.blob(centre, np.array((0.0, 1.0)), rng.uniform(0.2, 0.4), rng.uniform(0.16, 0.3), tone, body=False)


def planter(canvas: Canvas, rng: np.random.Generator) -> None:
    pot = pick(rng, ((150, 146, 140), (120, 72, 54), (70, 70, 70)))
    for _ in range(18):
        centre = np.array((rng.uniform(-0.45, 0.45), rng.uniform(0.6, 1.1)))
        leaf = shaded(pick(rng, _LEAVES[:4]), float(0.6 + 0.4 * centre[1]))
        canvas.blob(centre, np.array((0.0, 1.0)), rng.uniform(0.1, 0.2), rng.uniform(0.1, 0.22), leaf, body=False)
    canvas.tube(points((0, 0.02), (0, 0.6)), np.array((0.4, 0.48)), pot, body=False, round_ends=False)
