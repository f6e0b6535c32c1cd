"""The distortions of Jaderberg et al. 2015, appendix A.4, and the tasks that are made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from upright.detector.spatial_transformer import (
    Affine,
    Projective,
    ThinPlateSpline,
    Transformation,
    sample,
    sampling_grid,
)
from upright.experiments.digits.mnist import SIDE, Digits

WIDE = 42  # side of a picture that a digit is placed on
TEST_SEED = 2015  # of the test sets

# Distortions: target points of the new picture to source points of the old, so theta is the inverse of what is done
# to the digit. Each takes pictures (B, 1, 28, 28) in 0..1 and gives (B, 1, H, W), black around. `strength` in 0..1
# multiplies what is done: the paper's distortion at 1, nothing at 0.


def rotated(pictures: Tensor, draw: np.random.Generator, strength: float = 1.0) -> Tensor:
    """R: turned by up to 90 degrees either way about the middle."""
    angle = strength * draw.uniform(-np.pi / 2, np.pi / 2, len(pictures))
    zeros = np.zeros_like(angle)
    theta = np.stack([np.cos(angle), -np.sin(angle), zeros, np.sin(angle), np.cos(angle), zeros], axis=-1)
    return warped(pictures, Affine(), theta, SIDE)


def placed(pictures: Tensor, draw: np.random.Generator, strength: float = 1.0) -> Tensor:
    """RTS: turned by up to 45 degrees, 0.7 to 1.2 times the size, its frame anywhere within 42 x 42."""
    count = len(pictures)
    angle = strength * draw.uniform(-np.pi / 4, np.pi / 4, count)
    scale = 1 + strength * (draw.uniform(0.7, 1.2, count) - 1)
    # The frame of the digit, were it not turned, stays on the picture.
    x, y = strength * draw.uniform(-1, 1, (2, count)) * (1 - scale * SIDE / WIDE)
    cosine, sine = np.cos(angle) / scale * WIDE / SIDE, np.sin(angle) / scale * WIDE / SIDE
    theta = np.stack([cosine, -sine, -cosine * x + sine * y, sine, cosine, -sine * x - cosine * y], axis=-1)
    return warped(pictures, Affine(), theta, WIDE)


def projected(pictures: Tensor, draw: np.random.Generator, strength: float = 1.0) -> Tensor:
    """P: 0.75 to 1 times the size, each corner moved along its diagonal by 5 pixels (standard deviation).

    The paper "stretches" each corner "by an amount". Moved along x and y by as much, one frame in twelve would be
    squeezed to a line that nobody reads.
    """
    count, corners = len(pictures), np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    scale = 1 - strength * draw.uniform(0, 0.25, (count, 1))
    stretched = scale + strength * draw.normal(0, 5 / (SIDE / 2 * np.sqrt(2)), (count, 4))
    # One corner in a thousand would cross the middle or nearly.
    moved = corners * np.maximum(stretched, 0.1)[..., None]
    return warped(pictures, Projective(), homography(moved, np.broadcast_to(corners, moved.shape)), SIDE)


def elastic(pictures: Tensor, draw: np.random.Generator, strength: float = 1.0) -> Tensor:
    """E: a spline whose 16 control points are moved by 1.5 pixels (standard deviation) along x and y."""
    spline = ThinPlateSpline()
    moves = strength * draw.normal(0, 1.5 * 2 / SIDE, (len(pictures), spline.num_params))
    theta = spline.identity().numpy() + moves
    return warped(pictures, spline, theta, SIDE)


def warped(pictures: Tensor, transformation: Transformation, theta: np.ndarray, side: int) -> Tensor:
    grid = sampling_grid(transformation, torch.from_numpy(theta).float(), (side, side))
    return sample(pictures, grid.to(pictures.device), padding="zeros")


def homography(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Theta (B, 8) of `Projective` that takes four points (B, 4, 2) to four others (B, 4, 2)."""
    x, y, u, v = source[..., 0], source[..., 1], target[..., 0], target[..., 1]
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows_u = np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=-1)
    rows_v = np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=-1)
    system = np.concatenate([rows_u, rows_v], axis=-2)  # (B, 8, 8)
    return np.linalg.solve(system, np.concatenate([u, v], axis=-1)[..., None])[..., 0]


@dataclass(frozen=True)
class Task:
    """Pictures with a digit in each channel, distorted on its own; the class is the sum of the digits.

    Attributes:
        distort: from pictures (B, 1, 28, 28) in 0..1, a generator and the strength to (B, 1, side, side).
        side: of the pictures.
        count: digits a picture.
    """

    distort: Callable[[Tensor, np.random.Generator, float], Tensor]
    side: int = SIDE
    count: int = 1

    @property
    def size(self) -> tuple[int, int, int]:
        return self.count, self.side, self.side

    @property
    def classes(self) -> int:
        return 9 * self.count + 1

    def make(
        self, digits: Digits, chosen: Tensor, draw: np.random.Generator, strength: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Pictures (B, count, side, side) in 0..1 and classes (B,) of the digits with numbers `chosen` (B, count)."""
        channels = [self.distort(digits.pictures[numbers] / 255, draw, strength) for numbers in chosen.T]
        return torch.cat(channels, dim=1), digits.labels[chosen].sum(1)

    def batch(self, digits: Digits, count: int, seed: int, step: int, strength: float) -> tuple[Tensor, Tensor]:
        """Pictures and classes that follow from seed and step alone."""
        draw = np.random.default_rng([seed, step])
        chosen = torch.from_numpy(draw.integers(0, len(digits.labels), (count, self.count)))
        return self.make(digits, chosen, draw, strength)

    def test(self, digits: Digits) -> tuple[Tensor, Tensor]:
        """As many pictures as there are digits, each digit once in every channel; always the same."""
        draw = np.random.default_rng(TEST_SEED)
        numbers = np.arange(len(digits.labels))
        chosen = np.stack([numbers, *[draw.permutation(numbers) for _ in range(self.count - 1)]], axis=1)
        return self.make(digits, torch.from_numpy(chosen), draw)


DISTORTIONS = {"R": Task(rotated), "RTS": Task(placed, WIDE), "P": Task(projected), "E": Task(elastic)}
ADDITION = Task(placed, WIDE, count=2)
