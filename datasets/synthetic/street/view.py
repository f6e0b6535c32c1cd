"""The camera, the place it looks at and the light: everything of a scene that is settled before anything is drawn.

The ground is the plane Y = 0; X goes right, Z away from the camera, in metres. A point is seen at column
cx + focal X / Z and row horizon - focal (Y - camera) / Z, so that a metre at distance Z has focal / Z pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from upright.datasets.synthetic.drawing.canvas import Colour, Light

KINDS = ("street", "front", "square", "park", "hall")


@dataclass(frozen=True)
class View:
    """A camera in a place.

    Attributes:
        size: width and height of the picture.
        focal: focal length in pixels.
        cx: column of the vanishing point.
        horizon: row of the horizon.
        camera: height of the camera over the ground in metres.
        kind: one of `KINDS`.
        left, right: X of the walls (or of the end of the walkable ground).
        far: Z of the far end: the front of the houses, or where the street ends.
        kerbs: X (of a street) or Z (of a front) where the road begins and ends; None without a road.
        haze: distance in metres over which things fade, 0 for clear air.
        haze_colour: what they fade into.
        light: the light.
        warm: the weather, 0 winter to 1 summer.
        unit: size of the picture relative to 480 rows; of a rolled camera, of the picture that is seen.
    """

    size: tuple[int, int]
    focal: float
    cx: float
    horizon: float
    camera: float
    kind: str
    left: float
    right: float
    far: float
    kerbs: tuple[float, float] | None
    haze: float
    haze_colour: Colour
    light: Light
    warm: float
    unit: float

    @property
    def near(self) -> float:
        """Z of the ground at the picture's lower edge."""
        return self.focal * self.camera / (self.size[1] - self.horizon)

    def scale(self, z: float) -> float:
        """Pixels a metre at distance z."""
        return self.focal / z

    def foot(self, x: float, z: float) -> tuple[float, float]:
        """Where the point (x, z) of the ground is seen."""
        return self.cx + self.focal * x / z, self.horizon + self.focal * self.camera / z

    def seen(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 3), X Y Z, to columns and rows (n, 2)."""
        scale = self.focal / points[:, 2]
        return np.stack((self.cx + points[:, 0] * scale, self.horizon - (points[:, 1] - self.camera) * scale), axis=1)

    def fade(self, z: float) -> float:
        """Share of haze before a thing at distance z."""
        return 0.0 if self.haze <= 0 else min(0.75, 1.0 - float(np.exp(-z / self.haze)))


def draw_view(rng: np.random.Generator, size: tuple[int, int]) -> View:
    """A camera, a place and a light at random."""
    width, height = size
    unit = height / 480
    kind = str(rng.choice(KINDS, p=(0.38, 0.27, 0.13, 0.12, 0.1)))
    camera = float(
        rng.choice((rng.uniform(1.2, 1.9), rng.uniform(1.9, 3.0), rng.uniform(3.0, 6.0)), p=(0.55, 0.3, 0.15))
    )
    if kind == "hall":
        camera = min(camera, 2.6)
    focal = float(np.exp(rng.uniform(np.log(380), np.log(900)))) * unit
    # A high camera looks down: the horizon rises.
    horizon = height * float(rng.uniform(0.3, 0.5)) - unit * 30 * max(0.0, camera - 1.8)
    left, right, far, kerbs = _ground_plan(rng, kind, camera)
    return View(
        size=size,
        focal=focal,
        cx=width * float(rng.uniform(0.25, 0.75) if kind in ("street", "hall") else rng.uniform(0.4, 0.6)),
        horizon=horizon,
        camera=camera,
        kind=kind,
        left=left,
        right=right,
        far=far,
        kerbs=kerbs,
        haze=float(rng.choice((0.0, rng.uniform(120, 500), rng.uniform(40, 120)), p=(0.35, 0.5, 0.15)))
        * (kind != "hall"),
        haze_colour=_haze_colour(rng),
        light=_light(rng, kind),
        warm=float(rng.uniform(0, 1)),
        unit=unit,
    )


def _ground_plan(
    rng: np.random.Generator, kind: str, camera: float
) -> tuple[float, float, float, tuple[float, float] | None]:
    """X of the walls, Z of the far end, and the kerbs."""
    if kind == "street":
        left, right = -float(rng.uniform(2.2, 9)), float(rng.uniform(2.2, 9))
        kerbs = None
        if right - left > 9:
            kerbs = (left + float(rng.uniform(2, 3.6)), right - float(rng.uniform(2, 3.6)))
        return left, right, float(rng.uniform(45, 90)), kerbs
    if kind == "front":
        far = float(rng.uniform(9, 24)) * max(1.0, camera / 2.2)
        kerbs = None
        if far > 11 and rng.uniform() < 0.75:
            kerbs = (far - float(rng.uniform(7.5, 9.5)), far - float(rng.uniform(2.2, 3.4)))
        return -60.0, 60.0, far, kerbs
    if kind == "square":
        return -80.0, 80.0, float(rng.uniform(26, 60)), None
    if kind == "park":
        return -80.0, 80.0, float(rng.uniform(30, 70)), (float(rng.uniform(-4, -1)), float(rng.uniform(1, 4)))
    return -float(rng.uniform(2.5, 6)), float(rng.uniform(2.5, 6)), float(rng.uniform(18, 40)), None


def _light(rng: np.random.Generator, kind: str) -> Light:
    side = float(rng.uniform(-0.8, 0.8))
    direction = np.array((side, rng.uniform(0.3, 0.8), rng.uniform(0.2, 0.9)))
    direction /= np.sqrt((direction**2).sum())
    sunny = rng.uniform() < 0.5 and kind != "hall"
    sun = float(rng.uniform(0.5, 0.8) if sunny else rng.uniform(0.18, 0.4))
    return Light(
        direction=(float(direction[0]), float(direction[1]), float(direction[2])),
        sun=sun,
        ambient=float(rng.uniform(0.9, 1.0) - 0.72 * sun),
        shadow=(-side * float(rng.uniform(0.5, 1.5)), float(rng.uniform(-0.3, 0.25))),
    )


def _haze_colour(rng: np.random.Generator) -> Colour:
    grey = int(rng.integers(165, 230))
    blue = int(rng.integers(0, 16))
    return grey - blue // 2, grey, min(255, grey + blue)
