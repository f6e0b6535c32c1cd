"""Turned pictures: pixels, boxes, joints and outlines against quarters worked by hand and against turned masks."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upright.datasets.joints import JOINTS
from upright.datasets.outlines import no_outlines, outline_column
from upright.datasets.sample import Sample
from upright.datasets.turning import (
    SLIGHT,
    boxes_by_joints,
    ellipse_boxes,
    enough_joints,
    free_angle,
    turned_boxes,
    turned_image,
    turned_sample,
    turning,
    wrapped,
)

TRIANGLE = np.array([[10, 5], [30, 5], [10, 45]], np.float32)


def person(joints: dict[int, tuple[float, float]] | None = None) -> np.ndarray:
    column = np.zeros((1, JOINTS, 3), np.float32)
    for joint, place in (joints or {}).items():
        column[0, joint] = (*place, 2)
    return column


def sample(outlines: np.ndarray, joints: np.ndarray, boxes: list[list[float]], size: tuple[int, int]) -> Sample:
    n = len(boxes)
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    return Sample(
        image=np.arange(size[0] * size[1] * 3, dtype=np.uint8).reshape(size[1], size[0], 3),
        boxes=corners,
        visible=corners,
        ignore=np.zeros(n, bool),
        visible_ratio=np.ones(n, np.float32),
        attributes={"lean": np.full(n, 100, np.float32)},
        id=1,
        path=None,
        joints=joints,
        outlines=outlines,
    )


ONE = sample(outline_column([[TRIANGLE]]), person({0: (12, 7), 16: (11, 40)}), [[10, 5, 30, 45]], (100, 60))


def test_a_quarter_clockwise_by_hand() -> None:
    """The point (x, y) of a picture 60 high comes to (60 - y, x)."""
    turned = turned_sample(ONE, 90)
    assert turned.image.shape == (100, 60, 3)
    assert (turned.image[:, -1] == ONE.image[0]).all()
    assert turned.boxes.tolist() == [[15, 10, 55, 30]]
    assert turned.visible.tolist() == [[15, 10, 55, 30]]
    assert turned.joints[0, 0].tolist() == [53, 12, 2]
    assert turned.joints[0, 16].tolist() == [20, 11, 2]
    assert turned.outlines[0][0].tolist() == [[55, 10], [55, 30], [15, 10]]
    assert turned.attributes["lean"].tolist() == [-170]
    assert (turned.turn, turned_sample(turned, 100).turn) == (90, -170)


def test_half_a_turn_by_hand() -> None:
    turned = turned_sample(ONE, 180)
    assert (turned.image == ONE.image[::-1, ::-1]).all()
    assert turned.boxes.tolist() == [[70, 15, 90, 55]]
    assert turned.joints[0, 0].tolist() == [88, 53, 2]
    assert turned.joints[0, 1].tolist() == [0, 0, 0]  # not labelled stays so
    assert turned.attributes["lean"].tolist() == [-80]


def test_no_turn_changes_nothing() -> None:
    turned = turned_sample(ONE, 360)
    assert (turned.image == ONE.image).all()
    assert (turned.boxes == ONE.boxes).all()
    assert (turned.joints == ONE.joints).all()


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-360, 360),
    st.lists(st.tuples(st.integers(5, 95), st.integers(5, 55)), min_size=3, max_size=8),
)
def test_the_box_of_a_turned_outline_is_that_of_its_turned_mask(degrees: float, corners: list[tuple[int, int]]) -> None:
    """The slow way: fill the polygon in a picture eight times as large, turn that picture, look where it is white."""
    fine = 8
    outline = cv2.convexHull(np.array(corners, np.int32)).reshape(-1, 2)
    mask = np.zeros((60 * fine, 100 * fine, 3), np.uint8)
    cv2.fillPoly(mask, [outline * fine], (255, 255, 255))
    matrix, wide, tall = turning(100, 60, degrees)
    white = turned_image(mask, degrees)[..., 0]
    x, y, w, h = cv2.boundingRect((white > 140).astype(np.uint8))
    # The larger picture is rounded up to other whole pixels, half of the difference on each side.
    edge = (np.array(white.shape[::-1]) / fine - (wide, tall)) / 2
    slow = np.array([x, y, x + w, y + h]) / fine - np.tile(edge, 2)
    box = np.array([[*outline.min(axis=0), *outline.max(axis=0)]], np.float64)
    fast = turned_boxes(box, person(), outline_column([[outline]]), np.zeros(1, bool), matrix)
    if min(w, h) > 2 * fine:  # thinner ones fall between the pixels
        assert slow == pytest.approx(fast[0], abs=1.5)
        assert (fast[0, :2] <= slow[:2] + 0.5).all()
        assert (fast[0, 2:] >= slow[2:] - 0.5).all()


@settings(max_examples=60, deadline=None)
@given(st.floats(-720, 720), st.integers(1, 300), st.integers(1, 300))
def test_all_of_the_picture_is_in_the_turned_one(degrees: float, width: int, height: int) -> None:
    matrix, wide, tall = turning(width, height, degrees)
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ matrix[:, :2].T + matrix[:, 2]
    assert (corners >= -1e-5).all()
    assert (corners <= np.array([wide, tall]) + 1e-5).all()
    assert turned_image(np.zeros((height, width, 3), np.uint8), degrees).shape == (tall, wide, 3)


@pytest.mark.parametrize("degrees", [-90, 90, 180, 270])
def test_all_three_ways_to_a_box_agree_after_quarters_of_a_turn(degrees: float) -> None:
    matrix, _, _ = turning(100, 60, degrees)
    joints = person({i: (12 + i, 8 + 2 * i) for i in range(JOINTS)})
    boxes = ONE.boxes.astype(np.float64)
    exact = turned_boxes(boxes, joints, ONE.outlines, np.zeros(1, bool), matrix)
    assert boxes_by_joints(boxes, joints, matrix) == pytest.approx(exact)
    assert ellipse_boxes(boxes, matrix) == pytest.approx(exact)


def test_a_box_by_joints_by_hand() -> None:
    """A cross of joints in a box with margins 3, 2, 1, 4: at 45 degrees each side has the mean of two margins."""
    joints = person({0: (10, 20), 1: (30, 20), 2: (20, 10), 3: (20, 30)})
    matrix, _, _ = turning(100, 100, 45)
    box = boxes_by_joints(np.array([[7.0, 8, 31, 34]]), joints, matrix)[0]
    centre = matrix[:, :2] @ (20, 20) + matrix[:, 2]
    reach = 10 / np.sqrt(2)
    assert box - np.tile(centre, 2) == pytest.approx([-reach - 3.5, -reach - 2.5, reach + 1.5, reach + 2.5])


def test_an_ignore_region_gets_the_box_round_its_turned_box() -> None:
    matrix, _, _ = turning(100, 60, 45)
    box = turned_boxes(np.array([[0, 0, 10, 10]]), person(), no_outlines(1), np.ones(1, bool), matrix)[0]
    assert box[2] - box[0] == pytest.approx(10 * np.sqrt(2))


def test_few_joints_or_joints_of_a_small_part_do_not_make_a_box() -> None:
    boxes = np.array([[0, 0, 20, 40.0]])
    face = person({i: (8 + i, 3) for i in range(5)})
    trunk = person({i: (3 * i, 3) for i in range(6)})
    whole = person({i: (3, 4 * i) for i in range(6)})
    assert [bool(enough_joints(boxes, j)[0]) for j in (person(), face, trunk, whole)] == [False, False, False, True]


def test_people_without_outline_or_joints_are_turned_by_quarters_and_a_little() -> None:
    bare = replace(ONE, outlines=no_outlines(1), joints=person())
    free = [free_angle(ONE, np.random.default_rng(seed), 180) for seed in range(200)]
    bound = np.array([free_angle(bare, np.random.default_rng(seed), 180) for seed in range(200)])
    off = np.abs(bound - 90 * np.round(bound / 90))
    assert off.max() <= SLIGHT
    assert set(np.round(bound / 90)) == {-2, -1, 0, 1, 2}
    assert max(abs(angle - 90 * round(angle / 90)) for angle in free) > 40
    assert max(abs(free_angle(bare, np.random.default_rng(seed), 60)) for seed in range(50)) <= SLIGHT
    assert max(abs(free_angle(bare, np.random.default_rng(seed), 3)) for seed in range(50)) <= 3
    crowd = replace(bare, ignore=np.ones(1, bool))
    assert free_angle(crowd, np.random.default_rng(1), 180) == free_angle(ONE, np.random.default_rng(1), 180)


def test_angles_are_wrapped() -> None:
    assert wrapped(np.array([180.0, -180, 190, -190, 540, 0])).tolist() == [180, 180, -170, 170, 180, 0]
