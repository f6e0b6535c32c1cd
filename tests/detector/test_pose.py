"""What a pose means in the picture: against matrices by hand, OpenCV's turns and the frames of people's parts."""

from __future__ import annotations

from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from upright.datasets.part_frames import frame_corners, frame_lean, frame_matrices
from upright.detector.detected import PART_NAMES, Detected
from upright.detector.person_priors import PersonPart
from upright.detector.pose import CORNERS, Pose, lean, told
from upright.detector.spatial_transformer import Affine

PARTS: tuple[PersonPart, ...] = get_args(PersonPart)


def some_pose(regions: int = 3, transformers: int = 2) -> Pose:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    centre, half = 100 * drawn(regions, 2), 5 + 50 * drawn(regions, 2).abs()
    return Pose(
        drawn(regions, transformers, 6),
        centre,
        half,
        drawn(regions, transformers),
        drawn(regions, 2).sigmoid(),
        drawn(regions, transformers, 2),
    )


def test_points_are_theta_in_the_frame_of_its_region_and_then_pixels() -> None:
    pose = some_pose()
    xy = np.array([[0.0, 0.0], [0.5, -0.25], [-1.0, 2.0]])
    found = pose.points(Affine(), torch.from_numpy(xy))
    for region in range(3):
        for transformer in range(2):
            matrix = pose.theta[region, transformer].reshape(2, 3).numpy()
            for number, (x, y) in enumerate(xy):
                place = matrix @ (x, y, 1) * pose.half[region].numpy() + pose.centre[region].numpy()
                assert found[region, transformer, number].numpy() == pytest.approx(place, abs=1e-9)


def test_quadrilaterals_are_what_opencv_makes_of_the_canonical_square() -> None:
    pose = some_pose()
    square = np.array([[[-1.0, -1], [1, -1], [1, 1], [-1, 1]]])
    for region in range(3):
        for transformer in range(2):
            corners = cv2.transform(square, pose.theta[region, transformer].reshape(2, 3).numpy())[0]
            expected = corners * pose.half[region].numpy() + pose.centre[region].numpy()
            np.testing.assert_allclose(pose.quadrilaterals(Affine())[region, transformer], expected, atol=1e-9)


@pytest.mark.parametrize("degrees", [-170.0, -90.0, -30.0, 0.0, 45.0, 90.0, 135.0, 179.0])
def test_a_lean_counts_clockwise_in_the_picture(degrees: float) -> None:
    upright = np.array([[[40.0, 10], [60, 10], [60, 90], [40, 90]]])
    # OpenCV's angles are counter-clockwise.
    leaning = cv2.transform(upright, cv2.getRotationMatrix2D((33, 77), -degrees, 1.7))
    assert lean(torch.from_numpy(leaning)).item() == pytest.approx(degrees, abs=1e-4)


def test_somebody_whose_head_lies_on_the_right_leans_by_90_degrees() -> None:
    lying = torch.tensor([[90.0, 40], [90, 60], [10, 60], [10, 40]])  # top left, top right: the ends at the head
    assert lean(lying) == 90
    assert lean(lying.roll(2, dims=0)) == -90


frames = st.tuples(
    st.floats(-300, 300), st.floats(-300, 300), st.floats(-179, 179), st.floats(1, 300), st.floats(1, 300)
)


@settings(max_examples=60, deadline=None)
@given(frames, st.tuples(st.floats(-300, 300), st.floats(-300, 300)), st.tuples(st.floats(1, 300), st.floats(1, 300)))
def test_theta_that_is_a_true_frame_says_what_the_frame_says(
    drawn: tuple[float, ...], centre: tuple[float, float], half: tuple[float, float]
) -> None:
    x, y, degrees, high, wide = drawn
    up = np.radians(degrees)
    frame = np.array([x, y, np.sin(up), -np.cos(up), high, wide])
    matrix = frame_matrices(frame)
    matrix[:, 2] -= centre
    theta = torch.from_numpy(matrix / np.array(half)[:, None]).reshape(1, 1, 6)
    pose = Pose(theta, torch.tensor([centre], dtype=torch.float64), torch.tensor([half], dtype=torch.float64))
    corners = pose.quadrilaterals(Affine())
    np.testing.assert_allclose(corners[0, 0], frame_corners(frame), atol=1e-6)
    assert lean(corners).item() == pytest.approx(frame_lean(frame), abs=1e-4)
    assert frame_lean(frame) == pytest.approx(degrees)


def test_what_is_told_is_of_the_first_transformer_of_each_part_whatever_their_order() -> None:
    parts: tuple[PersonPart, ...] = ("legs", "whole", "torso", "head", "legs")
    pose = some_pose(3, 5)
    found = told(pose, Affine(), parts)
    corners = pose.quadrilaterals(Affine())
    assert PART_NAMES == ("head", "torso", "legs")
    assert torch.equal(found["whole"], corners[:, 1])
    assert torch.equal(found["lean"], lean(corners[:, 1]))
    assert torch.equal(found["parts"], torch.stack([corners[:, 3], corners[:, 2], corners[:, 0]], dim=1))
    assert pose.seen is not None
    logits = torch.stack([pose.seen[:, 3], pose.seen[:, 2], pose.seen[:, 0]], dim=1).numpy()
    np.testing.assert_allclose(found["seen"], 1 / (1 + np.exp(-logits)))
    one = Detected.of({"boxes": torch.zeros(3, 4), "scores": torch.zeros(3), **found})
    assert one.lean is not None
    np.testing.assert_array_equal(one.lean, found["lean"])


def test_nobody_is_told_of_in_empty_arrays() -> None:
    found = told(some_pose(0, 4), Affine(), PARTS)
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    assert shapes == {"lean": (0,), "whole": (0, 4, 2), "parts": (0, 3, 4, 2), "seen": (0, 3)}


def test_rows_keep_what_belongs_together() -> None:
    pose, rows = some_pose(), torch.tensor([2, 0])
    some = pose.rows(rows)
    for name in ("theta", "centre", "half", "seen", "outline", "directions"):
        assert torch.equal(getattr(some, name), getattr(pose, name)[rows]), name
    bare = Pose(pose.theta, pose.centre, pose.half).rows(torch.tensor([True, False, True]))
    assert (bare.seen, bare.outline, bare.directions, len(bare.theta)) == (None, None, None, 2)


def test_a_head_is_told_theta_what_is_seen_and_the_regions_outline() -> None:
    pose = some_pose()
    assert pose.seen is not None
    assert pose.outline is not None
    found = pose.features()
    assert torch.equal(found[:, :12].reshape(3, 2, 6), pose.theta)
    torch.testing.assert_close(found[:, 12:14], 1 / (1 + (-pose.seen).exp()))
    assert torch.equal(found[:, 14:], pose.outline)
    assert torch.equal(Pose(pose.theta, pose.centre, pose.half).features(), pose.theta.flatten(1))


def test_nothing_learns_from_what_is_detached() -> None:
    pose = some_pose()
    assert pose.seen is not None
    assert pose.directions is not None
    for value in (pose.theta, pose.seen, pose.directions):
        value.requires_grad_()
    assert not any(value is not None and value.requires_grad for value in vars(pose.detached()).values())
    assert pose.features().requires_grad
    assert not pose.detached().features().requires_grad
    assert torch.equal(pose.detached().features(), pose.features())
    assert pose.quadrilaterals(Affine()).shape == (3, 2, len(CORNERS), 2)
