"""What the localisation networks share: priors, and raw outputs made into bounded theta."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from detector.spatial_transformer.transformations import Transformation

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
        centres = torch.stack([prior(transformation, p) if isinstance(p, str) else p for p in priors])
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
