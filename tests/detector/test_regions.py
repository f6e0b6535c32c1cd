"""Ignore regions make no loss; one-class heads agree with torchvision's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from upright.detector.dense_proposals import Proposals
from upright.detector.evaluation.calibration import Calibration
from upright.detector.ignored import inside_ignored
from upright.detector.judged import calibrated, paired_iou
from upright.detector.model import Detector, build_detector
from upright.detector.option_fields import option_fields
from upright.detector.region_reading import PICTURE
from upright.detector.regions import RegionHeads
from upright.detector.settings import Settings

(TRANSFORMATIONS,) = (field.names for field in option_fields(Settings) if field.name == "transformation")


def target(boxes: list[list[float]], ignore: list[bool]) -> dict[str, torch.Tensor]:
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
        "ignore": torch.tensor(ignore, dtype=torch.bool),
    }


@pytest.fixture
def model(tiny: Settings) -> Detector:
    torch.manual_seed(0)
    return build_detector(tiny)


def test_inside_is_measured_against_the_boxs_own_area() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 20], [0, 0, 10, 21], [50, 50, 60, 60], [5, 5, 5, 5]])
    one = target([[0, 0, 10, 10], [40, 40, 80, 80]], [True, False])
    assert inside_ignored(boxes, one).tolist() == [True, True, False, False, False]
    assert not inside_ignored(boxes, target([[0, 0, 100, 100]], [False])).any()


def anchors_of(model: Detector) -> torch.Tensor:
    images = ImageList(torch.zeros(1, 3, 96, 128), [(96, 128)])
    maps = [torch.zeros(1, 1, 96 // s, 128 // s) for s in (8, 16, 32, 64)]
    return model.rpn.anchor_generator(images, maps)[0]


def test_anchors_on_ignore_regions_are_neither_positive_nor_negative(model: Detector) -> None:
    anchors = anchors_of(model)
    person, crowd = [10.0, 10, 30, 60], [60.0, 20, 110, 80]
    plain = model.rpn.assign_targets_to_anchors([anchors], [target([person], [False])])[0][0]
    with_crowd = model.rpn.assign_targets_to_anchors([anchors], [target([person, crowd], [False, True])])[0][0]
    changed = plain != with_crowd
    assert changed.any()
    assert (plain[changed] == 0).all()
    assert (with_crowd[changed] == -1).all()
    assert inside_ignored(anchors[changed], target([crowd], [True])).all()
    assert (with_crowd == 1).any()


def test_a_positive_inside_an_ignore_region_stays_positive(model: Detector) -> None:
    proposals = [torch.tensor([[20.0, 20, 40, 69], [22, 22, 80, 70], [90, 5, 120, 30]])]
    both = target([[20.0, 20, 40, 69], [0, 0, 85, 90]], [False, True])
    kept, _, labels, _ = model.roi_heads.select_training_samples(proposals, [both])
    # The true box is appended; the second proposal, no positive and inside the region, is gone.
    assert labels[0].tolist().count(1) == 2
    assert labels[0].tolist().count(0) == 1
    assert not any((box == proposals[0][1]).all() for box in kept[0])


def test_an_ignore_region_makes_no_loss(model: Detector) -> None:
    """A region over everything takes every negative away: nothing is left to learn from."""
    picture = [torch.rand(3, 96, 128)]
    losses = model(picture, [target([[-500, -500, 700, 700]], [True])])
    assert {name: loss.item() for name, loss in losses.items()} == dict.fromkeys(losses, 0.0)
    sum(losses.values()).backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("people", [[], [[10.0, 10, 30, 60]]])
def test_pictures_without_people_or_with_ignore_regions_alone_train(model: Detector, people: list) -> None:
    losses = model([torch.rand(3, 96, 128)], [target(people, [True] * len(people))])
    total = sum(losses.values())
    assert total.isfinite()
    total.backward()


def test_detections_are_sorted_inside_the_picture_and_carry_theta(model: Detector) -> None:
    model.eval()
    model.return_theta = True
    model.roi_heads.score_thresh = 0.0
    with torch.inference_mode():
        one, two = model([torch.rand(3, 150, 200), torch.rand(3, 100, 80)])
    for result, (height, width) in ((one, (150, 200)), (two, (100, 80))):
        n = len(result["boxes"])
        assert n > 0
        assert result["theta"].shape == (n, 4, 6)
        assert (result["scores"].diff() <= 0).all()
        for name in ("boxes", "proposals"):
            assert result[name].min() >= 0
            assert (result[name][:, 2] <= width + 0.01).all()
            assert (result[name][:, 3] <= height + 0.01).all()


def test_the_model_calibrates_as_the_evaluation_does() -> None:
    scores = torch.cat([torch.tensor([0.0, 1.0, 1e-9, 1 - 2**-24]), torch.rand(200)])
    assert calibrated(scores, 1.0, 0.0) is scores
    expected = Calibration(0.7, -0.4)(scores.numpy().astype(np.float64))
    np.testing.assert_allclose(calibrated(scores, 0.7, -0.4).numpy(), expected, atol=1e-6)


def test_a_calibration_changes_scores_alone_and_before_the_lowest_one_is_cut_off(tiny: Settings) -> None:
    settings = replace(tiny, score_threshold=1e-6)
    plain = build_detector(settings).eval()
    # Every score of a detector that knows nothing is near 0.5, and after this near 0.01.
    bent = build_detector(replace(settings, score_scale=2.0, score_shift=-4.6)).eval()
    bent.load_state_dict(plain.state_dict())
    picture = [torch.rand(3, 96, 128)]
    with torch.inference_mode():
        (before,), (after,) = plain(picture), bent(picture)
    assert len(before["scores"]) > 3
    assert torch.equal(before["boxes"], after["boxes"])
    assert torch.equal(calibrated(before["scores"], 2.0, -4.6), after["scores"])
    bent.roi_heads.score_thresh = float(after["scores"][2])
    with torch.inference_mode():
        assert torch.equal(bent(picture)[0]["scores"], after["scores"][:2])


def test_paired_overlaps_are_the_diagonal_of_all_overlaps() -> None:
    torch.manual_seed(0)
    corners, sides = 100 * torch.rand(2, 50, 2), 5 + 60 * torch.rand(2, 50, 2)
    one, other = torch.cat([corners, corners + sides], dim=2)
    expected = box_iou(one, other).diagonal()
    assert 0 in expected
    assert expected.max() > 0.3
    torch.testing.assert_close(paired_iou(one, other), expected)
    assert paired_iou(one[:1], one[:1]) == 1
    nothing = torch.tensor([[5.0, 5, 5, 5]])
    assert paired_iou(nothing, nothing) == 0, "and not 0 / 0"


class Says(nn.Module):
    """A region head that says what it is told: the logits of a person over background, and one shift for all."""

    def __init__(self, logits: list[float], shift: float = 0.0) -> None:
        super().__init__()
        self.logits = torch.tensor(logits, requires_grad=True)
        self.shift = shift

    def forward(self, crops: Tensor, theta: Tensor | None) -> tuple[Tensor, Tensor]:
        assert len(crops) == len(self.logits)
        # torchvision's coding: tenths of the region's width.
        deltas = torch.tensor([10 * self.shift, 0, 0, 0]).repeat(len(crops), 1)
        return torch.stack([torch.zeros_like(self.logits), self.logits], dim=1), deltas


def heads_that_say(settings: Settings, head: Says) -> tuple[RegionHeads, dict[str, Tensor]]:
    """Region heads with that head, and maps for a picture 96 x 128."""
    heads = build_detector(settings).roi_heads
    heads.box_head = head
    sides = {"0": 8, "1": 16, "2": 32, "pool": 64}
    maps = {name: torch.zeros(1, settings.channels, -(-96 // s), 128 // s) for name, s in sides.items()}
    return heads, {**maps, PICTURE: torch.zeros(1, 3, 96, 128)}


REGIONS = [[10.0, 10, 30, 60], [10, 20, 30, 60], [70, 10, 90, 60]]  # the person; four fifths of it; nobody


def test_a_score_is_learnt_as_the_overlap_of_the_refined_box(tiny_light: Settings) -> None:
    head = Says([0.5, -1.0, 2.0, 0.0], shift=0.25)  # the last region is the true box, which torchvision appends
    heads, maps = heads_that_say(tiny_light, head)
    assert heads.score_target == "overlap"
    person = target([[10.0, 10, 30, 60]], [False])
    _, losses = heads.train()(maps, [torch.tensor(REGIONS)], [(96, 128)], [person])
    # Moved by 5 of 20 pixels: 15 x 50 of 2000 - 750 in common; the second, of 40 pixels, 15 x 40 of 1800 - 600.
    wanted = [0.6, 0.5, 0.0, 0.6]
    entropies = [
        -(w * np.log(1 / (1 + np.exp(-x))) + (1 - w) * np.log(1 / (1 + np.exp(x))))
        for x, w in zip(head.logits.tolist(), wanted, strict=True)
    ]
    assert losses["loss_classifier"].item() == pytest.approx(np.mean(entropies), rel=1e-5)
    losses["loss_classifier"].backward()
    assert (head.logits.grad < 0).tolist() == [False, True, False, True]


def test_a_score_that_is_learnt_as_a_class_is_one_for_every_person(tiny: Settings) -> None:
    head = Says([0.5, -1.0, 2.0, 0.0], shift=0.25)
    heads, maps = heads_that_say(tiny, head)
    person = target([[10.0, 10, 30, 60]], [False])
    _, losses = heads.train()(maps, [torch.tensor(REGIONS)], [(96, 128)], [person])
    entropies = np.log1p(np.exp([-0.5, 1.0, 2.0, 0.0]))
    assert losses["loss_classifier"].item() == pytest.approx(entropies.mean(), rel=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_score_is_the_product_of_both_stages(share: float, tiny_light: Settings) -> None:
    settings = replace(tiny_light, fusion="product", first_stage_share=share, suppression="hard", nms_threshold=1.0)
    heads, maps = heads_that_say(settings, Says([0.5, -1.0, 2.0]))
    first = [0.9, 0.8, 0.1]
    proposals = [Proposals(torch.tensor(REGIONS), torch.tensor(first).logit())]
    (result,), losses = heads.eval()(maps, proposals, [(96, 128)])
    assert losses == {}
    region = 1 / (1 + np.exp([-0.5, 1.0, -2.0]))
    expected = np.array(first) ** share * region ** (1 - share)
    order = np.argsort(-expected)
    np.testing.assert_allclose(result["scores"].detach(), expected[order], rtol=1e-5)
    torch.testing.assert_close(result["boxes"], torch.tensor(REGIONS)[order.tolist()])


def test_a_score_of_the_sum_is_learnt_and_given_as_such(tiny_light: Settings) -> None:
    settings = replace(tiny_light, fusion="sum", suppression="hard", nms_threshold=1.0, score_target="class")
    heads, maps = heads_that_say(settings, Says([0.5, -1.0, 2.0]))
    first = torch.tensor([0.25, 1.0, -3.0])
    proposals = [Proposals(torch.tensor(REGIONS), first)]
    (result,), _ = heads.eval()(maps, proposals, [(96, 128)])
    summed = np.array([0.75, 0.0, -1.0])
    np.testing.assert_allclose(result["scores"].detach(), np.sort(1 / (1 + np.exp(-summed)))[::-1], rtol=1e-5)
    person = target([[10.0, 10, 30, 60]], [False])
    _, losses = heads.train()(maps, proposals, [(96, 128)], [person])
    # Regions are shuffled by the sampling, and with them what the head says; the first stage goes with its region.
    assert losses["loss_classifier"].isfinite()


def test_boxes_follow_the_head_in_part(tiny_light: Settings) -> None:
    settings = replace(tiny_light, suppression="hard", nms_threshold=1.0)
    boxes = {}
    for share in (0.0, 0.5, 1.0):
        heads, maps = heads_that_say(replace(settings, box_share=share), Says([0.5, -1.0, 2.0], shift=0.2))
        (result,), _ = heads.eval()(maps, [Proposals(torch.tensor(REGIONS), torch.zeros(3))], [(96, 128)])
        boxes[share] = result["boxes"].detach().sum(dim=0)
    assert torch.equal(boxes[0.0], torch.tensor(REGIONS).sum(dim=0))
    torch.testing.assert_close(boxes[0.5], (boxes[0.0] + boxes[1.0]) / 2)


@pytest.mark.parametrize("reached", ["maps", "head"])
def test_losses_of_the_head_reach_the_maps_or_not(reached: str, tiny_light: Settings) -> None:
    torch.manual_seed(0)
    model = build_detector(replace(tiny_light, head_gradient=reached))
    losses = model([torch.rand(3, 96, 128)], [target([[10.0, 10, 30, 60]], [False])])
    (losses["loss_classifier"] + losses["loss_box_reg"]).backward()
    learnt = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.backbone.parameters()]
    assert any(learnt) == (reached == "maps")


def test_without_a_share_of_the_first_stage_its_scores_change_nothing(tiny_light: Settings) -> None:
    torch.manual_seed(0)
    model = build_detector(replace(tiny_light, fusion="region")).eval()
    with torch.inference_mode():
        images, _ = model.transform([torch.rand(3, 96, 128)])
        maps = model.backbone(images.tensors)
        proposals, _ = model.rpn(images, maps)
        (scored,), _ = model.roi_heads(maps, proposals, images.image_sizes)
        (plain,), _ = model.roi_heads(maps, [one.boxes for one in proposals], images.image_sizes)
    assert len(plain["scores"]) > 3
    assert scored.keys() == plain.keys()
    assert all(torch.equal(scored[name], value) for name, value in plain.items())


def test_an_ignore_region_makes_no_loss_with_dense_proposals(tiny_light: Settings) -> None:
    model = build_detector(tiny_light)
    losses = model([torch.rand(3, 96, 128)], [target([[-500, -500, 700, 700]], [True])])
    assert {name: loss.item() for name, loss in losses.items()} == dict.fromkeys(losses, 0.0)
    sum(losses.values()).backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("proposals", ["anchors", "dense"])
def test_the_light_detector_trains_and_detects_with_both_kinds_of_proposals(
    proposals: str, tiny_light: Settings
) -> None:
    torch.manual_seed(0)
    fusion = "product" if proposals == "dense" else "region"
    model = build_detector(replace(tiny_light, proposals=proposals, fusion=fusion))
    sum(model([torch.rand(3, 96, 128)], [target([[10.0, 10, 30, 60]], [False])]).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
    assert model.backbone.backbone.stage3[0].branch2[0].weight.grad.any()
    model.eval()
    with torch.inference_mode():
        one, two = model([torch.rand(3, 150, 200), torch.rand(3, 100, 80)])
    for result, (height, width) in ((one, (150, 200)), (two, (100, 80))):
        assert len(result["boxes"]) > 0
        assert (result["scores"].diff() <= 0).all()
        assert (result["boxes"] <= torch.tensor([width, height, width, height]) + 0.01).all()


def test_the_baseline_has_the_same_interface(tiny: Settings) -> None:
    model = build_detector(replace(tiny, transformers=0)).eval()
    model.return_theta = True
    with torch.inference_mode():
        (result,) = model([torch.rand(3, 96, 128)])
    assert model.pose_pool_transformation is None
    assert result["theta"].shape == (len(result["boxes"]), 0, 0)


def test_anchors_stay_exact_under_autocast(model: Detector) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model.rpn.anchor_generator(
            ImageList(torch.zeros(1, 3, 96, 128), [(96, 128)]),
            [torch.zeros(1, 1, 96 // s, 128 // s, dtype=torch.bfloat16) for s in (8, 16, 32, 64)],
        )[0]
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, anchors_of(model), atol=0, rtol=0)


def test_proposals_stay_float32_under_autocast(model: Detector) -> None:
    """In bfloat16 a box of 3 pixels at 500 has no width, and its loss is not finite."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        objectness, deltas = model.rpn.head([torch.rand(1, 32, 4, 4)])
    assert {t.dtype for t in (*objectness, *deltas)} == {torch.float32}


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
def test_every_transformation_trains_and_detects(transformation: str, tiny: Settings) -> None:
    torch.manual_seed(0)
    model = build_detector(replace(tiny, transformation=transformation))
    sum(model([torch.rand(3, 96, 128)], [target([[10.0, 10, 30, 60]], [False])]).values()).backward()
    assert model.pool.localisation[-1].linear.weight.grad.any()
    model.eval()
    model.return_theta = True
    with torch.inference_mode():
        (result,) = model([torch.rand(3, 96, 128)])
    assert result["theta"].shape[1:] == (4, model.pose_pool_transformation.num_params)
