"""Localisation networks f_loc of Jaderberg et al. 2015, section 3.1: from a map to theta, from given priors on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from upright.detector.spatial_transformer.transformations import Transformation

# Parts of an upright person in the frame of its box: half width, half height, centre x, centre y.
PRIORS: dict[str, tuple[float, float, float, float]] = {
    "whole": (1.0, 1.0, 0.0, 0.0),
    "head": (0.7, 0.4, 0.0, -0.6),  # with the shoulders
    "torso": (0.8, 0.45, 0.0, -0.15),
    "legs": (0.9, 0.5, 0.0, 0.5),
}

# |tanh| from which an entry counts as being at its bound: a tenth of the slope is left.
AT_BOUND = 0.95


def prior(transformation: Transformation, name: str) -> Tensor:
    """Theta (num_params,) that reads the part `name` of a region: "whole", "head", "torso" or "legs"."""
    if name not in PRIORS:
        raise ValueError(f"there is no prior {name!r}: choose one of {', '.join(PRIORS)}")
    return transformation.window(*PRIORS[name])


def stack_priors(transformation: Transformation, priors: Sequence[str | Tensor]) -> Tensor:
    """Priors (N, num_params), each given by name or as theta (num_params,)."""
    return torch.stack([prior(transformation, p) if isinstance(p, str) else p for p in priors])


@dataclass(frozen=True)
class ThetaStatistics:
    """Theta of N transformers over a batch, for the training log.

    Attributes:
        mean: (N, num_params).
        deviation: (N, num_params), standard deviation between regions: 0 is a fixed crop.
        at_bounds: (N, num_params), share in 0..1 of the offsets (see `Transformation.displaced`) at a bound.
        finite: (N,) bool, whether all theta of the transformer are finite.
    """

    mean: Tensor
    deviation: Tensor
    at_bounds: Tensor
    finite: Tensor


class BoundedTheta(nn.Module):
    """Raw outputs of a localisation network, made into bounded theta of N transformers around their priors.

    Args:
        transformation: the family T.
        priors: one a transformer, names (see `prior`) or tensors (num_params,).
    """

    def __init__(self, transformation: Transformation, priors: Sequence[str | Tensor]) -> None:
        super().__init__()
        self.transformation = transformation
        centres = stack_priors(transformation, priors)
        self.register_buffer("priors", centres, persistent=False)
        self.register_buffer("limits", transformation.limits(centres), persistent=False)

    def forward(self, raw: Tensor) -> Tensor:
        """Theta (B, N, num_params) from raw (B, N * num_params); raw 0 gives exactly the priors."""
        return self.transformation.bounded(raw.reshape(-1, *self.priors.shape), self.priors, self.limits)

    @torch.no_grad()
    def statistics(self, raw: Tensor) -> ThetaStatistics:
        """Mean, deviation and share at the bounds of the theta that `forward` makes of raw; B may be 0."""
        raw = raw.reshape(-1, *self.priors.shape).float()
        theta = self.transformation.bounded(raw, self.priors, self.limits)
        count = max(len(raw), 1)
        mean = theta.sum(0) / count
        return ThetaStatistics(
            mean=mean,
            deviation=((theta - mean).square().sum(0) / count).sqrt(),
            at_bounds=((raw / self.limits).tanh().abs() > AT_BOUND).float().sum(0) / count,
            finite=theta.isfinite().all(-1).all(0),
        )


class ThetaRegression(nn.Module):
    """The last layer of a localisation network: theta of N transformers, which starts at their priors.

    Its weights start at zero, so that every input starts at the priors; with different priors the transformers get
    different gradients and part. It computes in the type of its weights, also under autocast.

    Args:
        features: D, numbers it starts from.
        transformation: the family T.
        priors: one a transformer, names (see `prior`) or tensors (num_params,).
        bounded: whether theta stays near its prior, see `BoundedTheta`.
    """

    def __init__(
        self,
        features: int,
        transformation: Transformation,
        priors: Sequence[str | Tensor] = ("whole",),
        bounded: bool = False,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(features, len(priors) * transformation.num_params)
        self.bounds = BoundedTheta(transformation, priors) if bounded else None
        nn.init.zeros_(self.linear.weight)
        with torch.no_grad():
            # Raw zeros are the priors where there are bounds.
            self.linear.bias.copy_(torch.zeros(()) if bounded else stack_priors(transformation, priors).flatten())

    def forward(self, features: Tensor) -> Tensor:
        """Theta (B, N * num_params) from features (B, D)."""
        # In bfloat16 theta would be off by up to 0.4 % of the map.
        with torch.autocast(features.device.type, enabled=False):
            raw = self.linear(features.to(self.linear.weight.dtype))
        return raw if self.bounds is None else self.bounds(raw).flatten(1)


class FullyConnectedLocalisation(nn.Sequential):
    """Localisation from all numbers of a map of fixed size.

    Args:
        size: (C, H, W) of the map.
        transformation: the family T.
        priors: one a transformer, names (see `prior`) or tensors (num_params,).
        hidden: widths of the hidden layers; the paper's are (32, 32, 32).
        bounded: whether theta stays near its prior, see `BoundedTheta`.
    """

    def __init__(
        self,
        size: tuple[int, int, int],
        transformation: Transformation,
        priors: Sequence[str | Tensor] = ("whole",),
        hidden: Sequence[int] = (32, 32, 32),
        bounded: bool = False,
    ) -> None:
        widths = [size[0] * size[1] * size[2], *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for width, following in itertools.pairwise(widths):
            layers += [nn.Linear(width, following), nn.ReLU()]
        super().__init__(*layers, ThetaRegression(widths[-1], transformation, priors, bounded))


class ConvolutionalLocalisation(nn.Sequential):
    """Localisation by convolutions, for maps of any size: their result is averaged to a grid of fixed size.

    Args:
        channels: C of the map.
        transformation: the family T.
        priors: one a transformer, names (see `prior`) or tensors (num_params,).
        widths: channels of the convolutions, 3 x 3, each of which but the first halves the sides.
        grid: side of the grid that the regression sees; 1 would lose where things are.
        bounded: whether theta stays near its prior, see `BoundedTheta`.
    """

    def __init__(
        self,
        channels: int,
        transformation: Transformation,
        priors: Sequence[str | Tensor] = ("whole",),
        widths: Sequence[int] = (32, 32, 32),
        grid: int = 4,
        bounded: bool = False,
    ) -> None:
        layers: list[nn.Module] = []
        for index, (width, following) in enumerate(itertools.pairwise([channels, *widths])):
            layers += [nn.Conv2d(width, following, 3, stride=min(index + 1, 2), padding=1), nn.ReLU()]
        regression = ThetaRegression([channels, *widths][-1] * grid**2, transformation, priors, bounded)
        super().__init__(*layers, nn.AdaptiveAvgPool2d(grid), nn.Flatten(), regression)


class SeparateLocalisations(nn.ModuleList):
    """Localisation networks side by side, one or more transformers each: theta (B, N * num_params) of all."""

    def forward(self, U: Tensor) -> Tensor:
        return torch.cat([localisation(U) for localisation in self], dim=1)
