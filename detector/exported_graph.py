"""The whole detector as one graph: from a picture's bytes to its detections, for engines other than torch.

What torch does with lists of any length is done here with a fixed number of regions a picture, those that are left
free being told by a score below any other; what follows the region head says the same as `RegionHeads`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad
from torchvision.ops import batched_nms

from upright.detector.dense_proposals import DenseProposals, Proposals, decode
from upright.detector.judged import Judged, calibrated, product
from upright.detector.model import Detector
from upright.detector.pose import Pose
from upright.errors import InputError

NOBODY = -1e4  # logit of a region that is left free
SIDES = 32  # that those of the padded picture are multiples of, as torchvision pads them
OUTPUTS = ("boxes", "scores", "lean", "whole", "parts", "seen")


class Resized(torch.autograd.Function):
    """Bilinear, to sides that are known only when the graph runs: torch's own is recorded with constant ones."""

    @staticmethod
    def forward(ctx: Any, pictures: Tensor, size: Tensor) -> Tensor:
        return interpolate(pictures, size=size.tolist(), mode="bilinear", align_corners=False)

    @staticmethod
    def symbolic(g: Any, pictures: Any, size: Any) -> Any:
        fixed = g.op("Slice", g.op("Shape", pictures), *(g.op("Constant", value_t=torch.tensor([i])) for i in (0, 2)))
        none = g.op("Constant", value_t=torch.tensor([], dtype=torch.float32))
        sizes = g.op("Concat", fixed, size, axis_i=0)
        resized = g.op(
            "Resize", pictures, none, none, sizes, mode_s="linear", coordinate_transformation_mode_s="half_pixel"
        )
        resized.setType(pictures.type().with_sizes([None, 3, None, None]))  # not those that it is recorded with
        return resized


class Suppressed(torch.autograd.Function):
    """Hard suppression: rows (M, 3) of picture, class (0) and box, picture after picture, scores falling."""

    @staticmethod
    def forward(ctx: Any, boxes: Tensor, scores: Tensor, threshold: float, most: int) -> Tensor:
        rows = []
        for picture, (own, score) in enumerate(zip(boxes, scores[:, 0], strict=True)):
            alive = (score > NOBODY / 2).nonzero()[:, 0]
            kept = alive[batched_nms(own[alive], score[alive], torch.zeros_like(alive), threshold)][:most]
            rows.append(torch.stack([torch.full_like(kept, picture), torch.zeros_like(kept), kept], dim=1))
        return torch.cat(rows)

    @staticmethod
    def symbolic(g: Any, boxes: Any, scores: Any, threshold: float, most: int) -> Any:
        return g.op(
            "NonMaxSuppression",
            boxes,
            scores,
            g.op("Constant", value_t=torch.tensor([most])),
            g.op("Constant", value_t=torch.tensor([threshold])),
            g.op("Constant", value_t=torch.tensor([NOBODY / 2])),
        )


