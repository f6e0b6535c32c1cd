"""A small enlarged canvas on which one figure or thing is drawn, and the sprite that comes out of it.

Shapes are filled without smoothing at `factor` times the size and averaged down, so edges come out soft and
the masks of a person are the same pixels whether or not colours are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import cv2
import numpy as np

SHIFT = 4  # shapes are placed to 1/16 of a canvas pixel
SOLID = 128  # a pixel belongs to a thing where the thing covers at least half of it

Colour = tuple[int, int, int]

_CIRCLE = np.stack([np.cos(np.arange(20) * 2 * np.pi / 20), np.sin(np.arange(20) * 2 * np.pi / 20)], axis=1)
_LEFT_TURN = np.array((-1.0, 1.0))
_RINGS = ((0.9, 0.36), (0.78, 0.5), (0.66, 0.62), (0.54, 0.72), (0.42, 0.8), (0.28, 0.86))


@dataclass(frozen=True)
class Light:
    """Where the light comes from and how hard it is.

    Attributes:
        direction: unit vector towards the light: right, up, near.
        sun: strength of the directed part, 0 (overcast) to about 0.8.
        ambient: strength of the rest.
        shadow: (across, along): where a shadow of height 1 falls on the ground, in the picture; along is
            positive towards the camera.
    """

    direction: tuple[float, float, float]
    sun: float
    ambient: float
    shadow: tuple[float, float]

    def on(self, right: float, up: float, near: float) -> float:
        """Brightness of a surface with this unit normal, about 1 for one that faces the light."""
        x, y, z = self.direction
        return self.ambient + self.sun * max(0.0, right * x + up * y + near * z)


@dataclass(frozen=True)
class Sprite:
    """A drawn thing with its place in the picture.

    Attributes:
        left, top: the picture's pixel of the first column and row.
        alpha: uint8 (h, w), how far each pixel is covered.
        colour: uint8 (h, w, 3), RGB times alpha; None where masks alone were asked for.
        full: bool (h, w), the person without what he or she carries; None for things.
        seen: bool (h, w), the part of `full` that carried things leave free; None for things.
        foot: the point (x, y) in the picture where the thing stands.
    """

    left: int
    top: int
    alpha: np.ndarray
    colour: np.ndarray | None
    full: np.ndarray | None
    seen: np.ndarray | None
    foot: tuple[float, float]


class Canvas:
    """Draws tubes, blobs and lines given in metres (right, up) around the point where the thing stands."""

    def __init__(
        self,
        extent: tuple[float, float, float, float],
        scale: float,
        foot: tuple[float, float],
        light: Light,
        *,
        coloured: bool,
        person: bool = True,
    ) -> None:
        """Args:
        extent: left, bottom, right, top in metres around the foot that everything drawn stays inside.
        scale: pixels of the picture a metre.
        foot: where the origin lies in the picture.
        light: the light of the scene.
        coloured: False draws the masks only.
        person: whether masks of a person are kept.
        """
        left, bottom, right, top = extent
        self.left = int(np.floor(foot[0] + left * scale)) - 1
        self.top = int(np.floor(foot[1] - top * scale)) - 1
        self.width = int(np.ceil(foot[0] + right * scale)) + 1 - self.left
        self.height = int(np.ceil(foot[1] - bottom * scale)) + 1 - self.top
        self.factor = 2 if self.height > 200 else 3 if self.height > 90 else 4
        self.scale = scale
        self.foot = foot
        self.light = light
        self.coloured = coloured
        self.shade = 1.0
        self.smooth: list[tuple[np.ndarray, float]] = []
        shape = (self.height * self.factor, self.width * self.factor)
        self.person = person
        self.alpha = np.zeros(shape, np.uint8)
        # Until something other than a body part is drawn, all that is covered is body.
        self.full: np.ndarray | None = None
        self.seen: np.ndarray | None = None
        if coloured:
            self.albedo = np.zeros((*shape, 3), np.uint8)
            self.lit = np.full(shape, 128, np.uint8)
        self._unit = scale * self.factor
        self._units = np.array((self._unit, -self._unit))
        self._origin = np.array(
            [
                (foot[0] - self.left) * self.factor - 0.5,
                (foot[1] - self.top) * self.factor - 0.5,
            ]
        )

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Metres (m, 2) right, up to canvas pixels."""
        return points[..., :2] * self._units + self._origin

    def polygon(self, points: np.ndarray, colour: Colour, brightness: float, *, body: bool = True) -> None:
        """Fill a polygon (m, 2) in metres with one colour and brightness (1 = as it is)."""
        self._fill(self.pixels(points), colour, brightness, body)

    def _fill(self, pixels: np.ndarray, colour: Colour, brightness: float, body: bool) -> None:
        outline = [np.rint(pixels * (1 << SHIFT)).astype(np.int32)]
        self._part_masks(body)
        cv2.fillPoly(self.alpha, outline, 255, cv2.LINE_8, SHIFT)
        if self.seen is not None and self.full is not None:
            cv2.fillPoly(self.seen, outline, 255 if body else 0, cv2.LINE_8, SHIFT)
            if body:
                cv2.fillPoly(self.full, outline, 255, cv2.LINE_8, SHIFT)
        if self.coloured:
            cv2.fillPoly(self.albedo, outline, colour, cv2.LINE_8, SHIFT)
            cv2.fillPoly(self.lit, outline, self._level(brightness), cv2.LINE_8, SHIFT)

    def _part_masks(self, body: bool) -> None:
        """Begin to keep body and belongings apart where the first of the belongings is drawn."""
        if self.person and not body and self.seen is None:
            self.full, self.seen = self.alpha.copy(), self.alpha.copy()

    def _level(self, brightness: float) -> int:
        return int(max(0, min(255, 128 * brightness * self.shade)))

    def paint(self, points: np.ndarray, colour: Colour) -> None:
        """Colour a polygon (m, 2) in metres that lies on something drawn; masks and light stay."""
        if self.coloured:
            outline = [np.rint(self.pixels(points) * (1 << SHIFT)).astype(np.int32)]
            cv2.fillPoly(self.albedo, outline, colour, cv2.LINE_8, SHIFT)

    def crease(self, points: np.ndarray, width: float, brightness: float = 0.45) -> None:
        """Darken along a line (m, 2) of `width` metres: a fold, a seam, a contact between parts."""
        if self.coloured:
            line = [np.rint(self.pixels(points) * (1 << SHIFT)).astype(np.int32)]
            thickness = max(1, round(width * self._unit))
            cv2.polylines(self.lit, line, False, self._level(brightness), thickness, cv2.LINE_8, SHIFT)

    def line(
        self, points: np.ndarray, width: float, colour: Colour, brightness: float = 1.0, *, body: bool = False
    ) -> None:
        """Draw a line (m, 2) of `width` metres."""
        line = [np.rint(self.pixels(points) * (1 << SHIFT)).astype(np.int32)]
        thickness = max(1, round(width * self._unit))
        self._part_masks(body)
        cv2.polylines(self.alpha, line, False, 255, thickness, cv2.LINE_8, SHIFT)
        if self.seen is not None and self.full is not None:
            cv2.polylines(self.seen, line, False, 255 if body else 0, thickness, cv2.LINE_8, SHIFT)
            if body:
                cv2.polylines(self.full, line, False, 255, thickness, cv2.LINE_8, SHIFT)
        if self.coloured:
            cv2.polylines(self.albedo, line, False, colour, thickness, cv2.LINE_8, SHIFT)
            cv2.polylines(self.lit, line, False, self._level(brightness), thickness, cv2.LINE_8, SHIFT)

    def blob(
        self,
        centre: np.ndarray,
        axis: np.ndarray,
        half_width: float,
        half_length: float,
        colour: Colour,
        *,
        body: bool = True,
    ) -> None:
        """A shaded ellipse about `centre` (right, up), long along the unit vector `axis`."""
        across = np.array([axis[1], -axis[0]])
        ring = centre + _CIRCLE[:, :1] * across * half_width + _CIRCLE[:, 1:] * axis * half_length
        self.polygon(ring, colour, self.light.on(0.0, 0.3, 0.954), body=body)
        if not self.coloured:
            return
        x, y, _ = self.light.direction
        rings = ((0.78, 0.5), (0.5, 0.85)) if self.scale < 70 else _RINGS
        for size, lift in rings:
            inner = (
                centre
                + (_CIRCLE[:, :1] * across * half_width + _CIRCLE[:, 1:] * axis * half_length) * size
                + np.array([x, y]) * (1 - size) * 0.5 * min(half_width, half_length)
            )
            level = self._level(self.light.ambient + self.light.sun * lift + 0.04)
            outline = [np.rint(self.pixels(inner) * (1 << SHIFT)).astype(np.int32)]
            cv2.fillPoly(self.lit, outline, level, cv2.LINE_8, SHIFT)

    def tube(
        self,
        centres: np.ndarray,
        half: np.ndarray,
        colour: Colour,
        *,
        body: bool = True,
        round_ends: bool = True,
        strips: int = 6,
        rim: float = 0.008,
    ) -> tuple[np.ndarray, np.ndarray]:
        """A rounded solid about a line, lit as a cylinder.

        Args:
            centres: (m, 2 or more) right, up of the stations along the line.
            half: (m,) half widths there, in metres.
            colour: its colour.
            body: whether it is part of the person.
            round_ends: closes both ends with half circles.
            strips: steps of the shading across.
            rim: width in metres of the dark line where it touches what lies behind.

        Returns:
            The outline's two sides, (m, 2) each, in metres, for patterns drawn on it.
        """
        # In canvas pixels from here on: rows grow downward.
        line = self.pixels(centres)
        tangent = np.empty_like(line)
        tangent[0], tangent[-1] = line[1] - line[0], line[-1] - line[-2]
        if len(line) > 2:
            tangent[1:-1] = line[2:] - line[:-2]
        length = np.sqrt((tangent * tangent).sum(axis=1, keepdims=True))
        across = tangent[:, ::-1] * _LEFT_TURN / np.maximum(length, 1e-6)
        radius = half * self._unit
        offset = across * radius[:, None]
        one, other = line + offset, line - offset
        if self.coloured and rim:
            # Along the sides only: where a limb begins it grows out of what it hangs on.
            sides = np.stack((one, other))
            sides[:, 0] += 0.2 * (sides[:, 1] - sides[:, 0])
            thickness = max(1, round(2 * rim * self._unit))
            fixed = list(np.rint(sides * (1 << SHIFT)).astype(np.int32))
            cv2.polylines(self.lit, fixed, False, self._level(0.55), thickness, cv2.LINE_8, SHIFT)
        middle = self.light.on(0.0, 0.1, 0.995)
        if round_ends:
            for end in (0, -1):
                self._fill(line[end] + _CIRCLE * radius[end], colour, middle, body)
        self._fill(np.concatenate((one, other[::-1])), colour, middle, body)
        if self.coloured:
            self._shade_tube(
                line, offset, across[len(across) // 2], max(2, min(strips, int(0.5 * float(radius.max()))))
            )
        return (one - self._origin) / self._units, (other - self._origin) / self._units

    def _shade_tube(self, line: np.ndarray, offset: np.ndarray, normal: np.ndarray, strips: int) -> None:
        """Light a tube as a cylinder, in strips along it.

        Args:
            line: (m, 2) its stations in canvas pixels.
            offset: (m, 2) from there to its first side.
            normal: (2,) unit vector to its first side, of the tube as a whole.
            strips: steps of the shading across.
        """
        n_right, n_down = normal.tolist()
        # All strips' outlines at once: (strips, 2 m, 2).
        edges = (np.arange(strips + 1) * (2 / strips) - 1)[:, None, None]
        lines = np.rint((line + offset * edges) * (1 << SHIFT)).astype(np.int32)
        quads = np.concatenate((lines[:-1], lines[1:, ::-1]), axis=1)
        for k, quad in enumerate(quads):
            u = (2 * k + 1) / strips - 1
            facing = sqrt(1 - u * u)
            level = self._level(self.light.on(n_right * u, -n_down * u, facing) * (0.8 + 0.2 * facing))
            cv2.fillPoly(self.lit, [quad], level, cv2.LINE_8, SHIFT)

    def keep_smooth(self, centre: np.ndarray, radius: float) -> None:
        """Leave a disc (right, up, metres) without folds: a face."""
        self.smooth.append((centre, radius))

    def finish(self, cloth: np.ndarray | None = None, strength: float = 0.0) -> Sprite:
        """Average down and light the drawing.

        Args:
            cloth: uint8 texture at least as large as the sprite, 128 = no change, laid over the light.
            strength: how much of it.
        """
        size = (self.width, self.height)
        alpha = cv2.resize(self.alpha, size, interpolation=cv2.INTER_AREA)
        colour = full = seen = None
        if self.person:
            full = seen = alpha >= SOLID
        if self.full is not None and self.seen is not None:
            full = cv2.resize(self.full, size, interpolation=cv2.INTER_AREA) >= SOLID
            seen = cv2.resize(self.seen, size, interpolation=cv2.INTER_AREA) >= SOLID
        if self.coloured:
            albedo = cv2.resize(self.albedo, size, interpolation=cv2.INTER_AREA)
            inside = cv2.bitwise_and(self.lit, self.alpha)
            lit = cv2.resize(inside, size, interpolation=cv2.INTER_AREA)
            spread = max(0.6, 0.012 * self.scale)
            lit = cv2.GaussianBlur(lit, (0, 0), spread)
            cover = cv2.GaussianBlur(alpha, (0, 0), spread)
            lit = cv2.divide(lit, cover, scale=255)
            if cloth is not None:
                if self.smooth:
                    cloth = cloth.copy()
                for centre, radius in self.smooth:
                    x, y = (self.pixels(centre) / self.factor).tolist()
                    cv2.circle(cloth, (round(x), round(y)), round(radius * self.scale), 128, -1)
                lit = cv2.addWeighted(lit, 1.0, cloth, strength, -128 * strength)
            colour = cv2.multiply(albedo, cv2.merge((lit, lit, lit)), scale=1 / 128)
        return Sprite(self.left, self.top, alpha, colour, full, seen, self.foot)
