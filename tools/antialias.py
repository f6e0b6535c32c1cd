"""What several samples a bin are worth where a crop is scaled down: `python tools/benchmark.py antialias`."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from upright.datasets.synthetic import SyntheticPedestrians
from upright.detector.spatial_transformer import Affine, sample, sampling_grid

SCALES = (2, 4, 8)  # pixels a bin, a side
SAMPLES = (1, 2, 3, 4)  # points a bin, a side
BINS = 32  # of a crop, a side
PICTURES = 48
REFERENCE = 8  # points a pixel, a side: their mean is the mean over the area of the bin
COST_MAPS = (16, 64, 128, 128)


def window(centre: tuple[float, float], side: float, angle: float, size: tuple[int, int]) -> Tensor:
    """Affine theta (6,) that reads a turned square of a picture.

    Args:
        centre: x, y in pixels.
        side: of the square, in pixels.
        angle: in radians.
        size: height and width of the picture in pixels.
    """
    height, width = size
    cos, sin = side * math.cos(angle), side * math.sin(angle)
    x, y = (2 * centre[0] / width - 1, 2 * centre[1] / height - 1)
    return torch.tensor([cos / width, -sin / width, x, sin / height, cos / height, y])


def read(picture: Tensor, theta: Tensor, samples: int) -> Tensor:
    """The crop (B, C, BINS, BINS) of theta (B, 6) with so many points a bin, a side."""
    return sample(picture, sampling_grid(Affine(), theta, (BINS, BINS), samples), samples=samples)


def crops(scale: int, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Rendered pictures (1, 3, H, W) in 0..255, each with a theta (1, 6) of a turned square inside it."""
    generator = torch.Generator().manual_seed(seed)
    pictures = SyntheticPedestrians("val", length=PICTURES)
    side = BINS * scale
    for index in range(PICTURES):
        picture = torch.from_numpy(pictures[index].image).permute(2, 0, 1)[None].float()
        height, width = picture.shape[-2:]
        across, down, turn = torch.rand(3, generator=generator).tolist()
        margin = side * math.sqrt(0.5)
        centre = (margin + across * (width - 2 * margin), margin + down * (height - 2 * margin))
        yield picture, window(centre, side, 2 * math.pi * turn, (height, width))[None]


def errors(scale: int) -> list[float]:
    """Root mean square difference from the bins' area means in grey levels (0..255), for each of `SAMPLES`."""
    squares = torch.zeros(len(SAMPLES), dtype=torch.float64)
    for picture, theta in crops(scale):
        truth = read(picture, theta, REFERENCE * scale)
        squares += torch.tensor([(read(picture, theta, k) - truth).square().mean().item() for k in SAMPLES])
    return (squares / PICTURES).sqrt().tolist()


def costs(repeats: int) -> list[float]:
    """Medians of the seconds that crops of random maps take, for each of `SAMPLES`, in turn."""
    maps = torch.randn(COST_MAPS)
    theta = Affine().identity().repeat(len(maps), 1)
    calls = [partial(read, maps, theta, k) for k in SAMPLES]
    times: list[list[float]] = [[] for _ in SAMPLES]
    with torch.inference_mode():
        for call in calls:
            call()
        for _ in range(repeats):
            for call, column in zip(calls, times, strict=True):
                start = time.perf_counter()
                call()
                column.append(time.perf_counter() - start)
    return [statistics.median(column) for column in times]
