"""Localisation networks f_loc of Jaderberg et al. 2015, section 3.1: from a map to theta, from given priors on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .transformations import Transformation, at_least_float32

# |tanh| from which an entry counts as being at its bound: a tenth of the slope is left.
AT_BOUND = 0.95


def stack_priors(transformation: Transformation, priors: Sequence[Tensor] | None) -> Tensor:
    """Priors (N, num_params), one a transformer; without any, one transformer at the identity.

    Raises:
        ValueError: a prior that is not of shape (num_params,), or none at all.
    """
    priors = [transformation.identity()] if priors is None else list(priors)
    shapes = [tuple(prior.shape) for prior in priors]
    if not shapes or set(shapes) != {(transformation.num_params,)}:
        raise ValueError(
            f"priors of shapes {shapes} do not fit {type(transformation).__name__}: "
            f"give each transformer one of shape ({transformation.num_params},)"
        )
    return torch.stack(priors)


@dataclass(frozen=True)
class ThetaStatistics:
    """Theta of N transformers over a batch, for the training log.

    Attributes:
        mean: (N, num_params).
        std: (N, num_params), standard deviation over the batch: 0 is a fixed crop.
        at_bounds: (N, num_params), share in 0..1 of the offsets (see `Transformation.displaced`) at a bound.
        finite: (N,) bool, whether all theta of the transformer are finite.
    """

    mean: Tensor
    std: Tensor
    at_bounds: Tensor
    finite: Tensor


def turn_direction(raw: Tensor) -> Tensor:
    """Unit vectors (..., 2) from raw (..., 2): that of (1 + first, second), so that raw 0 is no turn."""
    x, y = at_least_float32(1 + raw[..., 0], raw[..., 1])
    # Where both vanish the direction is none; the length is kept away from zero, so that nothing becomes NaN.
    length = (x.square() + y.square()).clamp(min=1e-12).sqrt()
    return torch.stack([x / length, y / length], dim=-1)


class BoundedTheta(nn.Module):
    """Raw outputs of a localisation network, made into bounded theta of N transformers around their priors.

    Args:
        transformation: the family T.
        priors: theta (num_params,) that each transformer starts at; by default one starts at the identity.
        free_turn: whether the bounded theta is then turned about (0, 0) by any angle, where the family can: two more
            raw numbers before the others, (1 + first, second) is the direction that x turns to.

    Attributes:
        num_raw: raw numbers a transformer.
    """

    priors: Tensor  # (N, P)
    limits: Tensor  # (N, P)

    def __init__(
        self, transformation: Transformation, priors: Sequence[Tensor] | None = None, free_turn: bool = False
    ) -> None:
        super().__init__()
        self.transformation = transformation
        self.turns = free_turn and transformation.can_turn
        self.num_raw = transformation.num_params + 2 * self.turns
        centres = stack_priors(transformation, priors)
        self.register_buffer("priors", centres, persistent=False)
        self.register_buffer("limits", transformation.limits(centres), persistent=False)

    def forward(self, raw: Tensor) -> Tensor:
        """Theta (B, N, num_params) from raw (B, N * num_raw); raw 0 gives exactly the priors."""
        raw = raw.reshape(-1, len(self.priors), self.num_raw)
        offsets = raw[..., 2:] if self.turns else raw
        theta = self.transformation.bounded(offsets, self.priors, self.limits)
        return self.transformation.turned(theta, turn_direction(raw[..., :2])) if self.turns else theta

    @torch.no_grad()
    def statistics(self, raw: Tensor) -> ThetaStatistics:
        """Mean, standard deviation and share at the bounds of the theta that `forward` makes of raw; B may be 0."""
        theta = self.forward(raw.float())  # not by a call: whoever gathers statistics listens to calls
        raw = raw.reshape(-1, len(self.priors), self.num_raw)[..., 2 * self.turns :].float()
        count = max(len(raw), 1)
        mean = theta.sum(0) / count
        return ThetaStatistics(
            mean=mean,
            std=((theta - mean).square().sum(0) / count).sqrt(),
            at_bounds=((raw / self.limits).tanh().abs() > AT_BOUND).float().sum(0) / count,
            finite=theta.isfinite().all(-1).all(0),
        )


class ThetaRegression(nn.Module):
    """The last layer of a localisation network: theta of N transformers, which starts at their priors.

    Its weights start at zero, so that every input starts at the priors; with different priors the transformers get
    different gradients and part. It computes in the type of its weights, also under autocast.

    Args:
        in_features: D, numbers it starts from.
        transformation: the family T.
        priors: theta (num_params,) that each transformer starts at; by default one starts at the identity.
        bounded: whether theta stays near its prior, see `BoundedTheta`.
        free_turn: of `BoundedTheta`.
    """

    def __init__(
        self,
        in_features: int,
        transformation: Transformation,
        priors: Sequence[Tensor] | None = None,
        bounded: bool = False,
        free_turn: bool = False,
    ) -> None:
        super().__init__()
        starts = stack_priors(transformation, priors)  # (N, P)
        self.bounds = BoundedTheta(transformation, priors, free_turn) if bounded else None
        num_raw = starts.shape[1] if self.bounds is None else self.bounds.num_raw
        self.linear = nn.Linear(in_features, len(starts) * num_raw)
        nn.init.zeros_(self.linear.weight)
        with torch.no_grad():
            # Raw zeros are the priors where there are bounds.
            self.linear.bias.copy_(torch.zeros(()) if bounded else starts.flatten())

    def forward(self, features: Tensor) -> Tensor:
        """Theta (B, N * num_params) from features (B, D)."""
        raw = self.raw(features)
        return raw if self.bounds is None else self.bounds(raw).flatten(1)

    def raw(self, features: Tensor) -> Tensor:
        """What theta is made of, (B, N * num_raw), float32: theta itself where it is not bounded."""
        # In bfloat16 theta would be off by up to 0.4 % of the map.
        with torch.autocast(features.device.type, enabled=False):
            return self.linear(features.to(self.linear.weight.dtype))


class FullyConnectedLocalisation(nn.Sequential):
    """Localisation from all numbers of a map of fixed size.

    Args:
        size: (C, H, W) of the map.
        transformation: the family T.
        priors: theta (num_params,) that each transformer starts at; by default one starts at the identity.
        hidden: widths of the hidden layers; the paper's are (32, 32, 32).
        bounded: whether theta stays near its prior, see `BoundedTheta`.
    """

    def __init__(
        self,
        size: tuple[int, int, int],
        transformation: Transformation,
        priors: Sequence[Tensor] | None = None,
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
        in_channels: C of the map.
        transformation: the family T.
        priors: theta (num_params,) that each transformer starts at; by default one starts at the identity.
        widths: channels of the convolutions, 3 x 3, each of which but the first halves the sides.
        grid: side of the grid that the regression sees; 1 would lose where things are.
        bounded: whether theta stays near its prior, see `BoundedTheta`.
    """

    def __init__(
        self,
        in_channels: int,
        transformation: Transformation,
        priors: Sequence[Tensor] | None = None,
        widths: Sequence[int] = (32, 32, 32),
        grid: int = 4,
        bounded: bool = False,
    ) -> None:
        layers: list[nn.Module] = []
        for index, (width, following) in enumerate(itertools.pairwise([in_channels, *widths])):
            layers += [nn.Conv2d(width, following, 3, stride=min(index + 1, 2), padding=1), nn.ReLU()]
        regression = ThetaRegression([in_channels, *widths][-1] * grid**2, transformation, priors, bounded)
        super().__init__(*layers, nn.AdaptiveAvgPool2d(grid), nn.Flatten(), regression)


class SeparateLocalisations(nn.ModuleList):
    """Localisation networks side by side, one or more transformers each: theta (B, N * num_params) of all."""

    def forward(self, U: Tensor) -> Tensor:
        return torch.cat([localisation(U) for localisation in self], dim=1)
