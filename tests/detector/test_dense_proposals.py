"""Dense proposals: boxes of bins, which cell learns whom, losses, and what is kept."""

from __future__ import annotations

import math
from typing import NamedTuple

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import nms

from upright.detector.dense_proposals import BINS, DenseProposals, Proposals, assign, decode, dense_losses

STRIDES = (8, 16)
HEIGHT, WIDTH = 64, 96
NAMES = {"loss_objectness", "loss_rpn_box_reg", "loss_rpn_bins"}


@pytest.fixture
def dense() -> DenseProposals:
    torch.manual_seed(0)
    return DenseProposals(STRIDES, 8, {"training": 12, "testing": 7}, candidates=40)


class Cells(NamedTuple):
    points: Tensor
    strides: Tensor


def grid() -> Cells:
    shapes = [torch.Size((HEIGHT // s, WIDTH // s)) for s in STRIDES]
    return Cells(*DenseProposals(STRIDES, 8, {}).cells(shapes, torch.device("cpu")))


def cell(column: int, row: int, level: int = 0) -> int:
    """The index of a cell."""
    return level * (HEIGHT // 8) * (WIDTH // 8) + row * (WIDTH // STRIDES[level]) + column


def target(boxes: list[list[float]], ignore: list[bool] | None = None) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
        "ignore": torch.tensor([False] * len(boxes) if ignore is None else ignore, dtype=torch.bool),
    }


def test_points_are_columns_and_rows_times_the_stride_finest_level_first() -> None:
    points, strides = grid()
    assert points.shape == (12 * 8 + 6 * 4, 2)
    assert points[cell(3, 2)].tolist() == [24, 16]
    assert points[cell(5, 1, level=1)].tolist() == [80, 16]
    assert (strides[cell(11, 7)], strides[cell(0, 0, level=1)]) == (8, 16)


def test_a_box_reaches_from_its_point_by_the_mean_bin_times_the_stride() -> None:
    bins = torch.full((1, 4, BINS), -200.0)
    bins[0, 0, 1] = bins[0, 1, 2] = 0  # left 1, top 2
    bins[0, 2, 7] = 0  # right 7
    bins[0, 3, [3, 4]] = torch.tensor([0.0, math.log(3)])  # bottom: a quarter of 3, three quarters of 4
    box = decode(bins, torch.tensor([[40.0, 24.0]]), torch.tensor([16.0]))
    torch.testing.assert_close(box, torch.tensor([[40 - 16, 24 - 32, 40 + 7 * 16, 24 + 3.75 * 16]]))


def test_decoding_agrees_with_loops() -> None:
    torch.manual_seed(0)
    points, strides = grid()
    bins = 3 * torch.randn(2, len(points), 4, BINS)
    boxes = decode(bins, points, strides)
    for image in range(2):
        for a in range(0, len(points), 7):
            reach = []
            for side in range(4):
                shares = [math.exp(v) for v in bins[image, a, side].tolist()]
                reach.append(strides[a].item() * sum(i * s for i, s in enumerate(shares)) / sum(shares))
            x, y = points[a].tolist()
            expected = torch.tensor([x - reach[0], y - reach[1], x + reach[2], y + reach[3]])
            torch.testing.assert_close(boxes[image, a], expected)


def overlap_of(one: list[float], other: list[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(width, 0) * max(height, 0)
    return both / (sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)) - both)


def assigned_slowly(logits: Tensor, boxes: Tensor, cells: Cells, truths: Tensor) -> tuple[list[int], list[float]]:
    """SimOTA as YOLOX, section 2.1, and NanoDet-Plus have it, one cell and person at a time."""
    count = len(logits)
    wanted_by: list[dict[int, tuple[float, float]]] = [{} for _ in range(count)]  # cost and overlap by person
    for person, (x1, y1, x2, y2) in enumerate(truths.tolist()):
        pixels, away, inside = [], [], []
        for (x, y), stride in zip(cells.points.tolist(), cells.strides.tolist(), strict=True):
            pixels.append(math.hypot(x - (x1 + x2) / 2, y - (y1 + y2) / 2))
            away.append(pixels[-1] / stride)
            inside.append(x1 < x < x2 and y1 < y < y2)
        if not any(inside):
            nearest = pixels.index(min(pixels))
            inside = [a == nearest for a in range(count)]
        costs, overlaps = {}, {}
        for a in range(count):
            if inside[a]:
                overlap = overlap_of(boxes[a].tolist(), [x1, y1, x2, y2])
                score = 1 / (1 + math.exp(-logits[a].item()))
                entropy = -overlap * math.log(score) - (1 - overlap) * math.log(1 - score)
                overlaps[a] = overlap
                costs[a] = entropy * (overlap - score) ** 2 - 3 * math.log(overlap + 1e-7) + 10 ** (away[a] - 3)
        number = max(1, int(sum(sorted(overlaps.values())[-10:]) + 1e-6))
        for a in sorted(costs, key=costs.__getitem__)[:number]:
            wanted_by[a][person] = (costs[a], overlaps[a])
    people = [min(wants, key=lambda p, wants=wants: wants[p][0]) if wants else -1 for wants in wanted_by]
    return people, [wants[p][1] if wants else 0.0 for p, wants in zip(people, wanted_by, strict=True)]


sides = st.floats(2, 60).map(lambda v: round(v, 2))
places = st.floats(0.3, 55).map(lambda v: round(v, 2))


@given(people=st.lists(st.tuples(places, places, sides, sides), min_size=1, max_size=5), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=60)
def test_assignment_agrees_with_a_plain_loop(people: list[tuple[float, ...]], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    cells = grid()
    truths = torch.tensor([[x, y, x + w, y + h] for x, y, w, h in people])
    logits = torch.randn(len(cells.points), generator=generator)
    # Boxes round the points, so that many overlap a person well and many do not.
    reach = cells.strides[:, None] * (0.2 + 3 * torch.rand(len(logits), 4, generator=generator))
    boxes = torch.cat([cells.points - reach[:, :2], cells.points + reach[:, 2:]], dim=1)
    person, overlap = assign(logits, boxes, *cells, truths)
    expected, overlaps = assigned_slowly(logits, boxes, cells, truths)
    assert person.tolist() == expected
    torch.testing.assert_close(overlap, torch.tensor(overlaps), atol=1e-4, rtol=1e-3)


def boxes_at(cells: Cells, box: list[float]) -> Tensor:
    return torch.tensor(box).expand(len(cells.points), 4).clone()


def test_a_person_is_learnt_from_as_many_cells_as_their_overlaps_add_up_to() -> None:
    cells, truth = grid(), [18.0, 10.0, 46.0, 54.0]
    logits = torch.zeros(len(cells.points))
    assert (assign(logits, boxes_at(cells, truth), *cells, torch.tensor([truth]))[0] == 0).sum() == 10  # at most
    half = [18.0, 10.0, 32.0, 54.0]  # overlaps by a half: ten halves
    person, overlap = assign(logits, boxes_at(cells, half), *cells, torch.tensor([truth]))
    assert (person == 0).sum() == 5
    torch.testing.assert_close(overlap[person == 0], torch.full((5,), 0.5))
    assert not overlap[person < 0].any()
    points = cells.points[person == 0]
    assert ((points > torch.tensor(truth[:2])) & (points < torch.tensor(truth[2:]))).all()
    # All else being equal, those nearest to the middle: (32, 32) of both levels, then those one stride away.
    assert person[cell(4, 4)] == person[cell(2, 2, level=1)] == 0


def test_a_person_too_small_to_hold_a_point_is_learnt_from_the_nearest_cell() -> None:
    cells, tiny = grid(), [41.0, 25.0, 44.0, 30.0]
    person, _ = assign(torch.zeros(len(cells.points)), boxes_at(cells, tiny), *cells, torch.tensor([tiny]))
    (index,) = (person >= 0).nonzero()[:, 0].tolist()
    away = (cells.points - torch.tensor([42.5, 27.5])).norm(dim=1)
    assert index == away.argmin()
    assert cells.strides[index] == cells.strides.min()  # of several cells at that point


def test_a_cell_that_two_people_want_learns_the_one_that_costs_less() -> None:
    cells = grid()
    # Both hold one point, (40, 24), and its box is nearer to the second.
    truths = torch.tensor([[36.0, 20.0, 44.0, 28.0], [36.0, 20.0, 45.0, 29.0]])
    boxes = boxes_at(cells, [36.0, 20.0, 45.0, 29.0])
    person, overlap = assign(torch.zeros(len(cells.points)), boxes, *cells, truths)
    assert person[cell(5, 3)] == 1
    assert (person >= 0).sum() == 1
    assert overlap[cell(5, 3)] == 1
    assert assign(torch.zeros(len(cells.points)), boxes, *cells, truths.flip(0))[0][cell(5, 3)] == 0


def outputs(seed: int = 0, images: int = 1) -> tuple[Tensor, Tensor]:
    """Logits (B, A) and bins (B, A, 4, BINS) that are learnt."""
    generator = torch.Generator().manual_seed(seed)
    count = len(grid().points)
    logits = torch.randn(images, count, generator=generator).requires_grad_()
    return logits, torch.randn(images, count, 4, BINS, generator=generator).requires_grad_()


def losses_of(logits: Tensor, bins: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    cells = grid()
    losses = dense_losses(logits, bins, *cells, targets)
    assert losses.keys() == NAMES
    sum(losses.values()).backward()
    for name, given_to in (("logits", logits), ("bins", bins)):
        assert given_to.grad is not None, f"every output has to be part of the graph: {name}"
        assert given_to.grad.isfinite().all()
    return losses


def test_what_is_right_costs_nothing_and_what_is_wrong_does() -> None:
    cells, truth = grid(), torch.tensor([16.0, 8.0, 48.0, 56.0])
    reach = torch.cat([cells.points - truth[:2], truth[2:] - cells.points], dim=1) / cells.strides[:, None]
    whole = ((reach >= 0) & (reach == reach.round()) & (reach < BINS - 1)).all(dim=1)
    bins = torch.zeros(1, len(reach), 4, BINS)
    bins[0].scatter_(2, reach.round().clamp(0, BINS - 1).long()[..., None], 50.0)
    # A cell that is right but not among the ten has to be silent: it is background to this loss.
    person, _ = assign(torch.where(whole, 20.0, -20.0), decode(bins, *cells)[0], *cells, truth[None])
    assert whole[person >= 0].all()
    logits = torch.where(person >= 0, 20.0, -20.0)[None]
    right = losses_of(logits.requires_grad_(), bins.requires_grad_(), [target([truth.tolist()])])
    assert all(loss.item() == pytest.approx(0, abs=1e-4) for loss in right.values())
    wrong = losses_of(*outputs(), [target([truth.tolist()])])
    assert all(loss.item() > 0.01 for loss in wrong.values())


def test_losses_of_one_cell_by_hand() -> None:
    cells = grid()
    logits = torch.full((1, len(cells.points)), -30.0)
    index = cell(5, 3)  # (40, 24), stride 8
    logits[0, index] = math.log(3)  # score 0.75
    bins = torch.zeros(1, len(cells.points), 4, BINS)
    bins[0, index, :, 0] = -200
    bins[0, index, :, 2:] = -200  # every distance one stride: a box of 16 x 16
    person = [36.0, 20.0, 46.0, 26.0]  # distances 4 4 6 2 pixels: bins 0.5 0.5 0.75 0.25; holds this point alone
    losses = losses_of(logits.requires_grad_(), bins.requires_grad_(), [target([person])])
    overlap = 60 / 256
    entropy = -overlap * math.log(0.75) - (1 - overlap) * math.log(0.25)
    assert losses["loss_objectness"].item() == pytest.approx((overlap - 0.75) ** 2 * entropy, rel=1e-4)
    # The person lies inside the box, so that the hull is the box. The weight of a cell is its score, at least 1 in all.
    assert losses["loss_rpn_box_reg"].item() == pytest.approx(2 * 0.75 * (1 - overlap), rel=1e-4)
    bin_losses = [share * 200 for share in (0.5, 0.5, 0.25, 0.75)]  # of the bin 0, which has nothing
    assert losses["loss_rpn_bins"].item() == pytest.approx(0.25 * 0.75 * sum(bin_losses) / 4, rel=1e-4)


def test_a_picture_without_people_teaches_that_there_are_none() -> None:
    logits, bins = outputs()
    losses = losses_of(logits, bins, [target([])])
    score = logits.detach().sigmoid()
    expected = (score**2 * -(1 - score).log()).sum().item()
    assert losses["loss_objectness"].item() == pytest.approx(expected, rel=1e-5)
    assert losses["loss_rpn_box_reg"] == losses["loss_rpn_bins"] == 0
    assert (logits.grad > 0).all()


def test_an_ignore_region_over_everything_makes_no_loss() -> None:
    logits, bins = outputs()
    losses = losses_of(logits, bins, [target([[-500, -500, 700, 700]], [True])])
    assert {name: loss.item() for name, loss in losses.items()} == dict.fromkeys(NAMES, 0.0)
    assert not logits.grad.any()
    assert not bins.grad.any()


def test_a_person_inside_an_ignore_region_is_learnt_and_the_rest_of_it_is_not() -> None:
    person, crowd = [18.0, 10.0, 46.0, 54.0], [-500.0, -500.0, 700.0, 700.0]
    logits, bins = outputs()
    losses_of(logits, bins, [target([person, crowd], [False, True])])
    learnt, overlap = assign(logits.detach()[0], decode(bins, *grid()).detach()[0], *grid(), torch.tensor([person]))
    assert overlap[learnt >= 0].max() > 0
    assert torch.equal(logits.grad[0] != 0, learnt >= 0)


def test_a_batch_is_divided_by_all_of_its_cells_that_learn() -> None:
    people = [[18.0, 10.0, 46.0, 54.0]]
    logits, bins = outputs(images=2)
    both = losses_of(logits, bins, [target(people), target([])])
    one = losses_of(*(v.detach()[:1].clone().requires_grad_() for v in (logits, bins)), [target(people)])
    for name in ("loss_rpn_box_reg", "loss_rpn_bins"):
        torch.testing.assert_close(both[name], one[name])  # the second picture has no cell that learns a box
    assert both["loss_objectness"] > one["loss_objectness"]


def scattered(count: int = 60) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    corners = torch.rand(count, 2, generator=generator) * 80 - 10
    reach = 10 + 30 * torch.rand(count, 2, generator=generator)
    return torch.cat([corners, corners + reach], dim=1), torch.randn(count, generator=generator)


@pytest.mark.parametrize("training", [True, False])
def test_the_best_are_kept_clipped_and_suppressed_as_torchvision_does(training: bool, dense: DenseProposals) -> None:
    boxes, logits = scattered()
    dense.nms_threshold = 0.3
    best = logits.argsort(descending=True)[:40]
    proposals = dense.train(training).suppressed(Proposals(boxes[best], logits[best]), (50, 70))
    clipped = boxes[best].clamp(min=0).minimum(torch.tensor([70.0, 50, 70, 50]))
    clipped, scores = (v[((clipped[:, 2:] - clipped[:, :2]) >= 1).all(1)] for v in (clipped, logits[best]))
    keep = nms(clipped, scores, 0.3)
    assert 12 < len(keep) < len(clipped), "else this would test neither suppression nor numbers"
    keep = keep[: 12 if training else 7]
    assert torch.equal(proposals.boxes, clipped[keep])
    assert torch.equal(proposals.logits, scores[keep])


def test_what_lies_outside_the_picture_is_no_proposal(dense: DenseProposals) -> None:
    boxes = torch.tensor([[80.0, 10, 95, 40], [10, 10, 10.5, 40], [10, 10, 30, 40]])
    proposals = dense.suppressed(Proposals(boxes, torch.tensor([3.0, 2.0, 1.0])), (50, 70))
    assert proposals.boxes.tolist() == [[10, 10, 30, 40]]
    assert len(dense.suppressed(Proposals(boxes[:2], torch.tensor([3.0, 2.0])), (50, 70)).boxes) == 0


def test_the_network_proposes_in_each_picture_and_learns_where_there_are_targets(dense: DenseProposals) -> None:
    features = {str(i): torch.randn(2, 8, HEIGHT // s, WIDTH // s) for i, s in enumerate(STRIDES)}
    features["picture"] = torch.zeros(2, 3, HEIGHT, WIDTH)
    images = ImageList(features["picture"], [(HEIGHT, WIDTH), (40, 50)])
    proposals, losses = dense.eval()(images, features)
    assert losses == {}
    assert len(proposals) == 2
    for (height, width), one in zip(images.image_sizes, proposals, strict=True):
        assert 0 < len(one.boxes) == len(one.logits) <= 7
        assert (one.logits.diff() <= 0).all()
        assert (one.boxes >= 0).all()
        assert (one.boxes <= torch.tensor([width, height, width, height])).all()
        assert not one.boxes.requires_grad
        assert not one.logits.requires_grad
    _, losses = dense.train()(images, features, [target([[18.0, 10.0, 46.0, 54.0]]), target([])])
    assert losses.keys() == NAMES
    sum(losses.values()).backward()
    for name, parameter in dense.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert parameter.grad is None or parameter.grad.isfinite().all()
    assert dense.head[0].predict.weight.grad.any()


def test_proposals_and_losses_are_float32_under_autocast(dense: DenseProposals) -> None:
    features = {str(i): torch.randn(1, 8, HEIGHT // s, WIDTH // s) for i, s in enumerate(STRIDES)}
    images = ImageList(torch.zeros(1, 3, HEIGHT, WIDTH), [(HEIGHT, WIDTH)])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (proposals,), losses = dense(images, features, [target([[18.0, 10.0, 46.0, 54.0]])])
    tensors = (proposals.boxes, proposals.logits, *losses.values())
    assert {tensor.dtype for tensor in tensors} == {torch.float32}
