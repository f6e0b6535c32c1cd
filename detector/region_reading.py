"""Reading regions from maps of several strides: all regions of a level and picture in one call of `grid_sample`.

Coordinates: an edge at X in the picture lies at X / stride in the map; `grid_sample` with `align_corners=False` then
agrees with RoIAlign's `aligned=True`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

PICTURE = "picture"  # the name of the pictures among the maps


@dataclass(frozen=True)
class Regions:
    """Regions of B pictures, sorted by the map that each is read from.

    Attributes:
        centre, half: (R, 2), x and y, pixels of the resized picture.
        strides: of the maps, finest first.
        groups: (level, picture, indices (k,)), k > 0.
    """

    centre: Tensor
    half: Tensor
    strides: tuple[int, ...]
    groups: list[tuple[int, int, Tensor]]

    @classmethod
    def assigned(cls, boxes: list[Tensor], strides: tuple[int, ...], cells: float) -> Regions:
        """Each region goes to the coarsest map with at least `cells` cells a side of it, where there is one.

        Args:
            boxes: for each picture (R_i, 4), x1 y1 x2 y2 in pixels of the resized picture.
            strides: of the maps, in these pixels, powers of two, finest first.
            cells: 14 is the rule of feature pyramid networks (Lin et al. 2017, section 4.2), where a region
                of 224 pixels is read at stride 16.
        """
        regions = torch.cat(boxes)
        centre, half = (regions[:, :2] + regions[:, 2:]) / 2, (regions[:, 2:] - regions[:, :2]) / 2
        level = levels(regions, strides, cells)
        if torch.onnx.is_in_onnx_export():
            return RecordedRegions(centre, half, strides, [], level)
        counts = [len(b) for b in boxes]
        pictures = torch.arange(len(counts), device=regions.device).repeat_interleave(
            torch.tensor(counts, device=regions.device), output_size=len(regions)
        )
        key = level * len(counts) + pictures
        order = torch.argsort(key, stable=True)
        sizes = torch.bincount(key, minlength=len(strides) * len(counts)).tolist()
        parts = order.split(sizes)
        groups = [(i // len(counts), i % len(counts), part) for i, part in enumerate(parts) if sizes[i]]
        return cls(centre, half, strides, groups)

    def __len__(self) -> int:
        return len(self.centre)

    @property
    def coarsest(self) -> int:
        """The last level that a region is read from."""
        return max((level for level, _, _ in self.groups), default=0)

    def squared(self) -> Regions:
        """The same with square frames, as large as the longer side: a turn in a frame is one in the picture, too."""
        return replace(self, half=self.half.amax(dim=1, keepdim=True).expand(-1, 2))

    def points(self, xy: Tensor) -> Tensor:
        """Points given in the frames of the regions, -1 to 1, in pixels of the picture.

        Args:
            xy: (R, N, points, 2), or anything that broadcasts to it.

        Returns:
            (R, N, points, 2).
        """
        return self.centre[:, None, None] + self.half[:, None, None] * xy

    def read(self, maps: list[Tensor], points: Tensor, size: tuple[int, int]) -> Tensor:
        """Samples of the maps.

        Args:
            maps: (B, C, H, W) a level.
            points: (R, N, H' W', 2), pixels of the picture; channels are split into N groups.
            size: (H', W') of a crop.

        Returns:
            (R, C, H', W').
        """
        count, transformers = points.shape[:2]
        crops = maps[0].new_empty(count, maps[0].shape[1], *size)
        parts = []
        for level, picture, indices in self.groups:
            source = maps[level][picture]  # (C, H, W)
            height, width = source.shape[-2:]
            side = points.new_tensor([width, height]) * self.strides[level]
            # One tall grid: `expand` of the map to every region would cost gigabytes in the backward pass.
            grid = (2 * points[indices] / side - 1).transpose(0, 1).reshape(transformers, -1, size[1], 2)
            source = source.unflatten(0, (transformers, -1))  # a view: transformers as batch
            part = grid_sample(source.to(grid.dtype), grid, padding_mode="border", align_corners=False)
            part = part.unflatten(2, (-1, size[0])).permute(2, 0, 1, 3, 4).flatten(1, 2)  # (k, C, H', W'), a view
            if torch.is_grad_enabled():
                parts.append(part.to(source.dtype))
            else:
                crops[indices] = part.to(source.dtype)
        if not parts:
            return crops
        # In the backward pass writing into `crops` would copy all of its gradient once for each group.
        order = torch.cat([indices for _, _, indices in self.groups])
        return torch.cat(parts).index_select(0, torch.argsort(order))


@dataclass(frozen=True)
class RecordedRegions(Regions):
    """Regions while the detector is exported: as many of every picture, and nobody knows yet who is read where.

    So all are read at once, from a sheet that holds every map; there are no `groups`.

    Attributes:
        level: (R,), the map that each is read from.
    """

    level: Tensor

    @property
    def coarsest(self) -> int:
        """As that of `Regions`: any."""
        return len(self.strides) - 1

    def read(self, maps: list[Tensor], points: Tensor, size: tuple[int, int]) -> Tensor:
        """As that of `Regions`."""
        pictures, channels = maps[0].shape[:2]
        transformers, count = points.shape[1:3]
        sheet, sides, above = stacked(maps)
        # Places in the map of each region. Kept between the middles of its outer cells, as by padding with the border,
        # they weigh what lies beside it on the sheet by nothing.
        stride = torch.tensor(self.strides, dtype=points.dtype)[self.level][:, None, None, None]
        last = sides[self.level][:, None, None] - 0.5
        places = torch.minimum((points / stride).clamp(min=0.5), last) + above[self.level][:, None, None]
        grid = 2 * places / torch._shape_as_tensor(sheet)[2:].flip(0).to(points.dtype) - 1
        grid = grid.reshape(pictures, -1, transformers, count, 2).transpose(1, 2)  # (B, N, regions, H' W', 2)
        grid = grid.reshape(pictures * transformers, -1, size[1], 2)
        sheet = sheet.reshape(pictures * transformers, channels // transformers, *sheet.shape[2:])
        crops = grid_sample(sheet, grid, padding_mode="border", align_corners=False)
        crops = crops.reshape(pictures, transformers, channels // transformers, -1, count)
        return crops.permute(0, 3, 1, 2, 4).reshape(-1, channels, *size)


def stacked(maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Maps of one picture on one sheet, one below the other.

    Args:
        maps: (B, C, H, W) a level, the widest first.

    Returns:
        the sheet (B, C, sum of H, widest W); (levels, 2), width and height of each map; (levels, 2), where it begins.
    """
    rows, sides, above = [], [], []
    top = torch.zeros(2, dtype=torch.int64)
    for level in maps:
        pictures, channels, height, width = level.shape
        # By concatenation, which engines do quicker than what they pad with.
        beside = level.new_zeros(pictures, channels, height, maps[0].shape[3] - width)
        rows.append(torch.cat([level, beside], dim=3))
        # Not a tensor of two numbers, which would tie the exported detector to the sides that it is recorded with.
        side = torch._shape_as_tensor(level)[2:].flip(0)
        sides.append(side)
        above.append(top)
        top = top + side * torch.tensor([0, 1])
    return torch.cat(rows, dim=2), torch.stack(sides).to(maps[0].dtype), torch.stack(above).to(maps[0].dtype)


def levels(regions: Tensor, strides: tuple[int, ...], cells: float) -> Tensor:
    """The map (R,) that each of the regions (R, 4) is read from; other arguments as those of `Regions.assigned`."""
    area = (regions[:, 2] - regions[:, 0]) * (regions[:, 3] - regions[:, 1])
    level = torch.floor(torch.log2(area.clamp(min=0).sqrt() / cells) + 1e-6)
    finest = strides[0].bit_length() - 1
    return (level - finest).clamp(0, len(strides) - 1).long()
