"""The pose-normalising pool: N spatial transformers in parallel read each region from the feature pyramid.

A drop-in for `torchvision.ops.MultiScaleRoIAlign`. A coarse glance at each region goes through a small
localisation network; its theta, one for each transformer, says where that transformer reads the region. Each of the
N transformers reads its own C / N channels, one sample a bin, so that the pool reads less than RoIAlign does
(Jaderberg et al. 2015, sections 3.1 to 3.3, and 4.3 for transformers in parallel).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torchvision.ops import MultiScaleRoIAlign

from upright.detector.pose import Pose
from upright.detector.region_localisation import RegionLocalisation
from upright.detector.region_reading import Regions
from upright.detector.spatial_transformer import (
    BoundedTheta,
    ThetaRegression,
    ThetaStatistics,
    Transformation,
    target_points,
)

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
        hidden: width of the localisation network's hidden layer.
        taught: whether theta is learnt from frames of people's parts (`upright.detector.teaching`). Then frames are
            squares round the regions, the turn is free, the localisation network is convolutional and also says
            whether a part is seen.

    Attributes:
        localisation: from a glance to bounded theta (R, N P); its parameters learn at a rate of their own.
        pose_features: numbers of a region's `Pose.features`.

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
        taught: bool = False,
    ) -> None:
        super().__init__()
        self.names = names
        self.strides = strides
        self.size = size
        self.transformation = transformation
        self.transformers = len(priors)
        self.taught = taught
        self.pose_features = self.transformers * (transformation.num_params + taught) + 2 * taught
        self.glance_size = glance_size
        self.glance_channels = glance_channels
        self.bin_samples = bin_samples
        if channels % self.transformers:
            raise ValueError(f"{channels} channels are not a multiple of {self.transformers} transformers")
        # Every region starts at the priors, which differ, so that the transformers part.
        self.localisation: nn.Module
        if taught:
            regression = ThetaRegression(hidden, transformation, priors, bounded=True, free_turn=True)
            self.localisation = RegionLocalisation((glance_channels, glance_size, glance_size), hidden, regression)
        else:
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
        self,
        features: dict[str, Tensor],
        boxes: list[Tensor],
        image_shapes: list[tuple[int, int]],
        glanced: dict[str, Tensor] | None = None,
    ) -> tuple[Tensor, Pose]:
        """As `forward`, with what the transformers say: crops (R, C, S, S) and the pose.

        Transformers that are taught learn nothing from the crops.

        Args:
            features, boxes, image_shapes: as of `forward`.
            glanced: maps that the glance reads, where they are not `features`.
        """
        regions = self.assigned(boxes)
        pose = self.look(features if glanced is None else glanced, boxes, regions)
        return self.warp(features, regions, pose.detached() if self.taught else pose), pose

    def assigned(self, boxes: list[Tensor]) -> Regions:
        """Regions (R_i, 4) of each picture by the map that each is read from."""
        return Regions.assigned(boxes, self.strides, CELLS)

    def look(self, features: dict[str, Tensor], boxes: list[Tensor], regions: Regions | None = None) -> Pose:
        """The pose of regions; `regions` are those of the boxes, where they are known, others as of `forward`."""
        regions = self.assigned(boxes) if regions is None else regions
        maps = [features[name][:, : self.glance_channels] for name in self.names]
        frames = regions.squared() if self.taught else regions
        side = self.glance_size
        glance = frames.read(maps, frames.points(self.glance_points), (side, side))
        glance = glance.to(next(self.localisation.parameters()).dtype)
        if not self.taught:
            theta = self.localisation(glance.flatten(1)).unflatten(1, (self.transformers, -1))
            return Pose(theta, frames.centre, frames.half)
        theta, seen, directions = self.localisation(glance)
        outline = regions.half / frames.half.clamp(min=1e-6)  # a region without a size has no outline either
        return Pose(theta, frames.centre, frames.half, seen, outline, directions)

    def warp(self, features: dict[str, Tensor], regions: Regions, pose: Pose) -> Tensor:
        """The canonical crops (R, C, S, S) of regions (see `assigned`) in their pose."""
        maps = [features[name] for name in self.names]
        side = self.size * self.bin_samples
        crops = regions.read(maps, pose.points(self.transformation, self.crop_points), (side, side))
        return avg_pool2d(crops, self.bin_samples) if self.bin_samples > 1 else crops

    @contextmanager
    def theta_statistics(self) -> Iterator[list[ThetaStatistics]]:
        """Gives a list that each call of the pool, while the context lasts, adds the statistics of its theta to."""
        gathered: list[ThetaStatistics] = []
        [bounds] = [module for module in self.localisation.modules() if isinstance(module, BoundedTheta)]
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
    taught = False
    pose_features = 0

    def __init__(self, names: list[str], size: int) -> None:
        super().__init__(names, output_size=size, sampling_ratio=2)
        self.localisation = nn.Sequential()

    def crop(
        self,
        features: dict[str, Tensor],
        boxes: list[Tensor],
        image_shapes: list[tuple[int, int]],
        glanced: dict[str, Tensor] | None = None,
    ) -> tuple[Tensor, None]:
        """Crops (R, C, S, S) of the regions, and no pose; arguments as those of `PoseNormalisingPool`."""
        return self(features, boxes, image_shapes), None

    @contextmanager
    def theta_statistics(self) -> Iterator[list[ThetaStatistics]]:
        """A list that stays empty."""
        yield []
