"""Cars and parked bicycles, drawn on a canvas."""

from __future__ import annotations

import numpy as np

from upright.datasets.synthetic.drawing.canvas import Canvas
from upright.datasets.synthetic.drawing.palette import pick
from upright.datasets.synthetic.street.shapes import PAINTS, block, disc, points


def car_side(canvas: Canvas, rng: np.random.Generator) -> None:
    paint = pick(rng, PAINTS)
    van = rng.uniform() < 0.22
    roof = rng.uniform(1.9, 2.2) if van else rng.uniform(1.4, 1.6)
    belt = 0.62 * roof if not van else 0.55 * roof
    end, nose = -2.1, 2.1
    a, b = (-2.05, 1.25) if van else (rng.uniform(-1.95, -1.5), rng.uniform(0.4, 0.8))
    front = b + rng.uniform(0.5, 0.75)
    body = points(
        *((end, 0.35), (end - 0.03, 0.75), (end + 0.05, belt), (a, belt + 0.02), (a + 0.3 * (not van), roof - 0.05)),
        *((a + 0.6, roof), (b - 0.3, roof), (b, roof - 0.06), (front, belt + 0.02)),
        *((nose - 0.15, belt - 0.14), (nose, 0.7), (nose, 0.38), (nose - 0.1, 0.28), (end + 0.1, 0.28)),
    )
    canvas.polygon(body, paint, 0.95, body=False)
    canvas.polygon(points((end, 0.28), (nose, 0.28), (nose, 0.55), (end, 0.55)), paint, 0.62, body=False)
    canvas.polygon(
        points((end, belt - 0.12), (nose - 0.2, belt - 0.2), (nose - 0.2, belt - 0.1), (end, belt)),
        paint,
        1.25,
        body=False,
    )
    glass = (38, 44, 50)
    low, high = belt + 0.05, roof - 0.1
    if van:
        canvas.polygon(
            points((b - 0.75, low), (front - 0.1, low), (b - 0.05, high), (b - 0.75, high)), glass, 1.0, body=False
        )
    else:
        canvas.polygon(
            points((a + 0.14, low), (front - 0.12, low), (b - 0.06, high), (a + 0.55, high)), glass, 1.0, body=False
        )
        canvas.polygon(
            points((a + 0.5, high - 0.12), (b - 0.2, high - 0.12), (b - 0.1, high), (a + 0.55, high)),
            (110, 124, 136),
            1.0,
            body=False,
        )
        middle = 0.5 * (a + b) + 0.25
        block(canvas, middle - 0.05, low, middle + 0.05, high, paint, 0.7)
        canvas.crease(points((middle, belt), (middle, 0.35)), 0.015, 0.5)
        canvas.crease(points((a + 0.25, belt), (a + 0.3, 0.4)), 0.015, 0.5)
    block(canvas, nose - 0.22, 0.66, nose - 0.02, 0.78, (230, 230, 220))
    block(canvas, end, 0.72, end + 0.12, 0.9, (150, 24, 24))
    for x in (-1.3, 1.32):
        canvas.polygon(disc(x, 0.34, 0.38), (16, 16, 18), 0.6, body=False)
        canvas.polygon(disc(x, 0.32, 0.32), (28, 28, 30), 0.9, body=False)
        canvas.polygon(disc(x, 0.32, 0.2), (150, 152, 154), 0.9, body=False)
        for spoke in range(5):
            tip = disc(x, 0.32, 0.19, 5)[spoke]
            canvas.crease(points((x, 0.32), tuple(tip)), 0.04, 0.45)


def car_rear(canvas: Canvas, rng: np.random.Generator) -> None:
    paint = pick(rng, PAINTS)
    front = rng.uniform() < 0.5
    roof = rng.uniform(1.4, 1.75)
    belt = 0.6 * roof
    for x in (-0.68, 0.68):
        canvas.tube(points((x, 0.02), (x, 0.5)), np.array((0.11, 0.11)), (22, 22, 24), body=False, round_ends=False)
    canvas.polygon(
        points(
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
        points((-0.7, belt + 0.03), (0.7, belt + 0.03), (0.54, roof - 0.1), (-0.54, roof - 0.1)),
        (40, 46, 52),
        1.0,
        body=False,
    )
    canvas.polygon(
        points((-0.6, roof - 0.25), (0.6, roof - 0.25), (0.54, roof - 0.1), (-0.54, roof - 0.1)),
        (104, 118, 130),
        1.0,
        body=False,
    )
    canvas.polygon(points((-0.86, belt - 0.1), (0.86, belt - 0.1), (0.84, belt), (-0.84, belt)), paint, 1.2, body=False)
    block(canvas, -0.86, 0.26, 0.86, 0.46, (36, 36, 38))
    lamp = (236, 236, 226) if front else (160, 26, 26)
    for x in (-0.72, 0.72):
        block(canvas, x - 0.14, belt - 0.3, x + 0.14, belt - 0.14, lamp, 1.1)
    block(canvas, -0.26, 0.5, 0.26, 0.61, (236, 236, 230))


def parked_bicycle(canvas: Canvas, rng: np.random.Generator) -> None:
    paint = pick(rng, PAINTS)
    for x in (-0.52, 0.52):
        ring = disc(x, 0.34, 0.33)
        canvas.line(np.concatenate((ring, ring[:1])), 0.035, (30, 30, 32))
        for tip in ring[::4]:
            canvas.line(points((x, 0.34), tuple(tip)), 0.006, (130, 130, 132))
    for a, b in (
        ((-0.52, 0.34), (-0.15, 0.8)),
        ((-0.52, 0.34), (-0.02, 0.3)),
        ((-0.02, 0.3), (-0.18, 0.88)),
        ((-0.02, 0.3), (0.36, 0.78)),
        ((-0.15, 0.78), (0.36, 0.8)),
        ((0.52, 0.34), (0.34, 0.98)),
    ):
        canvas.line(points(a, b), 0.035, paint)
    canvas.line(points((0.25, 1.02), (0.42, 1.0)), 0.035, (40, 40, 42))
    canvas.line(points((-0.3, 0.92), (-0.06, 0.92)), 0.06, (24, 24, 24))
