"""The grid generator and the samplers of Jaderberg et al. 2015, sections 3.2 and 3.3."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from .transformations import Transformation


def target_points(
    size: tuple[int, int], device: torch.device | None = None, dtype: torch.dtype | None = None
) -> Tensor:
    """The regular target grid G: bin centres (H * W, 2), x first, row by row, at -1 + (2 i + 1) / n."""
    height, width = size
    x = (2 * torch.arange(width, device=device, dtype=dtype or torch.float32) + 1) / width - 1
    y = (2 * torch.arange(height, device=device, dtype=dtype or torch.float32) + 1) / height - 1
    return torch.stack([x.repeat(height), y.repeat_interleave(width)], dim=-1)


def sampling_grid(transformation: Transformation, theta: Tensor, size: tuple[int, int], samples: int = 1) -> Tensor:
    """Source points T_theta(G) of a regular target grid.

    Args:
        transformation: the family T.
        theta: (B, num_params).
        size: (H, W), the bins of the grid.
        samples: points a bin, a side, as `sample` then takes them.

    Returns:
        (B, samples * H, samples * W, 2), normalised, x first, as `sample` and `grid_sample(align_corners=False)`
        take it.
    """
    size = (size[0] * samples, size[1] * samples)
    dtype = torch.promote_types(theta.dtype, torch.float32)
    points = transformation.warp(theta, target_points(size, theta.device, dtype))
    return points.unflatten(1, size)


def sample(
    U: Tensor,
    grid: Tensor,
    mode: Literal["bilinear", "nearest"] = "bilinear",
    padding: Literal["border", "zeros"] = "border",
    samples: int = 1,
) -> Tensor:
    """Reads U at the points of a grid.

    Args:
        U: (B, C, H, W).
        grid: (B, H', W', 2), normalised, x first; or (B, N, H', W', 2), N grids on one map, which is not copied.
        mode: "bilinear" (equation 5 of the paper, with its sub-gradients to U and grid, one-sided at whole
            pixels) or "nearest" (equation 4, integer sampling: pixel floor(x + 0.5); gradient to U alone).
        padding: what lies off the map: "border" (its nearest pixel) or "zeros".
        samples: against aliasing where bins are several pixels wide: a bin is the mean of samples x samples points
            of the grid, and H', W' are multiples of it.

    Returns:
        (B, C, H' / samples, W' / samples), with N grids (B, N, C, H' / samples, W' / samples), of U's type;
        computed in the wider type of U and grid.

    Raises:
        ValueError: for an unknown mode or padding, or a grid that `samples` does not divide.
    """
    if grid.shape[-3] % samples or grid.shape[-2] % samples:
        raise ValueError(f"a grid of {tuple(grid.shape[-3:-1])} points has no bins of {samples} x {samples}")
    dtype = torch.promote_types(U.dtype, grid.dtype)
    points = grid.to(dtype)
    if mode == "nearest":
        points = nearest_pixel(points.detach(), (U.shape[-2], U.shape[-1]))
    if grid.dim() == 5:
        # Several grids are read as one tall grid: a copy of the map for each would cost their number in memory.
        points = points.flatten(1, 2)
    V = functional.grid_sample(U.to(dtype), points, mode=mode, padding_mode=padding, align_corners=False)
    if samples > 1:
        V = functional.avg_pool2d(V, samples)
    if grid.dim() == 5:
        V = V.unflatten(2, (grid.shape[1], -1)).transpose(1, 2)
    return V.to(U.dtype)


def nearest_pixel(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Points at the centre of pixel floor(x + 0.5), x in pixels, since `grid_sample` rounds half to even."""
    height, width = size
    # Not with a tensor of the sides, which would tie an exported program to them.
    x = (2 * torch.floor((grid[..., 0] + 1) * width / 2) + 1) / width - 1
    y = (2 * torch.floor((grid[..., 1] + 1) * height / 2) + 1) / height - 1
    return torch.stack([x, y], dim=-1)
