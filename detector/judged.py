"""What is known of regions before any of them is left out, and how scores and boxes are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import boxes as box_ops

from upright.detector.dense_proposals import Proposals
from upright.detector.evaluation.calibration import SCORE_MARGIN
from upright.detector.pose import Pose


def paired_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union (n,) of boxes (n, 4) and others (n, 4), row by row."""
    sides = torch.min(boxes[:, 2:], others[:, 2:]) - torch.max(boxes[:, :2], others[:, :2])
    intersection = sides.clamp(min=0).prod(dim=1)
    return intersection / (box_ops.box_area(boxes) + box_ops.box_area(others) - intersection).clamp(min=1e-6)


def best_match(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Of boxes (n, 4) the largest intersection over union (n,) with any of the others (m, 4), and the row of that one.

    Both are 0 without any others.
    """
    if len(others) == 0:
        return boxes.new_zeros(len(boxes)), torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
    overlap, row = box_ops.box_iou(boxes, others.to(boxes.dtype)).max(dim=1)
    return overlap, row


def calibrated(scores: Tensor, scale: float, shift: float) -> Tensor:
    """sigmoid(scale logit(score) + shift) of scores (n,) in 0..1; not touched by scale 1 and shift 0."""
    if (scale, shift) == (1.0, 0.0):
        return scores
    return torch.sigmoid(scale * torch.logit(scores, eps=SCORE_MARGIN) + shift)


def product(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Two scores (...) in 0..1 as one, first^share second^(1 - share)."""
    return first**share * second ** (1 - share)


def region_boxes(proposals: Sequence[Tensor | Proposals]) -> list[Tensor]:
    """The boxes (n, 4) of each image's proposals, with or without scores."""
    return [p.boxes if isinstance(p, Proposals) else p for p in proposals]


@dataclass(frozen=True)
class Judged:
    """What is known of the regions of a batch before any of them is left out; R is their number.

    Attributes:
        regions: (n, 4) of each image, x1 y1 x2 y2 in pixels of the resized image.
        first: (R,) logits of the first stage; None where proposals have none.
        logits: (R, 2) of the regions, background and person.
        deltas: (R, 4), from a region to its box, in torchvision's coding.
        pose: of the regions, or None without transformers.
        pictures: (B, 3, H, W), normalised, for the second look.
    """

    regions: list[Tensor]
    first: Tensor | None
    logits: Tensor
    deltas: Tensor
    pose: Pose | None
    pictures: Tensor


def person_logit(logits: Tensor) -> Tensor:
    """Logit (R,) of a person, float32, of the head's logits (R, 2) of background and person."""
    return logits[:, 1].float() - logits[:, 0].float()
