"""The grid generator and the samplers of Jaderberg et al. 2015, sections 3.2 and 3.3."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from detector.spatial_transformer.transformations import Transformation


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


def sample(U: Tensor, grid: Tensor, mode: str = "bilinear", padding: str = "border") -> Tensor:
    """Reads U at the points of a grid.

    Args:
        U: (B, C, H, W).
        grid: (B, H', W', 2), normalised, x first.
        mode: "bilinear" (equation 5 of the paper, with its sub-gradients to U and grid, one-sided at whole
            pixels) or "nearest" (equation 4, integer sampling: pixel floor(x + 0.5); gradient to U alone).
        padding: what lies off the map: "border" (its nearest pixel) or "zeros".

    Returns:
        (B, C, H', W'), of U's type; computed in the wider type of U and grid.
    """
    dtype = torch.promote_types(U.dtype, grid.dtype)
    points = grid.to(dtype)
    if mode == "nearest":
        points = nearest_pixel(points.detach(), (U.shape[-2], U.shape[-1]))
    V = functional.grid_sample(U.to(dtype), points, mode=mode, padding_mode=padding, align_corners=False)
    return V.to(U.dtype)


def nearest_pixel(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Points at the centre of pixel floor(x + 0.5), x in pixels, since `grid_sample` rounds half to even."""
    sides = grid.new_tensor([size[1], size[0]])
    return (2 * torch.floor((grid + 1) * sides / 2) + 1) / sides - 1
