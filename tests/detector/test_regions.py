"""Ignore regions make no loss; one-class heads agree with torchvision's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.models.detection.image_list import ImageList

from upright.detector.evaluation.calibration import Calibration
from upright.detector.model import Detector, build_detector
from upright.detector.option_fields import option_fields
from upright.detector.regions import calibrated, inside_ignored
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
