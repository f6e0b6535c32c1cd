"""What a camera adds to a clean picture: blur, tone, noise, JPEG artefacts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from upright.datasets.synthetic.drawing import textures


@dataclass(frozen=True)
class Sensor:
    """One camera's settings.

    Attributes:
        blur: standard deviation (std) of the blur in pixels, 0 for none.
        sharpen: how much the camera sharpens, 0 for not.
        motion: length of a motion blur in pixels (odd), 0 for none.
        exposure: mean grey level that the camera aims at.
        gain: contrast about the middle.
        gamma: exponent of the tone curve.
        tint: factors of red, green and blue.
        noise: standard deviation of the noise in grey levels.
        quality: JPEG quality, 0 for no JPEG.
    """

    blur: float
    sharpen: float
    motion: int
    exposure: float
    gain: float
    gamma: float
    tint: tuple[float, float, float]
    noise: float
    quality: int


def draw_sensor(rng: np.random.Generator) -> Sensor:
    """A camera at random, most of them good."""
    warmth = rng.normal(0, 0.045)
    blur = rng.choice((0.0, rng.uniform(0.35, 0.6), rng.uniform(0.6, 1.4)), p=(0.35, 0.45, 0.2))
    return Sensor(
        blur=float(blur),
        sharpen=float(rng.uniform(0.2, 1.0)) if rng.uniform() < 0.4 else 0.0,
        motion=int(rng.choice((3, 5, 7))) if rng.uniform() < 0.06 else 0,
        exposure=float(rng.uniform(88, 138)),
        gain=float(rng.uniform(0.95, 1.4)),
        gamma=float(np.exp(rng.normal(0.06, 0.2))),
        tint=(float(1 + warmth), 1.0, float(1 - warmth)),
        noise=float(np.exp(rng.normal(1.1, 0.55))),
        quality=int(rng.integers(35, 96)) if rng.uniform() < 0.6 else 0,
    )


def expose(image: np.ndarray, sensor: Sensor, rng: np.random.Generator) -> np.ndarray:
    """The picture as the sensor gives it. image: uint8 (H, W, 3), RGB."""
    if sensor.motion:
        image = cv2.blur(image, (sensor.motion, 1))
    if sensor.blur:
        image = cv2.GaussianBlur(image, (5, 5), sensor.blur)
    if sensor.sharpen:
        image = cv2.addWeighted(image, 1 + sensor.sharpen, cv2.GaussianBlur(image, (5, 5), 1.0), -sensor.sharpen, 0)
    tone = np.arange(256) / 255.0
    aim = sensor.exposure / max(1.0, float(image[::8, ::8].mean()))
    tone = np.minimum(1.0, tone * min(2.4, max(0.65, aim)))
    curve = 0.5 + (tone**sensor.gamma - 0.5) * sensor.gain
    table = np.stack([np.clip(curve * t * 255, 0, 255) for t in sensor.tint], axis=1)
    image = cv2.LUT(image, np.rint(table).astype(np.uint8)[None])
    height, width = image.shape[:2]
    offset = (int(rng.integers(textures.SIDE)), int(rng.integers(textures.SIDE)))
    noise = textures.cut(textures.sensor_noise(), offset, height, width)
    strength = sensor.noise / 32
    image = cv2.addWeighted(image, 1.0, noise, strength, -128 * strength)
    if sensor.quality:
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, sensor.quality])
        unpacked = cv2.imdecode(packed, cv2.IMREAD_COLOR)
        assert unpacked is not None, "OpenCV reads what it has written"
        return unpacked
    return image
