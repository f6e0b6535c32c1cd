"""A second look that corrects the pose: in turned frames, of those it sees alone, learnt from the true frames."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from upright.datasets.part_frames import PARTS, frame_lean, part_frames
from upright.detector.model import build_detector
from upright.detector.pose import Pose, lean, told, turned_with
from upright.detector.region_reading import PICTURE
from upright.detector.regions import RegionHeads
from upright.detector.second_look import CROP, ROOM, SecondLook, upright_frames
from upright.detector.settings import Settings
from upright.detector.spatial_transformer import Affine

SHAPE = (96, 128)
STANDING = {  # x and y of the joints of somebody 80 pixels tall, about the hips
    **{joint: (dx, -40.0) for joint, dx in ((0, 0), (1, 2), (2, -2), (3, 4), (4, -4))},
    **{joint: (dx, -28.0) for joint, dx in ((5, 8), (6, -8))},
    **{joint: (dx, 0.0) for joint, dx in ((11, 6), (12, -6))},
    **{joint: (dx, 18.0) for joint, dx in ((13, 6), (14, -6))},
    **{joint: (dx, 36.0) for joint, dx in ((15, 6), (16, -6))},
}


def up_of(degrees: float) -> Tensor:
    turn = np.radians(degrees)
    return torch.tensor([[np.sin(turn), -np.cos(turn)]])


def person(x: float, y: float, degrees: float) -> np.ndarray:
    """Joints (17, 3) of somebody who leans by so much, clockwise; elbows and wrists are not labelled."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    joints = np.zeros((17, 3))
    for joint, (dx, dy) in STANDING.items():
        joints[joint] = (x + c * dx - s * dy, y + s * dx + c * dy, 2)
    return joints


