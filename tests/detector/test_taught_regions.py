"""Region heads whose transformers are taught: what learns from which loss, and what a detection says of a pose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from upright.datasets.joints import JOINT_NAMES
from upright.detector.dense_proposals import Proposals
from upright.detector.model import Detector, build_detector
from upright.detector.option_fields import option_fields
from upright.detector.pose import Pose
from upright.detector.region_localisation import RegionLocalisation
from upright.detector.region_reading import PICTURE
from upright.detector.settings import Settings
from upright.detector.teaching import lessons, taught_losses

(TRANSFORMATIONS,) = (field.names for field in option_fields(Settings) if field.name == "transformation")
BOX = [10.0, 10, 40, 86]
STANDING = {"nose": (25, 15), "shoulder": (7, 26), "hip": (5, 50), "knee": (5, 65), "ankle": (5, 80)}


def target(*boxes: list[float], ignore: tuple[bool, ...] = (False,), known: tuple[bool, ...] = (True,)) -> dict:
    """People who stand in the first box, where their joints are known."""
    joints = torch.zeros(len(boxes), 17, 3)
    for number, name in enumerate(JOINT_NAMES):
        side, _, kind = name.rpartition("_")
        if kind in STANDING:
            x, y = STANDING[kind]
            x = {"": x, "left": 25 + x, "right": 25 - x}[side]
            joints[:, number] = torch.tensor([x, y, 2.0])
    joints[~torch.tensor(known)] = 0
    return {
        "boxes": torch.tensor(boxes),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
        "ignore": torch.tensor(ignore),
        "keypoints": joints,
    }


def maps_of(settings: Settings) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    sides = {"0": 8, "1": 16, "2": 32, "pool": 64}
    maps = {
        name: torch.randn(1, settings.channels, -(-96 // s), 128 // s, generator=generator).requires_grad_()
        for name, s in sides.items()
    }
    return {**maps, PICTURE: torch.zeros(1, 3, 96, 128)}


def built(settings: Settings) -> Detector:
    """A detector whose localisation network has something to say, so that all gradients are there."""
    torch.manual_seed(0)
    model = build_detector(settings)
    for module in model.pool.localisation.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.1)
    return model


def reached(loss: Tensor, tensors: list[Tensor]) -> bool:
    """Whether any of the tensors has a gradient of the loss."""
    if not loss.requires_grad:
        return False
    found = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
    return any(gradient is not None and bool(gradient.abs().sum() > 0) for gradient in found)


@pytest.mark.parametrize("teach", [0.0, 1.0])
@pytest.mark.parametrize("gradient", ["maps", "head"])
def test_the_taught_learn_from_their_teacher_alone(teach: float, gradient: str, tiny_light: Settings) -> None:
    settings = replace(tiny_light, teach=teach, head_gradient=gradient)
    heads, maps = built(settings).roi_heads, maps_of(settings)
    proposals = [torch.tensor([BOX, [60.0, 20, 90, 80], [12, 12, 44, 80]])]
    _, losses = heads(maps, proposals, [(96, 128)], [target(BOX)])
    levels = [level for level in maps.values() if level.requires_grad]
    localisation = list(heads.box_roi_pool.localisation.parameters())
    judging = list(heads.box_head.parameters())
    scores = losses["loss_classifier"] + losses["loss_box_reg"]
    assert reached(scores, judging)
    assert reached(scores, levels) == (gradient == "maps")
    assert reached(scores, localisation) == (teach == 0)
    assert (
        {"loss_theta", "loss_seen"} <= losses.keys() if teach else losses.keys() == {"loss_classifier", "loss_box_reg"}
    )
    for name in ("loss_theta", "loss_seen") if teach else ():
        assert reached(losses[name], levels), name
        assert reached(losses[name], localisation), name
        assert not reached(losses[name], judging), name
    if teach:
        pool = heads.box_roi_pool.localisation
        assert reached(losses["loss_theta"], [pool.regression.linear.weight])
        assert not reached(losses["loss_theta"], [pool.seen.weight])
        assert reached(losses["loss_seen"], [pool.seen.weight])


def test_the_loss_is_of_each_region_with_its_person_weighted(tiny_light: Settings) -> None:
    """Two people, an ignore region before them; a region belongs to the second alone."""
    settings = replace(tiny_light, teach=3.0)
    heads, maps = built(settings).roi_heads.eval(), maps_of(settings)
    one = target([0.0, 0, 5, 5], [90.0, 10, 120, 86], BOX, ignore=(True, False, False), known=(True, False, True))
    regions = [torch.tensor([BOX, [60.0, 20, 80, 60], [90.0, 10, 120, 86], [12.0, 12, 40, 86]])]
    pose = heads.box_roi_pool.look(maps, regions)
    labels, matched = [torch.tensor([1, 0, 1, 1])], [torch.tensor([1, 0, 0, 1])]
    found = heads._teach(pose, labels, matched, [one])
    (lesson,) = lessons([one])
    assert [bool(size.any()) for size in lesson["size"]] == [False, True], "the ignore region has no lesson"
    rows = torch.tensor([1, 0, 1])
    expected = taught_losses(
        pose.rows(torch.tensor([0, 2, 3])),
        heads.box_roi_pool.transformation,
        settings.parts,
        settings.taught,
        {name: value[rows] for name, value in lesson.items()},
    )
    for name, loss in expected.items():
        torch.testing.assert_close(found[name], 3 * loss)
    assert expected["loss_theta"] > 0


def test_regions_stay_with_their_people_through_the_sampling(tiny_light: Settings) -> None:
    """Two people whose joints say where they stand: every region that is learnt from gets its own person's."""
    for fusion in ("region", "sum"):
        # At most four people's regions are sampled.
        settings = replace(tiny_light, teach=1.0, fusion=fusion, score_target="class", head_samples=16)
        model = built(settings).train()
        other = [80.0, 10, 110, 86]
        one = target(BOX, [0.0, 0, 128, 96], other, ignore=(False, True, False), known=(True,) * 3)
        one["keypoints"][2, :, 0] += 70 * (one["keypoints"][2, :, 2] > 0)
        seen: list[tuple[Tensor, Tensor]] = []

        def told(pose: Pose, labels: list, matched: list, targets: list, kept: list = seen) -> dict:
            rows = matched[0][labels[0] > 0]
            kept.append((pose.rows(labels[0] > 0).centre, lessons(targets)[0]["points"][rows, 0, 4]))
            return {}

        model.roi_heads._teach = told
        images, targets = model.transform([torch.rand(3, 96, 128)], [one])
        maps = model.backbone(images.tensors)
        near = [[x + shift, 10, x + 30 + shift, 86] for x in (80.0, 10.0) for shift in (0.0, 1.0, 2.0, 3.0)]
        regions = torch.tensor([[45.0, 10, 60, 40], [50.0, 30, 70, 60], *near])
        torch.manual_seed(2)  # regions of both people are drawn
        if fusion == "sum":
            model.roi_heads(maps, [Proposals(regions, torch.zeros(len(regions)))], images.image_sizes, targets)
        else:
            model.roi_heads(maps, [regions], images.image_sizes, targets)
        ((centres, people),) = seen
        assert len(centres) == 4
        assert (centres[:, 0] - people[:, 0]).abs().max() < 8
        assert set((centres[:, 0] > 64).tolist()) == {True, False}


