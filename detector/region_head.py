"""What judges a region's crops."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RegionHead(nn.Module):
    """Two fully connected layers over a region's crops, then its score and its box.

    The second layer is also told the pose: a canonical crop has lost where in the region the person stood, and the
    box is regressed in the region's frame.

    Args:
        in_features: D, numbers that a region's crops give.
        width: of both layers.
        pose_features: numbers of the pose a region; 0 without transformers.
        dropout: share of the crops' numbers that are left out in training.
    """

    def __init__(self, in_features: int, width: int, pose_features: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.first = nn.Linear(in_features, width)
        self.second = nn.Linear(width + pose_features, width)
        self.score = nn.Linear(width, 2)
        self.box = nn.Linear(width, 4)
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.zeros_(self.score.bias)
        nn.init.normal_(self.box.weight, std=0.001)
        nn.init.zeros_(self.box.bias)

    def forward(self, crops: Tensor, pose: Tensor | None) -> tuple[Tensor, Tensor]:
        """
        Args:
            crops: (R, D).
            pose: (R, F), see `upright.detector.pose.Pose.features`, or None without transformers.

        Returns:
            Logits (R, 2) of background and person, and box deltas (R, 4) in torchvision's coding.
        """
        hidden = self.first(self.dropout(crops)).relu()
        if pose is not None:
            hidden = torch.cat([hidden, pose.to(hidden.dtype)], dim=1)
        hidden = self.second(hidden).relu()
        return self.score(hidden), self.box(hidden)
