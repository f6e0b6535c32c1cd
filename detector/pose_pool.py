"""The pose-normalising pool: N spatial transformers in parallel read each region from the feature pyramid.

A drop-in for `torchvision.ops.MultiScaleRoIAlign`. A coarse glance at each region goes through a small
localisation network; its theta, one for each transformer, says where that transformer reads the region. Each of the
N transformers reads its own C / N channels, one sample a bin, so that the pool reads less than RoIAlign does
(Jaderberg et al. 2015, sections 3.1 to 3.3, and 4.3 for transformers in parallel).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torchvision.ops import MultiScaleRoIAlign

from upright.detector.region_reading import Regions
from upright.detector.spatial_transformer import BoundedTheta, Transformation, target_points

# Cells of its map that a region has a side, at least: 224 pixels are read at stride 16 (Lin et al. 2017, section 4.2).
CELLS = 14


def build_pool(
    strides: tuple[int, ...],
    channels: int,
    size: int,
    transformation: Transformation,
    transformers: int,
    glance_size: int,
    glance_channels: int,
    samples: int = 1,
    priors: Sequence[str] = ("whole", "head", "torso", "legs"),
) -> PoseNormalisingPool | MultiScaleRoIAlign:
    """The pool for maps named "0", "1" ... and "pool", finest first; RoIAlign where `transformers` is 0.

    Transformer i starts at `priors[i]`, from the first again where there are more transformers.
    """
    names = [*(str(i) for i in range(len(strides) - 1)), "pool"]
    if transformers == 0:
        return MultiScaleRoIAlign(names, output_size=size, sampling_ratio=2)
    theta = BoundedTheta(transformation, list(itertools.islice(itertools.cycle(priors), transformers)))
    return PoseNormalisingPool(names, strides, channels, size, theta, glance_size, glance_channels, samples)


class PoseNormalisingPool(nn.Module):
    """Canonical crops of regions.

    Args:
        names: of the maps to read, finest first.
        strides: of these maps, in pixels of the (resized) picture, powers of two.
        channels: C of every map, a multiple of the number of transformers.
        size: S, bins of a crop, a side.
        theta: makes the localisation network's outputs into bounded theta of the N transformers.
        glance_size: samples of the glance, a side.
        glance_channels: channels of the glance, the first ones of the map.
        samples: a bin, a side, averaged; 2 is RoIAlign's usual `sampling_ratio`.
        hidden: width of the localisation network.
    """

    def __init__(
        self,
        names: list[str],
        strides: tuple[int, ...],
        channels: int,
        size: int,
        theta: BoundedTheta,
        glance_size: int = 5,
        glance_channels: int = 32,
        samples: int = 1,
        hidden: int = 64,
    ) -> None:
        super().__init__()
        self.names = names
        self.strides = strides
        self.size = size
        self.theta = theta
        self.transformers, numbers = theta.priors.shape
        self.glance_size = glance_size
        self.glance_channels = glance_channels
        self.samples = samples
        if channels % self.transformers:
            raise ValueError(f"{channels} channels are not a multiple of {self.transformers} transformers")
        self.localisation = nn.Sequential(
            nn.Linear(glance_channels * glance_size**2, hidden),
            nn.ReLU(),
            nn.Linear(hidden, self.transformers * numbers),
        )
        # Zero weights: every region starts at the priors, which differ, so that the transformers part.
        nn.init.zeros_(self.localisation[-1].weight)
        nn.init.zeros_(self.localisation[-1].bias)
        self.register_buffer("glance_points", target_points((glance_size, glance_size)), persistent=False)
        self.register_buffer("crop_points", target_points((size * samples, size * samples)), persistent=False)
        self.last_raw: Tensor | None = None

    def forward(self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """The call of `MultiScaleRoIAlign`.

        Args:
            features: maps (B, C, H, W) by name.
            boxes: for each of the B pictures (R_i, 4), x1 y1 x2 y2 in pixels of the resized picture.
            image_shapes: unused, the strides are known.

        Returns:
            (R, C, S, S), regions in the order of `boxes`; channel group i belongs to transformer i.
        """
        return self.crop(features, boxes, image_shapes)[0]

    def crop(
        self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """As `forward`, with theta: crops (R, C, S, S) and theta (R, N, P)."""
        maps = [features[name] for name in self.names]
        regions = Regions.assigned(boxes, self.strides, CELLS)
        points = regions.points(self.glance_points)
        side = self.glance_size
        glance = regions.read([m[:, : self.glance_channels] for m in maps], points, (side, side))
        raw = self.localisation(glance.flatten(1).to(self.localisation[0].weight.dtype))
        self.last_raw = raw.detach()
        theta = self.theta(raw)  # (R, N, P)

        warped = self.theta.transformation.warp(theta.flatten(0, 1), self.crop_points)  # (R N, points a crop, 2)
        warped = warped.unflatten(0, (len(regions), self.transformers))
        side = self.size * self.samples
        crops = regions.read(maps, regions.points(warped), (side, side))
        if self.samples > 1:
            crops = avg_pool2d(crops, self.samples)
        return crops, theta
