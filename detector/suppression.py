"""Suppression of several boxes on one person, softly: scores fall with overlap, no box is thrown away."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import box_iou


def matrix_suppression(boxes: Tensor, scores: Tensor, decay: float) -> Tensor:
    """Scores after Matrix NMS with its Gaussian (Wang et al. 2020, *SOLOv2*, section 3.3).

    Each score is multiplied by the least, over all boxes j that score higher, of exp(-decay (overlap with j squared
    minus the greatest overlap squared that j itself has with a higher one)). Two people who overlap keep two boxes,
    where hard suppression leaves one.

    Args:
        boxes: (n, 4), x1 y1 x2 y2.
        scores: (n,) in 0..1; of equal ones the earlier counts as higher.
        decay: 0 leaves the scores as they are.

    Returns:
        (n,) in the order given.
    """
    order = scores.argsort(descending=True, stable=True)
    overlap = box_iou(boxes[order], boxes[order]).triu(1)  # (j, i), j scores higher
    squared = overlap.square()
    # How much j itself is doubted: a box that is suppressed suppresses little.
    doubted = squared.amax(dim=0) if len(boxes) else scores
    factor = torch.where(overlap > 0, torch.exp(-decay * (squared - doubted[:, None])), 1.0)
    factor = factor.amin(dim=0).clamp(max=1) if len(boxes) else scores
    return scores * torch.empty_like(scores).index_copy_(0, order, factor.to(scores.dtype))
