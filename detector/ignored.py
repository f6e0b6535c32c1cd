"""Ignore regions in training: what lies mostly inside one is neither a person nor background."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import boxes as box_ops

IGNORE_OVERLAP = 0.5


def inside_ignored(boxes: Tensor, target: dict[str, Tensor]) -> Tensor:
    """Which boxes lie mostly inside one of the target's ignore regions.

    Args:
        boxes: (n, 4), x1 y1 x2 y2.
        target: with "boxes" (m, 4) and "ignore" bool (m,).

    Returns:
        bool (n,).
    """
    regions = target["boxes"][target["ignore"]].to(boxes.dtype)
    if len(regions) == 0:
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    left_top = torch.max(boxes[:, None, :2], regions[:, :2])
    right_bottom = torch.min(boxes[:, None, 2:], regions[:, 2:])
    intersection = (right_bottom - left_top).clamp(min=0).prod(dim=2)  # (n, m)
    area = box_ops.box_area(boxes)[:, None]
    return (intersection >= IGNORE_OVERLAP * area).any(dim=1) & (area[:, 0] > 0)


def people(target: dict[str, Tensor]) -> dict[str, Tensor]:
    """The target without its ignore regions: "boxes" (n, 4) and "labels" (n,)."""
    keep = ~target["ignore"]
    return {"boxes": target["boxes"][keep], "labels": target["labels"][keep]}