class ExportedGraph(nn.Module):
    """What is recorded.

    Args:
        model: in eval mode, with dense proposals and matrix suppression.
        batch: whether the input holds several pictures of one size.

    Raises:
        InputError: the detector is of another kind.
    """

    def __init__(self, model: Detector, batch: bool = False) -> None:
        super().__init__()
        if (
            not isinstance(model.rpn, DenseProposals)
            or model.roi_heads.decay is None
            or not model.settings.transformers
        ):
            raise InputError(
                "only detectors with dense proposals, transformers and matrix suppression are exported, as preset light"
            )
        self.model = model
        self.batch = batch
        self.regions = model.settings.test_proposals

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """
        Args:
            image: uint8 (H, W, 3), RGB; (B, H, W, 3) in a batch.

        Returns:
            boxes (n, 4), scores (n,), falling, and where the transformers are taught lean (n,), whole (n, 4, 2),
            parts (n, 3, 4, 2) and seen (n, 3), in pixels of the picture. In a batch each has B before n, which is the
            number of regions then; rows with a score of 0 are nobody.
        """
        pictures = (image if self.batch else image[None]).permute(0, 3, 1, 2).float()
        original = torch._shape_as_tensor(pictures)[2:]
        resized, size = self.resized(pictures, original)
        features = self.model.backbone(resized)
        # Of the input: what lies between may be recorded with the number of pictures that it is recorded with.
        number = torch.ones_like(pictures[:, 0, 0, 0], dtype=torch.long).cumsum(0) - 1
        regions, first = self.propose(features, number, size.to(resized.dtype))
        heads = self.model.roi_heads
        judged = heads.judge(features, [Proposals(regions.flatten(0, 1), first.flatten())], [])
        found = self.decide(judged, regions, first > NOBODY / 2, number, size.to(resized.dtype))
        ratio = original.to(resized.dtype).flip(0) / size.to(resized.dtype).flip(0)
        found["boxes"] = found["boxes"] * ratio.repeat(2)
        for name in ("whole", "parts"):
            if name in found:
                found[name] = found[name] * ratio
        return tuple(found[name] for name in OUTPUTS if name in found)

    def resized(self, pictures: Tensor, original: Tensor) -> tuple[Tensor, Tensor]:
        """What the backbone takes, (B, 3, ., .), and height and width (2,) of the picture in it."""
        transform, shorter, longer = self.model.transform, original.min(), original.max()
        size = torch.minimum(
            torch.div(original * min(transform.min_size), shorter, rounding_mode="trunc"),
            torch.div(original * transform.max_size, longer, rounding_mode="trunc"),
        )
        mean, std = (255 * torch.tensor(v)[:, None, None] for v in (transform.image_mean, transform.image_std))
        normalised = (Resized.apply(pictures, size) - mean) / std
        more = torch.div(size + SIDES - 1, SIDES, rounding_mode="trunc") * SIDES - size
        # By concatenation, which engines do quicker than what they pad with.
        height, width = normalised.shape[2:]
        count = pictures.shape[0]  # the tensors among the sides keep the graph free
        wider = torch.cat([normalised, normalised.new_zeros(count, 3, height, more[1])], dim=3)
        below = wider.new_zeros(count, 3, more[0], width + more[1])  # type: ignore[call-overload]
        return torch.cat([wider, below], dim=2), size

    def propose(self, features: dict[str, Tensor], number: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        """Regions (B, K, 4) and their logits (B, K), as `DenseProposals` chooses them; `number` (B,) is 0, 1 ..."""
        network = self.model.rpn
        maps = list(features.values())[: len(network.strides)]
        raw = torch.cat([head(m) for head, m in zip(network.head, maps, strict=True)], dim=1)
        points, strides = self.cells(maps)
        # As many cells more that are nobody's as are looked at, for a picture that has fewer.
        raw = pad(raw, [0, 0, 0, network.candidates])
        points, strides = pad(points, [0, 0, 0, network.candidates]), pad(strides, [0, network.candidates])
        real = strides > 0
        logits, order = torch.where(real, raw[..., 0], NOBODY).topk(network.candidates)
        bins = raw[..., 1:].gather(1, order[..., None].expand(-1, -1, raw.shape[-1] - 1)).unflatten(-1, (4, -1))
        boxes = clipped(decode(bins, points[order], strides[order]), size)
        solid = (boxes[..., 2:] - boxes[..., :2]).amin(dim=-1) >= 1
        logits = torch.where(solid, logits, NOBODY)
        rows = Suppressed.apply(boxes, logits[:, None], network.nms_threshold, self.regions)
        return self.padded(boxes, logits, rows, number)

    def cells(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """As `DenseProposals.cells`."""
        points, strides = [], []
        for level, stride in zip(maps, self.model.rpn.strides, strict=True):
            ones = torch.ones_like(level[0, 0])
            x, y = ones.cumsum(1) - 1, ones.cumsum(0) - 1
            points.append(torch.stack([x, y], dim=-1).flatten(0, 1) * float(stride))
            strides.append(ones.flatten() * float(stride))
        return torch.cat(points), torch.cat(strides)

    def padded(self, boxes: Tensor, logits: Tensor, rows: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (B, K, 4) and logits (B, K) of the rows (M, 3) that `Suppressed` leaves; nobody's after them."""
        before = (rows[None, :, 0] < number[:, None]).long().sum(dim=1)
        place = torch.arange(rows.shape[0], device=boxes.device) - before[rows[:, 0]]
        flat = rows[:, 0] * self.regions + place
        source = rows[:, 0] * boxes.shape[1] + rows[:, 2]
        free = (number[:, None] * 0.0 + torch.full((self.regions,), NOBODY)).flatten()
        kept = free.scatter(0, flat, logits.flatten()[source])
        places = torch.zeros_like(free)[:, None].expand(-1, 4)
        regions = places.scatter(0, flat[:, None].expand(-1, 4), boxes.flatten(0, 1)[source])
        return regions.reshape(-1, self.regions, 4), kept.reshape(-1, self.regions)

    def decide(self, judged: Judged, regions: Tensor, real: Tensor, number: Tensor, size: Tensor) -> dict[str, Tensor]:
        """The detections in pixels of the resized picture, as `RegionHeads._detections` finds them."""
        heads = self.model.roi_heads
        boxes = heads.box_coder.decode_single(heads.box_share * judged.deltas, regions.flatten(0, 1))
        boxes = clipped(boxes.reshape(-1, self.regions, 4), size)
        scores = torch.where(real, heads._scores(judged).reshape(-1, self.regions), 0.0)
        scores = matrix_suppressed(boxes, scores, heads.decay)
        pose = heads.told_pose(judged.pose)
        if heads.second_look is not None:
            scores, seen, corrected = self.rejudged(scores, boxes, judged, number)
            pose |= {name: pose[name].index_copy(0, seen, one) for name, one in heads.told_pose(corrected).items()}
        scores = calibrated(scores, heads.score_scale, heads.score_shift)
        solid = (boxes[..., 2:] - boxes[..., :2]).amin(dim=-1) >= 1
        scores = torch.where(real & solid & (scores > heads.score_thresh), scores, 0.0)
        scores, order = scores.topk(min(self.regions, heads.detections_per_img))
        found = {name: value.reshape(-1, self.regions, *value.shape[1:]) for name, value in pose.items()}
        found["boxes"] = boxes
        if self.batch:
            found = {name: taken(value, order) for name, value in found.items()}
            return found | {"scores": scores}
        kept = order[0, : (scores > 0).long().sum()]
        return {name: value[0, kept] for name, value in found.items()} | {"scores": scores[0, : kept.shape[0]]}

    def rejudged(
        self, scores: Tensor, boxes: Tensor, judged: Judged, number: Tensor
    ) -> tuple[Tensor, Tensor, Pose | None]:
        """Scores (B, K) after the second look, the rows it saw and their pose, as `RegionHeads` does it."""
        heads = self.model.roi_heads
        best, order = scores.topk(min(heads.looks, self.regions))
        flat = (number[:, None] * self.regions + order).flatten()
        pose: Pose | None = None if judged.pose is None else judged.pose.rows(flat)
        frames = heads._frames(taken(boxes, order).flatten(0, 1), pose)
        second, corrected = heads.second_look(judged.pictures, [frames])
        second = second.sigmoid().reshape(-1, best.shape[1])
        return scores.scatter(1, order, product(second, best, heads.second_share)), flat, corrected


def taken(values: Tensor, order: Tensor) -> Tensor:
    """Rows (B, n, ...) of values (B, K, ...) by their numbers (B, n)."""
    flat = values.flatten(2) if values.dim() > 2 else values[..., None]
    rows = flat.gather(1, order[..., None].expand(-1, -1, flat.shape[-1]))
    return rows.reshape(-1, order.shape[1], *values.shape[2:])


def clipped(boxes: Tensor, size: Tensor) -> Tensor:
    """Boxes (..., 4) cut at the edges of a picture of height and width (2,)."""
    corners = boxes.unflatten(-1, (2, 2)).clamp(min=0)
    return torch.minimum(corners, size.flip(0)).flatten(-2)


def matrix_suppressed(boxes: Tensor, scores: Tensor, decay: float) -> Tensor:
    """`upright.detector.suppression.matrix_suppression` of boxes (B, K, 4) and scores (B, K), without sorting them."""
    sides = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    sides = (sides - torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])).clamp(min=0)
    shared = sides[..., 0] * sides[..., 1]
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    overlap = shared / (area[:, :, None] + area[:, None, :] - shared).clamp(min=1e-6)
    number = torch.arange(boxes.shape[1], device=boxes.device)
    higher = (scores[:, :, None] > scores[:, None, :]) | (
        (scores[:, :, None] == scores[:, None, :]) & (number[:, None] < number)
    )  # (B, j, i), j scores higher
    squared = torch.where(higher, overlap, 0.0).square()
    doubted = squared.amax(dim=1)
    factor = torch.exp(-decay * (squared - doubted[:, :, None]))
    return scores * torch.where(squared > 0, factor, 1.0).amin(dim=1).clamp(max=1)
