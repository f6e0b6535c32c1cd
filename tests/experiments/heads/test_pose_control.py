"""A judge without a picture finds a careless rule out, and does no better than chance where poses are matched."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from upright.experiments.heads.oracle import Donors
from upright.experiments.heads.pose_control import Evidence, area_under_curve, main, paired, trained


def evidence(seed: int, count: int = 600) -> Evidence:
    """People whose pose follows from the shape of their region, and others in regions of these shapes."""
    draw = torch.Generator().manual_seed(seed)
    wide = 20 + 80 * torch.rand(count, generator=draw)
    zero = torch.zeros(count)
    boxes = torch.stack([zero, zero, wide, zero + 100], dim=1)
    scene = torch.zeros(count, 2)
    theta = (wide / 100)[:, None, None] + 0.05 * torch.randn(count, 4, 6, generator=draw)
    seen = torch.zeros(count, 4)
    return Evidence(boxes, scene, theta, seen, boxes.flip(0), scene, Donors(boxes, scene, theta, seen))


@pytest.mark.parametrize(("rule", "low", "high"), [("matched", 0.4, 0.6), ("anybody", 0.8, 1), ("prior", 0.95, 1)])
def test_the_judge_finds_what_a_rule_gives_away(rule: str, low: float, high: float) -> None:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    judge = trained(*evidence(0).judged(rule, generator), 150, generator)
    inputs, truth = evidence(1).judged(rule, generator)
    with torch.inference_mode():
        assert low <= area_under_curve(judge(inputs)[:, 0], truth) <= high


def test_the_area_counts_pairs_and_ties_by_half() -> None:
    truth = torch.tensor([1.0, 1, 0, 0])
    assert area_under_curve(torch.tensor([3.0, 2, 1, 0]), truth) == 1
    assert area_under_curve(torch.tensor([3.0, 1, 1, 0]), truth) == 0.875
    assert area_under_curve(torch.zeros(4), truth) == 0.5


def test_pairs_are_near_and_nobody_is_taken_twice() -> None:
    first = torch.tensor([[0.0], [0.1], [9.0]])
    second = torch.tensor([[0.05], [0.4], [5.0]])
    rows, partners = paired(first, second)
    assert sorted(rows.tolist()) == [0, 1]
    assert sorted(partners.tolist()) == [0, 1]


@pytest.mark.slow
def test_quick_writes_its_table(tmp_path: Path, call_main) -> None:
    document = tmp_path / "a.md"
    document.write_text("<!-- control -->\n<!-- /control -->\n")
    ended = call_main(main, "--quick", "--output", tmp_path, "--document", document, "--figures", tmp_path / "a.json")
    assert ended.status == 0, ended.err
    assert "| rendered, roll 180 |" in document.read_text()
