"""The empty stage: sky, houses, ground, and the camera that looks at it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from datasets.synthetic import textures
from datasets.synthetic.canvas import Light


@dataclass(frozen=True)
class View:
    """The camera: a point on the ground at row y is seen at (y - horizon) / camera pixels a metre.

    Attributes:
        size: width and height of the picture.
        horizon: row of the horizon.
        camera: height of the camera over the ground in metres.
        far: row where the walkable ground ends (the foot of the houses).
        haze: share of haze per unit of distance.
        haze_colour: its colour.
        light: the light.
        warm: the weather, 0 winter to 1 summer.
    """

    size: tuple[int, int]
    horizon: float
    camera: float
    far: float
    haze: float
    haze_colour: tuple[int, int, int]
    light: Light
    warm: float

    def row(self, scale: float) -> float:
        """The row of the ground where a metre is `scale` pixels."""
        return self.horizon + scale * self.camera


def draw_view(rng: np.random.Generator, size: tuple[int, int]) -> View:
    """A camera and a light at random."""
    height = size[1]
    unit = height / 480
    camera = float(rng.choice((rng.uniform(1.2, 1.9), rng.uniform(1.9, 3.2), rng.uniform(3.2, 6.0)), p=(0.5, 0.3, 0.2)))
    horizon = float(height * rng.uniform(0.28, 0.5)) - unit * 12 * (camera - 1.5)
    far = horizon + camera * unit * float(np.exp(rng.uniform(np.log(9), np.log(45))))
    side = rng.uniform(-0.8, 0.8)
    direction = np.array((side, rng.uniform(0.35, 0.8), rng.uniform(0.25, 0.9)))
    direction /= np.sqrt((direction**2).sum())
    sun = float(rng.choice((rng.uniform(0.1, 0.3), rng.uniform(0.45, 0.75)), p=(0.5, 0.5)))
    light = Light(
        direction=tuple(float(v) for v in direction),
        sun=sun,
        ambient=float(0.95 - 0.72 * sun),
        shadow=(float(-side * rng.uniform(0.5, 1.6)), float(rng.uniform(-0.35, 0.3))),
    )
    grey = int(rng.integers(170, 235))
    return View(
        size=size,
        horizon=horizon,
        camera=camera,
        far=far,
        haze=float(rng.choice((0.0, rng.uniform(0, 4), rng.uniform(4, 14)), p=(0.3, 0.5, 0.2))) * unit,
        haze_colour=(grey - 6, grey, min(255, grey + 6)),
        light=light,
        warm=float(rng.uniform(0, 1)),
    )


def paint_scenery(rng: np.random.Generator, view: View) -> np.ndarray:
    """The stage without people. uint8 (H, W, 3), RGB."""
    width, height = view.size
    picture = np.empty((height, width, 3), np.uint8)
    top = np.array((rng.integers(90, 190), rng.integers(140, 210), rng.integers(190, 245)))
    low = np.array((225, 228, 232))
    steps = np.linspace(0, 1, height)[:, None, None]
    picture[:] = top * (1 - steps) + low * steps
    base = round(view.far)
    x = -int(rng.integers(0, 120))
    while x < width:
        house = int(rng.integers(90, 300))
        roof = base - int(rng.integers(120, 420))
        colour = rng.integers(70, 215) + rng.integers(-18, 18, 3)
        cv2.rectangle(picture, (x, roof), (x + house, base), tuple(int(c) for c in colour), -1)
        gap, tall = int(rng.integers(24, 50)), int(rng.integers(26, 52))
        glass = tuple(int(c) for c in rng.integers(30, 110) + rng.integers(-10, 20, 3))
        for wy in range(base - 70, max(roof, -tall), -tall - 16):
            for wx in range(x + 12, x + house - gap // 2, gap):
                cv2.rectangle(picture, (wx, wy - tall), (wx + gap // 2, wy), glass, -1)
        x += house
    ground = int(rng.integers(85, 165))
    picture[base:] = (
        np.linspace(0.92, 1.05, max(1, height - base))[:, None, None] * (ground, ground - 2, ground - 5)
    ).clip(0, 255)
    offset = (int(rng.integers(1024)), int(rng.integers(1024)))
    for texture, strength in ((textures.fractal(), 0.35), (textures.grain(), 0.3)):
        layer = textures.cut(texture, offset, height, width)
        picture = cv2.addWeighted(picture, 1.0, cv2.merge((layer, layer, layer)), strength, -128 * strength)
    return picture