@settings(max_examples=40, deadline=None)
@given(st.floats(-180, 180), st.floats(1, 80), st.integers(0, 99))
def test_a_pose_in_a_turned_frame_is_that_of_an_upright_one_turned_about_its_middle(
    degrees: float, half: float, seed: int
) -> None:
    theta = torch.randn(1, 2, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    centre = torch.tensor([[31.0, -7.0]], dtype=torch.float64)
    upright = Pose(theta, centre, torch.full((1, 2), half, dtype=torch.float64))
    corners = upright.quadrilaterals(Affine())[0]
    # OpenCV's angles are counter-clockwise.
    matrix = cv2.getRotationMatrix2D(tuple(centre[0].tolist()), -degrees, 1)
    turned = replace(upright, up=up_of(degrees)).quadrilaterals(Affine())[0]
    np.testing.assert_allclose(turned, cv2.transform(corners.numpy(), matrix), atol=1e-4 * half)


def test_vectors_are_turned_clockwise_with_the_picture_upward_direction() -> None:
    found = turned_with(up_of(90), torch.tensor([[0.0, -1], [1, 0], [0.6, 0.8]], dtype=torch.float64))
    np.testing.assert_allclose(found, [[1, 0], [0, 1], [-0.8, 0.6]], atol=1e-7)


@pytest.fixture
def corrects(tiny_light: Settings) -> Settings:
    return replace(tiny_light, teach=1.0, second_look="canonical", pose_from="second_look", looks=2)


@pytest.mark.parametrize("degrees", [0.0, 40.0, -135.0, 180.0])
def test_before_it_learns_it_says_what_the_crop_says(corrects: Settings, degrees: float) -> None:
    """The prior of the whole person is an upright one who fills the crop but for the room round it."""
    look = build_detector(corrects).roi_heads.second_look.eval()
    square = torch.tensor([[[-15.0, -30], [15, -30], [15, 30], [-15, 30]]])
    corners = turned_with(up_of(degrees)[:, None].float(), square) + torch.tensor([60.0, 48])
    with torch.no_grad():
        _, pose = look(torch.rand(1, 3, *SHAPE), [upright_frames(corners)])
    assert pose is not None
    torch.testing.assert_close(pose.quadrilaterals(Affine())[:, 0], corners, atol=1e-3, rtol=0)
    turn = np.radians(degrees)
    np.testing.assert_allclose(pose.directions[0], [[np.cos(turn), np.sin(turn)]] * 4, atol=1e-6)
    assert (CROP[0] / CROP[1], ROOM) == (1.5, 1.15), "30 x 60 pixels fill the height of the crop"


def test_a_plain_second_look_says_nothing_of_the_pose() -> None:
    assert SecondLook(width=8).eval()(torch.rand(1, 3, *SHAPE), [torch.tensor([[60.0, 50, 30, 0, -1]])])[1] is None


class Corrects(nn.Module):
    """A second look that says one pose of everybody."""

    def __init__(self, pose: Pose) -> None:
        super().__init__()
        self.pose = pose

    def forward(self, pictures: Tensor, frames: list[Tensor]) -> tuple[Tensor, Pose]:
        count = sum(len(one) for one in frames)
        return torch.full((count,), 3.0, requires_grad=True), self.pose.rows(torch.zeros(count, dtype=torch.long))


def heads_with(settings: Settings, pose: Pose) -> tuple[RegionHeads, dict[str, Tensor]]:
    torch.manual_seed(0)
    heads = build_detector(
        replace(settings, suppression="hard", nms_threshold=1.0, box_share=1.0, fusion="region", score_threshold=1e-4)
    ).roi_heads
    heads.second_look = Corrects(pose)
    sizes = {"0": 8, "1": 16, "2": 32, "pool": 64}
    maps = {name: torch.rand(1, 96, -(-SHAPE[0] // s), SHAPE[1] // s) for name, s in sizes.items()}
    return heads, {**maps, PICTURE: torch.rand(1, 3, *SHAPE)}


def test_the_best_have_the_corrected_pose_and_the_others_their_first(corrects: Settings) -> None:
    corrected = Pose(torch.randn(1, 4, 6), torch.tensor([[50.0, 40]]), torch.full((1, 2), 20.0), torch.randn(1, 4))
    heads, maps = heads_with(replace(corrects, second_share=0.0), replace(corrected, up=up_of(70).float()))
    heads.eval()
    regions = torch.tensor([[10.0, 10, 30, 60], [10, 20, 30, 60], [70, 10, 90, 60], [50, 30, 70, 80]])
    with torch.no_grad():
        (result,), _ = heads(maps, [regions], [SHAPE])
        first = told(heads.box_roi_pool.look(maps, [regions]), Affine(), heads.parts)
    expected = told(heads.second_look.pose, Affine(), heads.parts)
    assert len(result["scores"]) == 4
    for name in ("lean", "whole", "parts", "seen"):
        for row in (0, 1):
            torch.testing.assert_close(result[name][row], expected[name][0])
        for row in (2, 3):
            assert (first[name] - result[name][row]).reshape(4, -1).abs().amax(1).min() < 1e-4, (
                "one of the first look's"
            )
    assert (result["lean"][2:] - expected["lean"]).abs().min() > 1


def pose_of(joints: np.ndarray, degrees: float) -> Pose:
    """The true pose, told in a frame that is turned by so much."""
    frames, known = part_frames(joints[None])
    assert known.all()
    centre, half = np.array([60.0, 44.0]), 37.0
    theta = []
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    back = np.array([[c, s], [-s, c]])  # by -degrees
    for x, y, up_x, up_y, high, wide in frames[0]:
        columns = np.array([[-up_y * wide, -up_x * high, x - centre[0]], [up_x * wide, -up_y * high, y - centre[1]]])
        theta.append((back @ columns / half).flatten())
    leans = np.radians(frame_lean(frames[0]))
    return Pose(
        torch.tensor(np.array(theta))[None].float(),
        torch.tensor(centre)[None].float(),
        torch.full((1, 2), half),
        torch.full((1, 4), 20.0),
        directions=torch.tensor(np.stack([np.cos(leans), np.sin(leans)], axis=-1))[None].float(),
        up=up_of(degrees).float(),
    )


@pytest.mark.parametrize("degrees", [0.0, 50.0, -160.0])
def test_the_true_pose_costs_nothing_and_another_does(corrects: Settings, degrees: float) -> None:
    joints = person(60, 50, 35)
    target = {
        "boxes": torch.tensor([[30.0, 10, 90, 90]]),
        "labels": torch.ones(1, dtype=torch.int64),
        "ignore": torch.tensor([False]),
        "keypoints": torch.from_numpy(joints[None]).float(),
    }
    proposals = [torch.tensor([[31.0, 11, 91, 91], [0, 0, 20, 20]])]
    heads, maps = heads_with(corrects, pose_of(joints, degrees))
    losses = heads._look_again(maps, proposals, [target])
    assert losses.keys() == {"loss_second_look", "loss_second_theta", "loss_second_seen"}
    assert losses["loss_second_theta"].item() < 1e-3
    assert losses["loss_second_seen"].item() < 1e-6
    heads.second_look.pose = pose_of(person(60, 50, 45), degrees)
    ten_degrees = heads._look_again(maps, proposals, [target])["loss_second_theta"].item()
    assert ten_degrees > 0.03
    heads.teach = 2.0
    assert heads._look_again(maps, proposals, [target])["loss_second_theta"].item() == pytest.approx(2 * ten_degrees)


def test_it_learns_to_set_somebody_upright_whom_the_crop_shows_leaning(corrects: Settings) -> None:
    torch.manual_seed(0)
    heads, maps = heads_with(corrects, pose_of(person(60, 50, 0), 0))
    heads.second_look = look = build_detector(corrects).roi_heads.second_look
    joints = person(64, 52, 25)
    picture = np.full((*SHAPE, 3), 0, np.uint8)
    for one, other in ((0, 5), (5, 6), (5, 11), (6, 12), (11, 13), (12, 14), (13, 15), (14, 16)):
        ends = [tuple(joints[joint, :2].round().astype(int).tolist()) for joint in (one, other)]
        cv2.line(picture, *ends, (255, 200, 150), 4)
    maps[PICTURE] = torch.from_numpy(picture).permute(2, 0, 1)[None] / 128 - 1
    boxes = torch.tensor([[40.0, 5, 95, 93]])
    target = {
        "boxes": boxes,
        "labels": torch.ones(1, dtype=torch.int64),
        "ignore": torch.tensor([False]),
        "keypoints": torch.from_numpy(joints[None]).float(),
    }
    optimizer = torch.optim.Adam(look.localisation.parameters(), lr=3e-3)
    for _ in range(25):
        losses = heads._look_again(maps, [boxes], [target])
        optimizer.zero_grad()
        losses["loss_second_theta"].backward()
        optimizer.step()
    heads.eval()
    with torch.no_grad():
        frames = heads._frames(boxes, heads.box_roi_pool.look(maps, [boxes]))
        _, pose = look.eval()(maps[PICTURE], [frames])
    assert lean(upright_quadrilaterals(frames))[0].abs() < 1, "the first look knows nothing"
    leans = lean(pose.quadrilaterals(Affine()))[0]
    assert leans[PARTS.index("whole")].item() == pytest.approx(25, abs=6)


def upright_quadrilaterals(frames: Tensor) -> Tensor:
    """Quadrilaterals (n, 4, 2) of the frames (n, 5) of crops."""
    square = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]) * torch.tensor([CROP[1] / CROP[0], 1.0])
    return frames[:, None, :2] + turned_with(frames[:, None, 3:], frames[:, 2, None, None] * square)
