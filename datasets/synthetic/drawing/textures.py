"""Noise that is made once a process from fixed seeds and cut at an offset: no picture pays for random numbers.

All of it is uint8 around 128, repeats after 1024 pixels, and is made with whole numbers, so that every
machine makes the same.
"""

from __future__ import annotations

from functools import cache, reduce

import cv2
import numpy as np

SIDE = 1024


def _grid_noise(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    grid = rng.integers(0, 256, (rows, columns), dtype=np.uint8)
    # Two cells of the other end on each side, so that the texture goes on where it wraps around.
    grid = np.pad(grid, 2, mode="wrap")
    down, right = SIDE // rows, SIDE // columns
    size = (down * rows + 4 * down, right * columns + 4 * right)
    smooth = cv2.resize(grid, size[::-1], interpolation=cv2.INTER_LINEAR_EXACT)
    smooth = smooth[2 * down : 2 * down + SIDE, 2 * right : 2 * right + SIDE]
    return smooth.astype(np.int32) - 128


def _normalised(total: np.ndarray, std: int) -> np.ndarray:
    spread = max(1, int(np.sqrt(np.mean(total.astype(np.int64) ** 2))))
    texture = np.clip(128 + total * std // spread, 0, 255).astype(np.uint8)
    # Its beginning again at its end, so that a piece is a view wherever it begins.
    margin = ((0, 512), (0, 704), *((0, 0),) * (texture.ndim - 2))
    return np.pad(texture, margin, mode="wrap")


@cache
def fractal() -> np.ndarray:
    """Noise with a falling spectrum, as most surfaces have. uint8 (1536, 1728), std 32."""
    rng = np.random.Generator(np.random.PCG64(11))
    octaves = (_grid_noise(rng, n, n) * (1024 // n) // 16 for n in (8, 16, 32, 64, 128, 256, 512))
    return _normalised(reduce(np.add, octaves), 32)


@cache
def grain() -> np.ndarray:
    """Fine noise of asphalt, plaster and grass. uint8 (1536, 1728), std 32."""
    rng = np.random.Generator(np.random.PCG64(12))
    octaves = (_grid_noise(rng, n, n) * weight for n, weight in ((1024, 3), (512, 3), (256, 2), (64, 1)))
    return _normalised(reduce(np.add, octaves), 32)


@cache
def folds() -> np.ndarray:
    """Long soft ridges, as cloth has them, mostly upright. uint8 (1536, 1728), std 32."""
    rng = np.random.Generator(np.random.PCG64(13))
    total = sum(
        _grid_noise(rng, rows, columns) * weight
        for rows, columns, weight in ((16, 32, 2), (64, 128, 3), (128, 256, 3), (256, 512, 2))
    )
    ridged = 128 - 2 * np.abs(total // 4)
    return _normalised(ridged - int(ridged.mean()), 32)


@cache
def sensor_noise() -> np.ndarray:
    """Normal noise, each channel partly its own. uint8 (1536, 1728, 3), std 32."""
    rng = np.random.Generator(np.random.PCG64(14))
    own = rng.integers(-64, 64, (4, SIDE, SIDE, 3), dtype=np.int32).sum(axis=0)
    shared = rng.integers(-64, 64, (4, SIDE, SIDE, 1), dtype=np.int32).sum(axis=0)
    return _normalised(own * 2 + shared * 3, 32)


def cut(texture: np.ndarray, offset: tuple[int, int], height: int, width: int) -> np.ndarray:
    """A piece of a texture from `offset` (row, column), wrapped around where it is too small."""
    top, left = offset[0] % SIDE, offset[1] % SIDE
    if top + height <= texture.shape[0] and left + width <= texture.shape[1]:
        return texture[top : top + height, left : left + width]
    rows = (top + np.arange(height)) % SIDE
    columns = (left + np.arange(width)) % SIDE
    return texture[np.ix_(rows, columns)]
