"""`--read picture`: canonical crops cut from the picture itself, beside those of the pyramid.

A transformation of feature maps cannot in general undo one of the picture, since the features of a leaning person are
not leaning features of an upright one (Finnveden et al. 2020, arXiv 2004.11678). So here the transformers read pixels
too, at the same theta, and a small network shared by all of them looks at what is upright by then.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from upright.detector.region_reading import Regions
from upright.detector.spatial_transformer import Transformation, target_points

CROP_SIZE = 32  # pixels a side
STRIDES = (1, 2, 4, 8, 16)  # of the picture and its averages: large regions are read without aliasing
CHANNELS = (16, 32, 64)  # of the convolutions, each of which halves the sides


class PictureCrops(nn.Module):
    """What a small convolutional network sees in N canonical crops of each region.

    Args:
        transformation: the family T.
        width: numbers a crop.
    """

    crop_points: Tensor  # (32 * 32, 2)

    def __init__(self, transformation: Transformation, width: int = 32) -> None:
        super().__init__()
        self.transformation = transformation
        self.width = width
        layers: list[nn.Module] = []
        for previous, following in itertools.pairwise((3, *CHANNELS)):
            layers += [nn.Conv2d(previous, following, 3, stride=2, padding=1), nn.ReLU()]
        side = CROP_SIZE >> len(CHANNELS)
        self.network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(CHANNELS[-1] * side**2, width), nn.ReLU())
        self.register_buffer("crop_points", target_points((CROP_SIZE, CROP_SIZE)), persistent=False)

    def forward(self, pictures: Tensor, boxes: list[Tensor], theta: Tensor) -> Tensor:
        """
        Args:
            pictures: (B, 3, H, W), normalised.
            boxes: for each picture (R_i, 4), x1 y1 x2 y2 in pixels of it.
            theta: (R, N, P).

        Returns:
            (R, N * width), transformer by transformer.
        """
        return self.network(self.crop(pictures, boxes, theta)).unflatten(0, theta.shape[:2]).flatten(1)

    def crop(self, pictures: Tensor, boxes: list[Tensor], theta: Tensor) -> Tensor:
        """The canonical crops (R * N, 3, 32, 32) themselves; arguments as those of `forward`."""
        maps = [pictures]
        for _ in STRIDES[1:]:
            maps.append(avg_pool2d(maps[-1], 2, ceil_mode=True))
        regions = Regions.assigned(boxes, STRIDES, CROP_SIZE)
        warped = self.transformation.warp(theta.flatten(0, 1), self.crop_points)
        count, transformers = theta.shape[:2]
        # One group: every transformer reads all three channels.
        points = regions.points(warped.reshape(count, 1, transformers * CROP_SIZE**2, 2))
        crops = regions.read(maps, points, (transformers * CROP_SIZE, CROP_SIZE))
        return crops.unflatten(2, (transformers, CROP_SIZE)).transpose(1, 2).flatten(0, 1)
