"""Where the parts of a person are in a region: the localisation network of transformers that are taught."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import layer_norm

from upright.detector.spatial_transformer import ThetaRegression


class RegionLocalisation(nn.Module):
    """Two convolutions over a map of each region, then theta of N transformers and how likely each one's part is seen.

    Args:
        shape: (C, H, W) of the map.
        hidden: width of the layer after the convolutions.
        regression: from `hidden` features to theta.
        width: of the convolutions.
        dropout: share of the numbers after the convolutions that are left out in training.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        hidden: int,
        regression: ThetaRegression,
        width: int = 64,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.shape = shape
        channels, height, wide = shape
        self.trunk = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(width * height * wide, hidden),
            nn.ReLU(),
        )
        self.regression = regression
        assert regression.bounds is not None
        self.seen = nn.Linear(hidden, len(regression.bounds.priors))

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Of maps (R, C, H, W): theta (R, N, P), logits of what is seen (R, N), and directions (R, N, 2).

        The directions are those of the turns before they become unit vectors; None where the family does not turn.
        """
        # How strong the features are says nothing of a pose, and as they come they are too weak to learn from quickly.
        features = self.trunk(layer_norm(maps, self.shape))
        bounds = self.regression.bounds
        assert bounds is not None
        raw = self.regression.raw(features)
        theta, seen = bounds(raw), self.seen(features)
        if not bounds.turns:
            return theta, seen, None
        turn = raw.unflatten(1, (len(bounds.priors), -1))[..., :2]
        return theta, seen, turn + turn.new_tensor([1.0, 0.0])
