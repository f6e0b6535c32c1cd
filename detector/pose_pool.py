"""The pose-normalising pool: N spatial transformers in parallel read each region from the feature pyramid.

A drop-in for `torchvision.ops.MultiScaleRoIAlign`. A coarse glance at each region goes through a small
localisation network; its theta, one for each transformer, says where that transformer reads the region. Each of the
N transformers reads its own C / N channels, one sample a bin, so that the pool reads less than RoIAlign does
(Jaderberg et al. 2015, sections 3.1 to 3.3, and 4.3 for transformers in parallel).

Coordinates: an edge at X in the picture lies at X / stride in the map; `grid_sample` with `align_corners=False` then
agrees with RoIAlign's `aligned=True`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, grid_sample
from torchvision.ops import MultiScaleRoIAlign

from detector.spatial_transformer import BoundedTheta, Transformation, target_points

# As in feature pyramid networks (Lin et al. 2017, section 4.2): a region of 224 pixels is read at stride 16.
CANONICAL_SIZE = 224
CANONICAL_LEVEL = 4


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
        regions = torch.cat(boxes)
        groups = self._groups(regions, [len(b) for b in boxes])
        centre, half = (regions[:, :2] + regions[:, 2:]) / 2, (regions[:, 2:] - regions[:, :2]) / 2

        points = centre[:, None] + half[:, None] * self.glance_points  # (R, n n, 2), pixels of the picture
        glance = self._read([m[:, : self.glance_channels] for m in maps], points[:, None], groups, self.glance_size)
        raw = self.localisation(glance.flatten(1).to(self.localisation[0].weight.dtype))
        self.last_raw = raw.detach()
        theta = self.theta(raw)  # (R, N, P)

        warped = self.theta.transformation.warp(theta.flatten(0, 1), self.crop_points)  # (R N, points a crop, 2)
        warped = warped.unflatten(0, (len(regions), self.transformers))
        points = centre[:, None, None] + half[:, None, None] * warped  # (R, N, points a crop, 2)
        crops = self._read(maps, points, groups, self.size * self.samples)
        if self.samples > 1:
            crops = avg_pool2d(crops, self.samples)
        return crops, theta

    def _groups(self, regions: Tensor, counts: list[int]) -> list[tuple[int, int, Tensor]]:
        """Which regions are read from which level of which picture: (level, picture, indices (k,)), k > 0."""
        area = (regions[:, 2] - regions[:, 0]) * (regions[:, 3] - regions[:, 1])
        level = torch.floor(CANONICAL_LEVEL + torch.log2(area.clamp(min=0).sqrt() / CANONICAL_SIZE) + 1e-6)
        finest = self.strides[0].bit_length() - 1
        level = (level - finest).clamp(0, len(self.strides) - 1).long()
        pictures = torch.arange(len(counts), device=regions.device).repeat_interleave(
            torch.tensor(counts, device=regions.device), output_size=len(regions)
        )
        key = level * len(counts) + pictures
        order = torch.argsort(key, stable=True)
        sizes = torch.bincount(key, minlength=len(self.strides) * len(counts)).tolist()
        parts = order.split(sizes)
        return [(i // len(counts), i % len(counts), part) for i, part in enumerate(parts) if sizes[i]]

    def _read(self, maps: list[Tensor], points: Tensor, groups: list[tuple[int, int, Tensor]], size: int) -> Tensor:
        """Samples of the maps, all regions of a level and picture in one call.

        Args:
            maps: (B, C, H, W) a level.
            points: (R, N, size size, 2), pixels of the picture; channels are split into N groups.
            groups: of `_groups`.
            size: samples a side.

        Returns:
            (R, C, size, size).
        """
        regions, transformers = points.shape[:2]
        crops = maps[0].new_empty(regions, maps[0].shape[1], size, size)
        parts = []
        for level, picture, indices in groups:
            source = maps[level][picture]  # (C, H, W)
            height, width = source.shape[-2:]
            side = points.new_tensor([width, height]) * self.strides[level]
            # One tall grid: `expand` of the map to every region would cost gigabytes in the backward pass.
            grid = (2 * points[indices] / side - 1).transpose(0, 1).reshape(transformers, -1, size, 2)
            source = source.unflatten(0, (transformers, -1))  # a view: transformers as batch
            part = grid_sample(source.to(grid.dtype), grid, padding_mode="border", align_corners=False)
            part = part.unflatten(2, (-1, size)).permute(2, 0, 1, 3, 4).flatten(1, 2)  # (k, C, size, size), a view
            if torch.is_grad_enabled():
                parts.append(part.to(source.dtype))
            else:
                crops[indices] = part.to(source.dtype)
        if not parts:
            return crops
        # In the backward pass writing into `crops` would copy all of its gradient once for each group.
        order = torch.cat([indices for _, _, indices in groups])
        return torch.cat(parts).index_select(0, torch.argsort(order))
