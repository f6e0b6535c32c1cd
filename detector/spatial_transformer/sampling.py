"""The grid generator and the samplers of Jaderberg et al. 2015, sections 3.2 and 3.3."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from detector.spatial_transformer.transformations import Transformation

# The pyramid of the anti-aliased sampler: up to steps of 2^5 pixels, and six reads.
HALVINGS = 5


def target_points(
    size: tuple[int, int], device: torch.device | None = None, dtype: torch.dtype | None = None
) -> Tensor:
    """The regular target grid G: bin centres (H * W, 2), x first, row by row, at -1 + (2 i + 1) / n."""
    height, width = size
    x = (2 * torch.arange(width, device=device, dtype=dtype or torch.float32) + 1) / width - 1
    y = (2 * torch.arange(height, device=device, dtype=dtype or torch.float32) + 1) / height - 1
    return torch.stack([x.repeat(height), y.repeat_interleave(width)], dim=-1)


def sampling_grid(transformation: Transformation, theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Source points T_theta(G) of a regular target grid.

    Args:
        transformation: the family T.
        theta: (B, num_params).
        size: (H, W) of the grid.

    Returns:
        (B, H, W, 2), normalised, x first, as `sample` and `grid_sample(align_corners=False)` take it.
    """
    dtype = torch.promote_types(theta.dtype, torch.float32)
    points = transformation.warp(theta, target_points(size, theta.device, dtype))
    return points.reshape(-1, *size, 2)


def sample(
    U: Tensor,
    grid: Tensor,
    mode: Literal["bilinear", "nearest"] = "bilinear",
    padding: Literal["border", "zeros"] = "border",
    antialias: bool = False,
) -> Tensor:
    """Reads U at the points of a grid.

    Args:
        U: (B, C, H, W).
        grid: (B, H', W', 2), normalised, x first; or (B, N, H', W', 2), N grids on one map, which is not copied.
        mode: "bilinear" (equation 5 of the paper, with its sub-gradients to U and grid, one-sided at whole
            pixels) or "nearest" (equation 4, integer sampling: pixel floor(x + 0.5); gradient to U alone).
        padding: what lies off the map: "border" (its nearest pixel) or "zeros".
        antialias: for bilinear grids that step over several pixels: reads averages as wide as the step, from a
            pyramid of U (Williams 1983, with the level half an octave finer), at the cost of one read a level.

    Returns:
        (B, C, H', W') or (B, N, C, H', W'), of U's type; computed in the wider type of U and grid.

    Raises:
        ValueError: for an unknown mode or padding, or nearest with antialias.
    """
    if mode == "nearest" and antialias:
        raise ValueError("anti-aliasing averages pixels, nearest takes one: choose one of the two")
    dtype = torch.promote_types(U.dtype, grid.dtype)
    source, points = U.to(dtype), grid.to(dtype)
    if mode == "nearest":
        points = nearest_pixel(points.detach(), U.shape[-2:])
    # Several grids on one map are read as one tall grid: a copy of the map for each would cost their number.
    tall = points.flatten(1, 2) if grid.dim() == 5 else points
    if antialias:
        level = pyramid_level(points.detach(), U.shape[-2:]).reshape(tall.shape[:-1])
        V = read_pyramid(source, tall, level, padding)
    else:
        V = functional.grid_sample(source, tall, mode=mode, padding_mode=padding, align_corners=False)
    if grid.dim() == 5:
        V = V.unflatten(2, grid.shape[1:3]).transpose(1, 2)
    return V.to(U.dtype)


def nearest_pixel(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Points at the centre of pixel floor(x + 0.5), x in pixels, since `grid_sample` rounds half to even."""
    sides = grid.new_tensor([size[1], size[0]])
    return (2 * torch.floor((grid + 1) * sides / 2) + 1) / sides - 1


def pyramid_level(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """The pyramid level (..., H', W') at which each point of a grid (..., H', W', 2) is to be read.

    0 is the map itself, k the map halved k times. It follows the longer of the two steps, in pixels, from a point
    to its neighbours; a grid of one point has no step and is read at level 0.
    """
    points = grid * grid.new_tensor([size[1], size[0]]) / 2
    step = grid.new_zeros(grid.shape[:-1])
    for axis in (-3, -2):
        if grid.shape[axis] > 1:
            between = points.diff(dim=axis)
            count = between.shape[axis]
            before = torch.cat([between.narrow(axis, 0, 1), between], dim=axis)
            after = torch.cat([between, between.narrow(axis, count - 1, 1)], dim=axis)
            step = torch.maximum(step, torch.linalg.vector_norm(before + after, dim=-1) / 2)
    # Bilinear reading of level k already spans two of its pixels: half an octave finer is sharper, and measured best.
    return (torch.log2(step.clamp(min=1)) - 0.5).clamp(min=0)


def read_pyramid(source: Tensor, grid: Tensor, level: Tensor, padding: str) -> Tensor:
    """Bilinear reading (B, C, H', W') of a map's pyramid at fractional levels (B, H', W'), linear between levels."""
    height, width = source.shape[-2:]
    halvings = min(HALVINGS, max(min(height, width), 1).bit_length() - 1)
    level = level.clamp(max=halvings)[:, None]
    V = 0
    for k in range(halvings + 1):
        # Where a side is odd the last pixel of a level reaches over the edge of the map.
        covered = grid.new_tensor([width / source.shape[-1], height / source.shape[-2]]) / 2**k
        points = (grid + 1) * covered - 1
        share = (1 - (level - k).abs()).clamp(min=0)
        V = V + share * functional.grid_sample(source, points, padding_mode=padding, align_corners=False)
        if k < halvings:
            source = functional.avg_pool2d(source, 2, ceil_mode=True, count_include_pad=False)
    return V
