"""Proposals of a dense head: each cell of the pyramid says how likely a person is there, and how far its box reaches.

Distances are distributions over bins (Li et al. 2020, *Generalized focal loss*, section 3), the score is learnt as the
overlap that the box has with a person (the same, quality focal loss); which cells a person is learnt from is decided by
what they say already (Ge et al. 2021, *YOLOX*, section 2.1, SimOTA).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou, clip_boxes_to_image, generalized_box_iou_loss, nms

from upright.detector.ignored import inside_ignored, people
from upright.detector.shufflenet import Learnt, Separable

BINS = 8  # of a distance: 0 to 7 strides
BOX_WEIGHT, BINS_WEIGHT = 2.0, 0.25  # of the losses, beside 1 for the score
CANDIDATES = 10  # cells whose overlaps decide how many a person is learnt from
OVERLAP_COST = 3.0


@dataclass(frozen=True)
class Proposals:
    """Regions of one image.

    Attributes:
        boxes: (n, 4), x1 y1 x2 y2 in pixels of the resized image.
        logits: (n,), of how likely each is a person, falling.
    """

    boxes: Tensor
    logits: Tensor

    def rows(self, chosen: Tensor) -> Proposals:
        """Some of them; `chosen` are row numbers or bool (n,)."""
        return Proposals(self.boxes[chosen], self.logits[chosen])


class LevelHead(nn.Module):
    """One level's convolutions: a logit and 4 x BINS numbers a cell."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.ModuleList([Separable(channels), Separable(channels)])
        self.predict = nn.Conv2d(channels, 1 + 4 * BINS, 1)
        assert self.predict.bias is not None
        nn.init.constant_(self.predict.bias[:1], -4.6)  # a score of 0.01 to start with

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, H W, 1 + 4 BINS)."""
        for layer in self.conv:
            x = layer(x)
        return self.predict(x).permute(0, 2, 3, 1).flatten(1, 2)


class DenseProposals(Learnt):
    """Called as torchvision's proposal network.

    Args:
        strides: of the maps, finest first.
        channels: of every map.
        kept: proposals an image after suppression, in training and otherwise.
        nms_threshold: of that suppression.
        candidates: cells an image that suppression looks at.
    """

    def __init__(
        self,
        strides: tuple[int, ...],
        channels: int,
        kept: dict[str, int],
        nms_threshold: float = 0.7,
        candidates: int = 1000,
    ) -> None:
        super().__init__()
        self.strides = strides
        self.head = nn.ModuleList(LevelHead(channels) for _ in strides)
        self.kept = kept
        self.nms_threshold = nms_threshold
        self.candidates = candidates

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[Proposals], dict[str, Tensor]]:
        """Proposals of each image, and the losses (empty without targets)."""
        maps = list(features.values())[: len(self.strides)]
        raw = torch.cat([head(m) for head, m in zip(self.head, maps, strict=True)], dim=1).float()
        points, strides = self.cells([m.shape[-2:] for m in maps], raw.device)
        logits, bins = raw[..., 0], raw[..., 1:].unflatten(-1, (4, BINS))
        losses = {}
        if targets is not None:
            losses = dense_losses(logits, bins, points, strides, targets)
        with torch.no_grad():
            proposals = [
                self.select(logit, bin_, points, strides, shape)
                for logit, bin_, shape in zip(logits, bins, images.image_sizes, strict=True)
            ]
        return proposals, losses

    def cells(self, shapes: list[torch.Size], device: torch.device) -> tuple[Tensor, Tensor]:
        """Points (A, 2) that distances are measured from, x y in pixels, and their strides (A,)."""
        points, strides = [], []
        for (height, width), stride in zip(shapes, self.strides, strict=True):
            y, x = torch.meshgrid(
                torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
            )
            points.append(torch.stack([x, y], dim=-1).flatten(0, 1) * float(stride))
            strides.append(torch.full((height * width,), float(stride), device=device))
        return torch.cat(points), torch.cat(strides)

    def select(
        self, logits: Tensor, bins: Tensor, points: Tensor, strides: Tensor, shape: tuple[int, int]
    ) -> Proposals:
        """The best of one image's cells, after suppression; only the candidates are decoded.

        Args:
            logits: (A,).
            bins: (A, 4, BINS).
            points, strides: (A, 2) and (A,).
            shape: height and width of the image, which boxes are clipped to.
        """
        logits, order = logits.topk(min(self.candidates, len(logits)))
        return self.suppressed(Proposals(decode(bins[order], points[order], strides[order]), logits), shape)

    def suppressed(self, candidates: Proposals, shape: tuple[int, int]) -> Proposals:
        """Those that are kept, clipped to an image of this height and width."""
        boxes = clip_boxes_to_image(candidates.boxes, shape)
        solid = (boxes[:, 2:] - boxes[:, :2] >= 1).all(dim=1)
        found = Proposals(boxes, candidates.logits).rows(solid)
        keep = nms(found.boxes, found.logits, self.nms_threshold)
        return found.rows(keep[: self.kept["training" if self.training else "testing"]])


def decode(bins: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """Boxes (..., A, 4) of the logits of distances (..., A, 4, BINS), left top right bottom, at points (..., A, 2)."""
    index = torch.arange(BINS, dtype=bins.dtype, device=bins.device)
    distance = (bins.softmax(dim=-1) * index).sum(dim=-1) * strides[..., None]
    return torch.cat([points - distance[..., :2], points + distance[..., 2:]], dim=-1)


@torch.no_grad()
def assign(logits: Tensor, boxes: Tensor, points: Tensor, strides: Tensor, truths: Tensor) -> tuple[Tensor, Tensor]:
    """Which cells learn which person: for each person the cells that cost least, as many as their overlaps add up to.

    A cell may learn a person when its point lies inside the person's box; a person too small to hold any point is
    learnt from the nearest one.

    Args:
        logits: (A,) of one image.
        boxes: (A, 4) that the cells say now.
        points, strides: (A, 2) and (A,) of the cells.
        truths: (n, 4), n > 0.

    Returns:
        (A,) index of the person or -1, and (A,) overlap of the cell's box with it, 0 elsewhere.
    """
    inside = (points[:, None, :] > truths[None, :, :2]).all(-1) & (points[:, None, :] < truths[None, :, 2:]).all(-1)
    centre = (truths[:, :2] + truths[:, 2:]) / 2
    pixels = (points[:, None] - centre).norm(dim=-1)  # (A, n)
    # Of cells at the same point the finest comes first.
    inside |= ~inside.any(dim=0) & (torch.arange(len(points), device=points.device)[:, None] == pixels.argmin(dim=0))
    away = pixels / strides[:, None]  # in cells
    overlap = box_iou(boxes, truths) * inside
    score = logits.sigmoid()[:, None]
    soft = binary_cross_entropy_with_logits(logits[:, None].expand_as(overlap), overlap, reduction="none")
    cost = soft * (overlap - score).abs().square() - OVERLAP_COST * (overlap + 1e-7).log() + 10.0 ** (away - 3)
    cost = torch.where(inside, cost, cost.new_tensor(torch.inf))
    count = min(CANDIDATES, len(points))
    wanted = overlap.topk(count, dim=0).values.sum(dim=0).int().clamp(min=1)  # (n,)
    cheapest = cost.topk(count, dim=0, largest=False)
    taken = torch.zeros_like(inside)
    ranks = torch.arange(count, device=cost.device)[:, None]
    taken.scatter_(0, cheapest.indices, (ranks < wanted) & cheapest.values.isfinite())
    # A cell that several people want learns the one that costs least.
    best = torch.where(taken, cost, cost.new_tensor(torch.inf)).min(dim=1)
    person = torch.where(best.values.isfinite(), best.indices, -1)
    return person, torch.where(person >= 0, overlap.gather(1, best.indices[:, None])[:, 0], 0)


@dataclass(frozen=True)
class Lesson:
    """What the A cells of an image are to learn.

    Attributes:
        quality: (A,), the score to learn: the overlap of a cell's box with its person, 0 where it has none.
        counts: bool (A,), whether the score is learnt; not on ignore regions.
        learns: bool (A,), whether the cell has a person, k of them have.
        truths: (k, 4), boxes of these people.
    """

    quality: Tensor
    counts: Tensor
    learns: Tensor
    truths: Tensor


@torch.no_grad()
def lesson(logits: Tensor, bins: Tensor, points: Tensor, strides: Tensor, target: dict[str, Tensor]) -> Lesson:
    """What one image's cells learn; logits (A,), bins (A, 4, BINS), points (A, 2) and strides (A,)."""
    boxes, truths = decode(bins, points, strides), people(target)["boxes"]
    if len(truths) == 0:
        learns = torch.zeros_like(logits, dtype=torch.bool)
        return Lesson(torch.zeros_like(logits), ~inside_ignored(boxes, target), learns, boxes.new_zeros(0, 4))
    person, quality = assign(logits, boxes, points, strides, truths)
    learns = person >= 0
    return Lesson(quality, learns | ~inside_ignored(boxes, target), learns, truths[person[learns]])


