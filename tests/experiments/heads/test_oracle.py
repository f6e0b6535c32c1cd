"""The oracle sets people upright, and poses all else as people in such regions are posed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from upright.detector.model import Detector
from upright.detector.pose import Pose, lean
from upright.detector.settings import Settings
from upright.detector.spatial_transformer import Affine
from upright.errors import InputError
from upright.experiments.heads.methods import METHODS, built
from upright.experiments.heads.oracle import (
    NEIGHBOURS,
    Donors,
    TruePoses,
    in_regions,
    make_oracle,
    people_frames,
    usable,
)


def joints(centre: tuple[float, float], size: float, lean: float) -> np.ndarray:
    """(17, 3) of somebody who stands straight and leans by so many degrees; nose to ankles is 2 sizes."""
    place = {
        0: (0, -1),
        5: (-0.25, -0.7),
        6: (0.25, -0.7),
        11: (-0.15, 0),
        12: (0.15, 0),
        15: (-0.15, 1),
        16: (0.15, 1),
    }
    angle = np.radians(lean)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    column = np.zeros((17, 3), np.float32)
    for row, xy in place.items():
        column[row] = (*(np.array(centre) + size * turn @ xy), 2)
    return column


def target(people: list[np.ndarray], turn: float = 0.0, strangers: int = 0) -> dict[str, Any]:
    """A target of people with joints, boxes round them, and of strangers without, far away."""
    places = (
        np.stack([*people, *np.zeros((strangers, 17, 3), np.float32)]) if people or strangers else np.zeros((0, 17, 3))
    )
    boxes = [[*(p[p[:, 2] > 0, :2].min(axis=0) - 2), *(p[p[:, 2] > 0, :2].max(axis=0) + 2)] for p in people]
    boxes += [[300 + 50 * i, 300, 320 + 50 * i, 340] for i in range(strangers)]
    return {
        "boxes": torch.tensor(np.array(boxes), dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
        "ignore": torch.zeros(len(boxes), dtype=torch.bool),
        "keypoints": torch.from_numpy(places.astype(np.float32)),
        "turn": torch.tensor(turn),
        "image_id": 1,
    }


def quadrilaterals(theta: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True) / 2
    return Pose(theta, centre, half.expand(-1, 2)).quadrilaterals(Affine())


def donors(count: int = 40, turn: float = 0.0) -> Donors:
    """Of people who lean as far as their region is wide, so that the pose follows from the shape."""
    wide = torch.linspace(10, 80, count)
    boxes = torch.stack([torch.zeros(count), torch.zeros(count), wide, torch.full((count,), 80.0)], dim=1)
    scene = torch.tensor([turn, 0.0]).expand(count, 2)
    theta = torch.zeros(count, 4, 6) + wide[:, None, None] / 80
    return Donors(boxes, scene, theta, torch.zeros(count, 4))


@pytest.mark.parametrize("degrees", [0.0, 70.0, -150.0])
def test_a_region_on_a_person_has_that_persons_frames_wherever_it_lies(degrees: float) -> None:
    told = target([joints((100, 90), 30, degrees)])
    true = TruePoses.of(told)
    boxes = told["boxes"] + torch.tensor([[0.0, 0, 0, 0], [3, -2, 5, 4]]).reshape(2, 4)
    theta, seen = true.posed(boxes, donors(), torch.Generator())
    corners = quadrilaterals(theta, boxes)
    torch.testing.assert_close(lean(corners), torch.full((2, 4), degrees), atol=0.5, rtol=0)
    torch.testing.assert_close(corners[0], corners[1], atol=1e-3, rtol=0)
    assert (seen[:, 1:3] > 0).all()  # head and torso


def test_a_part_without_joints_lies_where_an_upright_person_has_it() -> None:
    places = joints((100, 90), 30, 0)
    places[[15, 16]] = 0  # no ankles, so no legs
    matrices, known, _ = people_frames(torch.from_numpy(places)[None])
    assert known.all()
    whole, legs = matrices[0, 0], matrices[0, 3]
    assert legs[1, 2] > whole[1, 2]  # below the middle
    assert 0 < legs[1, 1] < whole[1, 1]


def test_without_a_trunk_nobody_has_a_pose_of_their_own() -> None:
    true = TruePoses.of(target([], strangers=2))
    assert not true.known.any()
    theta, _ = true.posed(true.boxes, donors(), torch.Generator())
    assert {float(t) for t in theta.flatten()} <= {float(t) for t in donors().theta.flatten()}


def test_the_rest_is_posed_by_people_in_regions_of_that_shape() -> None:
    boxes = torch.tensor([[500.0, 0, 520, 80], [500, 0, 575, 80]]).repeat(30, 1)
    theta, _ = donors().drawn(boxes, torch.zeros(60, 2), torch.Generator().manual_seed(0))
    narrow, wide = theta[::2, 0, 0], theta[1::2, 0, 0]
    assert narrow.max() < 0.5 < wide.min()
    assert 1 < len(narrow.unique()) <= NEIGHBOURS  # not always by the nearest


def test_poses_go_to_scenes_that_are_turned_as_far_and_rendered_alike() -> None:
    boxes = torch.tensor([[0.0, 0, 40, 80]]).repeat(4, 1)
    scene = torch.tensor([[0.0, 0.0], [90, 0], [0, 1], [90, 1]])
    theta = torch.arange(4.0)[:, None, None].expand(4, 4, 6)
    some = Donors(
        boxes.repeat(NEIGHBOURS, 1),
        scene.repeat(NEIGHBOURS, 1),
        theta.repeat(NEIGHBOURS, 1, 1),
        torch.zeros(4 * NEIGHBOURS, 4),
    )
    found, _ = some.drawn(boxes, scene + torch.tensor([3.0, 0]), torch.Generator())
    assert found[:, 0, 0].tolist() == [0, 1, 2, 3]


def test_a_mirrored_donor_leans_to_the_other_side() -> None:
    told = target([joints((60, 60), 20, 30)], turn=25)
    boxes = told["boxes"]
    both = Donors.of_regions(
        boxes, torch.tensor([[25.0, 0]]), in_regions(TruePoses.of(told).matrices, boxes), torch.zeros(1, 4)
    )
    assert both.scene[:, 0].tolist() == [25, -25]
    corners = quadrilaterals(both.theta, both.boxes)
    # Mirrored, top left and top right change places too; the axis is the same.
    torch.testing.assert_close(lean(corners)[:, 0], torch.tensor([30.0, -30.0]), atol=0.5, rtol=0)


def test_an_oracle_is_told_in_training_and_where_it_is_measured(base: Settings, start: Detector) -> None:
    model = built(METHODS["oracle"], base, start, 0)
    pool = model.pool
    pool.donors = donors()
    told = target([joints((50, 30), 12, 40)])
    image = torch.rand(3, 64, 96)
    losses = model([image], [told])
    assert sum(losses.values()).isfinite()
    assert losses["loss_theta"] < 1e-4
    with torch.inference_mode():
        [found] = model.eval()([image], [told | {"image_id": 2}])
    assert len(found["lean"]) == len(found["scores"]) > 0


def test_targets_without_area_are_left_out() -> None:
    told = target([joints((50, 30), 12, 40), joints((90, 30), 12, 0)])
    told["boxes"][1, 2] = told["boxes"][1, 0]
    assert [len(usable(told)[name]) for name in ("boxes", "labels", "ignore", "keypoints")] == [1, 1, 1, 1]


def test_pictures_of_nobody_with_joints_are_refused(start: Detector) -> None:
    picture = (torch.zeros(3, 64, 96, dtype=torch.uint8), target([], strangers=1))
    with pytest.raises(InputError, match="joints"):
        Donors.gathered(start, [picture], resized=True)


def test_only_a_taught_pool_becomes_an_oracle(base: Settings, start: Detector) -> None:
    model = built(METHODS["none"], base, start, 0)
    with pytest.raises(AssertionError):
        make_oracle(model)
    assert replace(base, **METHODS["oracle"].settings).tells_pose
