"""The pose-normalising pool: N spatial transformers in parallel read each region from the feature pyramid.

A drop-in for `torchvision.ops.MultiScaleRoIAlign`. A coarse glance at each region goes through a small
localisation network; its theta, one for each transformer, says where that transformer reads the region. Each of the
N transformers reads its own C / N channels, one sample a bin, so that the pool reads less than RoIAlign does
(Jaderberg et al. 2015, sections 3.1 to 3.3, and 4.3 for transformers in parallel).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torchvision.ops import MultiScaleRoIAlign

from upright.detector.region_reading import Regions
from upright.detector.spatial_transformer import ThetaRegression, ThetaStatistics, Transformation, target_points

# Cells of its map that a region has a side, at least: 224 pixels are read at stride 16 (Lin et al. 2017, section 4.2).
CELLS = 14


class PoseNormalisingPool(nn.Module):
    """Canonical crops of regions.

    Args:
        names: of the maps to read, finest first.
        strides: of these maps, in pixels of the (resized) picture, powers of two.
        channels: C of every map, a multiple of the number of transformers.
        size: S, bins of a crop, a side.
        transformation: the family T of the transformers.
        priors: theta (P,) that each of the N transformers starts at.
        glance_size: points of the glance, a side.
        glance_channels: channels of the glance, the first ones of the map.
        bin_samples: points that are averaged in a bin, a side; 2 is RoIAlign's usual `sampling_ratio`.
        hidden: width of the localisation network.

    Attributes:
        localisation: from a flat glance to bounded theta (R, N P); its parameters learn at a rate of their own.
        theta_features: N P, numbers of theta a region.

    Raises:
        ValueError: the channels are not a multiple of the number of transformers.
    """

    glance_points: Tensor  # (glance_size^2, 2)
    crop_points: Tensor  # ((S * bin_samples)^2, 2)

    def __init__(
        self,
        names: list[str],
        strides: tuple[int, ...],
        channels: int,
        size: int,
        transformation: Transformation,
        priors: Sequence[Tensor],
        glance_size: int = 5,
        glance_channels: int = 32,
        bin_samples: int = 1,
        hidden: int = 64,
    ) -> None:
        super().__init__()
        self.names = names
        self.strides = strides
        self.size = size
        self.transformation = transformation
        self.transformers = len(priors)
        self.theta_features = self.transformers * transformation.num_params
        self.glance_size = glance_size
        self.glance_channels = glance_channels
        self.bin_samples = bin_samples
        if channels % self.transformers:
            raise ValueError(f"{channels} channels are not a multiple of {self.transformers} transformers")
        # Every region starts at the priors, which differ, so that the transformers part.
        self.localisation = nn.Sequential(
            nn.Linear(glance_channels * glance_size**2, hidden),
            nn.ReLU(),
            ThetaRegression(hidden, transformation, priors, bounded=True),
        )
        side = size * bin_samples
        self.register_buffer("glance_points", target_points((glance_size, glance_size)), persistent=False)
        self.register_buffer("crop_points", target_points((side, side)), persistent=False)

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
        dtype = cast(nn.Linear, self.localisation[0]).weight.dtype
        theta = self.localisation(glance.flatten(1).to(dtype))
        theta = theta.unflatten(1, (self.transformers, -1))  # (R, N, P)

        warped = self.transformation.warp(theta.flatten(0, 1), self.crop_points)  # (R N, points a crop, 2)
        warped = warped.unflatten(0, (len(regions), self.transformers))
        side = self.size * self.bin_samples
        crops = regions.read(maps, regions.points(warped), (side, side))
        if self.bin_samples > 1:
            crops = avg_pool2d(crops, self.bin_samples)
        return crops, theta

    @contextmanager
    def theta_statistics(self) -> Iterator[list[ThetaStatistics]]:
        """Gives a list that each call of the pool, while the context lasts, adds the statistics of its theta to."""
        gathered: list[ThetaStatistics] = []
        regression = self.localisation[-1]
        assert isinstance(regression, ThetaRegression)
        assert regression.bounds is not None
        bounds = regression.bounds
        handle = bounds.register_forward_hook(lambda _, raw, __: gathered.append(bounds.statistics(raw[0].detach())))
        try:
            yield gathered
        finally:
            handle.remove()


class RoIAlignPool(MultiScaleRoIAlign):
    """torchvision's pool as a `PoseNormalisingPool` without transformers: the baseline, which has no theta.

    Args:
        names: of the maps to read, finest first.
        size: bins of a crop, a side.
    """

    transformation = None
    transformers = 0
    theta_features = 0

    def __init__(self, names: list[str], size: int) -> None:
        super().__init__(names, output_size=size, sampling_ratio=2)
        self.localisation = nn.Sequential()

    def crop(
        self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> tuple[Tensor, None]:
        """Crops (R, C, S, S) of the regions, and no theta; arguments as those of `PoseNormalisingPool`."""
        return self(features, boxes, image_shapes), None

    @contextmanager
    def theta_statistics(self) -> Iterator[list[ThetaStatistics]]:
        """A list that stays empty."""
        yield []