def dense_losses(
    logits: Tensor, bins: Tensor, points: Tensor, strides: Tensor, targets: list[dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Losses of a batch, each a sum over the cells that learn a person, divided by their number or weight.

    Args:
        logits: (B, A).
        bins: (B, A, 4, BINS).
        points, strides: (A, 2) and (A,).
        targets: of the B images.

    Returns:
        "loss_objectness", "loss_rpn_box_reg" and "loss_rpn_bins".
    """
    lessons = [
        lesson(logit, bin_, points, strides, target) for logit, bin_, target in zip(logits, bins, targets, strict=True)
    ]
    quality, learns = torch.stack([one.quality for one in lessons]), torch.stack([one.learns for one in lessons])
    weight = (quality - logits.detach().sigmoid()).square() * torch.stack([one.counts for one in lessons])
    score_loss = weight * binary_cross_entropy_with_logits(logits, quality, reduction="none")
    losses = {"loss_objectness": score_loss.sum() / learns.sum().clamp(min=1)}

    truths, cells = torch.cat([one.truths for one in lessons]), learns.nonzero()[:, 1]
    points, strides, bins = points[cells], strides[cells], bins[learns]
    importance = logits.detach()[learns].sigmoid()
    total = importance.sum().clamp(min=1)
    box_loss = generalized_box_iou_loss(decode(bins, points, strides), truths) * importance
    losses["loss_rpn_box_reg"] = BOX_WEIGHT * box_loss.sum() / total
    distance = torch.cat([points - truths[:, :2], truths[:, 2:] - points], dim=1) / strides[:, None]
    distance = distance.clamp(0, BINS - 1 - 0.01)
    lower = distance.long()
    share = (distance - lower)[..., None]  # of the upper one of the two bins that a distance lies between
    wanted = one_hot(lower, BINS) * (1 - share) + one_hot(lower + 1, BINS) * share
    bin_loss = cross_entropy(bins.flatten(0, 1), wanted.flatten(0, 1), reduction="none").unflatten(0, (-1, 4))
    losses["loss_rpn_bins"] = BINS_WEIGHT * (bin_loss.mean(dim=1) * importance).sum() / total
    return losses
