"""The spatial transformer of Jaderberg et al. 2015, alone and several in parallel (sections 3.4 and 4.3)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from .sampling import sample, sampling_grid
from .transformations import Transformation


class SpatialTransformer(nn.Module):
    """One spatial transformer, for a feature map of any depth.

    Args:
        localisation: f_loc, from the map (B, C, H, W) to theta (B, num_params).
        transformation: the family T.
        size: (H', W') of the result; None keeps that of the map.
        mode: of `sample`.
        padding: of `sample`.
        samples: of `sample`, points a bin, a side.
    """

    def __init__(
        self,
        localisation: nn.Module,
        transformation: Transformation,
        size: tuple[int, int] | None = None,
        mode: Literal["bilinear", "nearest"] = "bilinear",
        padding: Literal["border", "zeros"] = "border",
        samples: int = 1,
    ) -> None:
        super().__init__()
        self.localisation = localisation
        self.transformation = transformation
        self.size = size
        self.mode = mode
        self.padding = padding
        self.samples = samples

    def forward(self, U: Tensor, return_theta: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Warps the map.

        Args:
            U: (B, C, H, W).
            return_theta: whether theta is asked for.

        Returns:
            V (B, C, H', W'); with `return_theta` the pair of V and theta (B, num_params).
        """
        theta = self.localisation(U)
        V = sample(U, self.grid(U, theta), self.mode, self.padding, self.samples)
        return (V, theta) if return_theta else V

    def grid(self, U: Tensor, theta: Tensor) -> Tensor:
        """Source points (B, samples * H', samples * W', 2) in U (B, C, H, W) for theta (B, num_params)."""
        return sampling_grid(self.transformation, theta, self.size or (U.shape[-2], U.shape[-1]), self.samples)


class ParallelSpatialTransformers(SpatialTransformer):
    """N spatial transformers that read one map, each with its own theta; N is what the localisation gives.

    Args:
        localisation: f_loc, from the map (B, C, H, W) to theta (B, N * num_params), as one network gives it that
            has N priors, or `SeparateLocalisations`.
        transformation: the family T.
        size: (H', W') of the result; None keeps that of the map.
        mode: of `sample`.
        padding: of `sample`.
        samples: of `sample`, points a bin, a side.
        combine: "concatenate" along the channels, or "stack".
    """

    def __init__(
        self,
        localisation: nn.Module,
        transformation: Transformation,
        size: tuple[int, int] | None = None,
        mode: Literal["bilinear", "nearest"] = "bilinear",
        padding: Literal["border", "zeros"] = "border",
        samples: int = 1,
        combine: Literal["concatenate", "stack"] = "concatenate",
    ) -> None:
        super().__init__(localisation, transformation, size, mode, padding, samples)
        if combine not in ("concatenate", "stack"):
            raise ValueError(f"combine is {combine!r}: choose concatenate or stack")
        self.combine = combine

    def forward(self, U: Tensor, return_theta: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Warps the map N times.

        Args:
            U: (B, C, H, W).
            return_theta: whether theta is asked for.

        Returns:
            V (B, N * C, H', W'), transformer by transformer, or stacked (B, N, C, H', W'); with `return_theta` the
            pair of V and theta (B, N, num_params).
        """
        theta = self.localisation(U).unflatten(-1, (-1, self.transformation.num_params))  # (B, N, P)
        grid = self.grid(U, theta.flatten(0, 1)).unflatten(0, theta.shape[:2])  # (B, N, ., ., 2)
        V = sample(U, grid, self.mode, self.padding, self.samples)
        V = V if self.combine == "stack" else V.flatten(1, 2)
        return (V, theta) if return_theta else V