@pytest.mark.parametrize("kind", ["nobody", "ignored", "no joints", "no keypoints"])
def test_pictures_that_teach_nothing_train_on(kind: str, tiny_light: Settings) -> None:
    model = built(replace(tiny_light, teach=1.0))
    one = target(BOX, ignore=(kind == "ignored",), known=(kind == "ignored",))
    if kind == "nobody":
        one = {name: value[:0] for name, value in one.items()}
    if kind == "no keypoints":
        del one["keypoints"]
    losses = model([torch.rand(3, 96, 128)], [one])
    assert losses["loss_theta"].item() == losses["loss_seen"].item() == 0
    sum(losses.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert all(p.grad is None or not p.grad.any() for p in model.pool.localisation.parameters())


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
def test_every_transformation_is_taught_and_tells_a_pose(transformation: str, tiny_light: Settings) -> None:
    model = built(replace(tiny_light, transformation=transformation, teach=1.0))
    losses = model([torch.rand(3, 96, 128)], [target(BOX)])
    assert losses["loss_theta"] > 0
    losses["loss_theta"].backward()
    assert model.pool.localisation.regression.linear.weight.grad.any()
    assert isinstance(model.pool.localisation, RegionLocalisation)
    model.eval()
    model.return_theta = True
    with torch.inference_mode():
        one, two = model([torch.rand(3, 150, 200), torch.rand(3, 100, 80)])
    for result in (one, two):
        n = len(result["boxes"])
        assert n > 0
        assert {name: tuple(result[name].shape) for name in ("lean", "whole", "parts", "seen")} == {
            "lean": (n,),
            "whole": (n, 4, 2),
            "parts": (n, 3, 4, 2),
            "seen": (n, 3),
        }
        assert result["lean"].abs().max() <= 180
        assert 0 <= result["seen"].min() <= result["seen"].max() <= 1
        if transformation == "affine":
            # Theta is in a square round the region, as large as its longer side.
            corners = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
            warped = model.pool.transformation.warp(result["theta"][:, 0], corners)
            low, high = result["proposals"].split(2, dim=1)
            square = (low + high)[:, None] / 2 + (high - low).amax(1)[:, None, None] / 2 * warped
            torch.testing.assert_close(result["whole"], square, atol=0.5, rtol=0)


@pytest.mark.parametrize(
    "change", [{"teach": 0.0}, {"teach": 1.0, "taught": ("whole", "head")}, {"teach": 1.0, "priors": ("whole",)}]
)
def test_who_is_not_taught_all_parts_tells_no_pose(change: dict, tiny_light: Settings) -> None:
    model = build_detector(replace(tiny_light, **change)).eval()
    with torch.inference_mode():
        (result,) = model([torch.rand(3, 96, 128)])
    assert result.keys() == {"boxes", "labels", "scores"}


def test_proposals_are_made_of_the_maps_and_not_of_the_picture(tiny: Settings) -> None:
    model = build_detector(tiny).eval()
    maps = {
        name: torch.rand(1, tiny.channels, -(-96 // s), 128 // s)
        for name, s in zip(("0", "1", "2", "pool"), (8, 16, 32, 64), strict=True)
    }
    images = ImageList(torch.zeros(1, 3, 96, 128), [(96, 128)])
    with torch.inference_mode():
        (before,), _ = model.rpn(images, maps)
        (after,), _ = model.rpn(images, {**maps, PICTURE: images.tensors})
    assert len(before) > 3
    assert torch.equal(before, after)
    np.testing.assert_array_less(-0.01, before.numpy())
