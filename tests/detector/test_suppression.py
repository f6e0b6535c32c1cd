"""Matrix suppression against the rule, box by box."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torchvision.ops import box_iou

from upright.detector.suppression import matrix_suppression


def plain(boxes: torch.Tensor, scores: torch.Tensor, decay: float) -> list[float]:
    """One box after the other, from the highest score down."""
    overlap = box_iou(boxes, boxes).tolist()
    order = sorted(range(len(scores)), key=lambda i: -scores[i].item())
    doubted: dict[int, float] = {}
    result = [0.0] * len(scores)
    for place, i in enumerate(order):
        higher = order[:place]
        doubted[i] = max((overlap[j][i] for j in higher), default=0.0)
        factors = [math.exp(-decay * (overlap[j][i] ** 2 - doubted[j] ** 2)) for j in higher if overlap[j][i] > 0]
        result[i] = scores[i].item() * min([1.0, *factors])
    return result


sides = st.integers(1, 30)
rows = st.lists(st.tuples(sides, sides, sides, sides, st.sampled_from((0.1, 0.5, 0.5, 0.9))), max_size=8)


@given(rows, st.sampled_from((0.0, 0.5, 2.0)))
def test_scores_fall_as_the_rule_says(rows: list[tuple[int, int, int, int, float]], decay: float) -> None:
    boxes = torch.tensor([[x, y, x + w, y + h] for x, y, w, h, _ in rows], dtype=torch.float64).reshape(-1, 4)
    scores = torch.tensor([row[4] for row in rows], dtype=torch.float64)
    assert matrix_suppression(boxes, scores, decay).tolist() == pytest.approx(plain(boxes, scores, decay))


def test_two_boxes_by_hand() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60]])  # overlap 0.5 of the first two
    scores = matrix_suppression(boxes, torch.tensor([0.8, 0.6, 0.4]), 1.0)
    assert scores.tolist() == pytest.approx([0.8, 0.6 * math.exp(-0.25), 0.4])
