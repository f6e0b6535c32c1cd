"""A second look at the best regions: crops of the picture itself, upright where the pose is known, judged once more.

Features of a leaning person are not leaning features of an upright one (Finnveden et al. 2020, arXiv 2004.11678), so
that maps cannot be straightened; the picture can. And what is nearly upright is easier to set upright: who looks again
can also correct the pose, as Lin and Lucey 2017 (*Inverse compositional spatial transformer networks*) warp in steps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from upright.detector.pose import Pose, lean, turned_with
from upright.detector.region_localisation import RegionLocalisation
from upright.detector.region_reading import Regions
from upright.detector.shufflenet import STAGES, Learnt, ShuffleNet
from upright.detector.spatial_transformer import ThetaRegression, target_points

CROP = (96, 64)  # height and width in pixels
ROOM = 1.15  # sides of a crop over those of the person
POSE_WIDTH = 128  # of the layer before theta
STRIDES = (1, 2, 4, 8, 16)  # of the picture and its averages: large people are read without aliasing


class SecondLook(Learnt):
    """A small network over crops of the picture: the first stages of the first stage's backbone, and two layers.

    Args:
        width: of the layer before the logit.
        dropout: share of its input that is left out in training.
        regression: to theta of the parts, from `POSE_WIDTH` numbers, in the square of a crop's height round it; None:
            the pose is not corrected.
    """

    crop_points: Tensor  # (96 * 64, 2)

    def __init__(self, width: int = 128, dropout: float = 0.3, regression: ThetaRegression | None = None) -> None:
        super().__init__()
        self.stages = ShuffleNet(("stage2", "stage3"))
        shape = (2 * STAGES["stage3"][1], CROP[0] // 16, CROP[1] // 16)
        self.judge = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(math.prod(shape), width),
            nn.ReLU(),
            nn.Linear(width, 1),
        )
        self.localisation = None if regression is None else RegionLocalisation(shape, POSE_WIDTH, regression)
        self.register_buffer("crop_points", target_points(CROP), persistent=False)

    def keep_learnt(self) -> None:
        super().keep_learnt()
        self.pretrained = (self.stages,)
        for part in (self.stages.conv1, self.stages.stage2):
            part.requires_grad_(False)

    def forward(self, pictures: Tensor, frames: list[Tensor]) -> tuple[Tensor, Pose | None]:
        """
        Args:
            pictures: (B, 3, H, W), normalised.
            frames: for each picture those of `box_frames` or `upright_frames`, (R_i, 5).

        Returns:
            logits (R,), float32, and the corrected pose, or None where it is not corrected.
        """
        crops = self.crop(pictures, frames)
        features = self.stages(crops.contiguous(memory_format=torch.channels_last))[-1]
        logits = self.judge(features)[:, 0].float()
        if self.localisation is None:
            return logits, None
        theta, seen, directions = self.localisation(features.float())
        together = torch.cat(frames)
        high, up = together[:, 2:3], together[:, 3:]
        if directions is not None:
            directions = turned_with(up[:, None], directions)
        return logits, Pose(theta, together[:, :2], high.expand(-1, 2), seen, directions=directions, up=up)

    def crop(self, pictures: Tensor, frames: list[Tensor]) -> Tensor:
        """The crops (R, 3, 96, 64) themselves; arguments as those of `forward`."""
        together = torch.cat(frames)
        centre, high, up = together[:, None, :2], together[:, 2, None, None], together[:, None, 3:]
        half = torch.cat([high * CROP[1] / CROP[0], high], dim=2)  # (R, 1, 2)
        points = centre + turned_with(up, half * self.crop_points)
        # Not where the crop lies, but how large it is, says at which stride it is read.
        boxes = torch.cat([centre[:, 0] - half[:, 0], centre[:, 0] + half[:, 0]], dim=1)
        # Not split where there is one part: it would be recorded with the length that it has in an exported detector.
        parts = [boxes] if len(frames) == 1 else list(boxes.split([len(f) for f in frames]))
        regions = Regions.assigned(parts, STRIDES, (CROP[0] * CROP[1]) ** 0.5)
        maps = [pictures]
        for _ in range(regions.coarsest):
            maps.append(avg_pool2d(maps[-1], 2, ceil_mode=True))
        return regions.read(maps, points[:, None], CROP)


def box_frames(boxes: Tensor) -> Tensor:
    """Crops of plain boxes.

    Args:
        boxes: (n, 4), x1 y1 x2 y2.

    Returns:
        (n, 5): middle x and y, half the height of a crop that holds the box, and the direction that is up in it.
    """
    width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    up = boxes.new_tensor([0.0, -1.0]).expand(len(boxes), 2)
    return torch.cat([middle, half_height(width, height)[:, None], up], dim=1)


def upright_frames(quadrilaterals: Tensor) -> Tensor:
    """Crops in which people stand upright, of quadrilaterals (n, 4, 2) of the whole person; (n, 5) as `box_frames`."""
    left_top, right_top, right_low, left_low = quadrilaterals.unbind(1)
    width = ((right_top + right_low - left_top - left_low) / 2).norm(dim=1)
    height = ((left_top + right_top - left_low - right_low) / 2).norm(dim=1)
    turn = lean(quadrilaterals) * (math.pi / 180)
    up = torch.stack([turn.sin(), -turn.cos()], dim=1)
    return torch.cat([quadrilaterals.mean(dim=1), half_height(width, height)[:, None], up], dim=1)


def half_height(width: Tensor, height: Tensor) -> Tensor:
    """Half the height (n,) of a crop of `CROP`'s shape with room for people of these sides."""
    return ROOM / 2 * torch.maximum(height, width * CROP[0] / CROP[1]).clamp(min=1)
