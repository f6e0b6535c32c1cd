"""Frames of the parts: people worked by hand, and that frames turn, grow and move with their person."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upright.datasets.joints import JOINT_NAMES, MIRRORED, no_joints
from upright.datasets.part_frames import (
    HEAD,
    LEGS,
    PARTS,
    TORSO,
    WHOLE,
    frame_corners,
    frame_lean,
    frame_matrices,
    part_frames,
    parts_seen,
)

STANDING = {
    "nose": (50, 5),
    "left_shoulder": (60, 20),
    "right_shoulder": (40, 20),
    "left_hip": (55, 60),
    "right_hip": (45, 60),
    "left_knee": (55, 85),
    "right_knee": (45, 85),
    "left_ankle": (55, 110),
    "right_ankle": (45, 110),
}


def person(places: dict[str, tuple[float, float]], *, without: tuple[str, ...] = ()) -> np.ndarray:
    joints = np.zeros((1, len(JOINT_NAMES), 3), np.float32)
    for name, place in places.items():
        if name not in without:
            joints[0, JOINT_NAMES.index(name)] = (*place, 2)
    return joints


def known(joints: np.ndarray) -> set[str]:
    return {part for part, flag in zip(PARTS, part_frames(joints)[1][0], strict=True) if flag}


def test_a_standing_person_by_hand() -> None:
    frames, flags = part_frames(person(STANDING))
    assert flags.all()
    assert frames.shape == (1, 4, 6)
    # From mid-hip (50, 60) to mid-shoulder (50, 20): 40 long.
    assert frames[0, TORSO] == pytest.approx([50, 40, 0, -1, 0.58 * 40, 0.42 * 40])
    # The face 15 over mid-shoulder.
    assert frames[0, HEAD] == pytest.approx([50, 5, 0, -1, 0.85 * 15, 0.75 * 15])
    # From (50, 110) to (50, 60).
    assert frames[0, LEGS] == pytest.approx([50, 85, 0, -1, 0.57 * 50, 0.22 * 50])
    # Rows from the head's 5 - 12.75 to the ankles' 110 and a margin of 10; columns of the head and 10 on each side.
    assert frames[0, WHOLE] == pytest.approx([50, (120 - 7.75) / 2, 0, -1, (120 + 7.75) / 2, 11.25 + 10])


def test_broad_shoulders_make_a_broad_torso() -> None:
    broad = STANDING | {"left_shoulder": (80, 20), "right_shoulder": (20, 20)}
    assert part_frames(person(broad))[0][0, TORSO, 5] == pytest.approx(1.2 * 30)


def test_somebody_who_lies_with_the_head_to_the_right() -> None:
    """(x, y) comes to (-y, x): up becomes right."""
    lying = {name: (-y, x) for name, (x, y) in STANDING.items()}
    frames, _ = part_frames(person(lying))
    assert frame_lean(frames)[0] == pytest.approx([90] * 4)
    assert frames[0, HEAD, :2] == pytest.approx([-5, 50])


@pytest.mark.parametrize(
    ("without", "parts"),
    [
        ((), {"whole", "head", "torso", "legs"}),
        (("nose",), {"whole", "torso", "legs"}),
        (("left_ankle", "right_ankle"), {"whole", "head", "torso", "legs"}),
        (("left_ankle", "right_ankle", "left_knee", "right_knee"), {"whole", "head", "torso"}),
        (("left_hip", "right_hip"), {"head"}),
        (("left_shoulder", "right_shoulder"), {"legs"}),
        (("left_shoulder",), {"whole", "torso", "legs"}),
        (("left_shoulder", "right_hip"), {"legs"}),
        (tuple(STANDING), set()),
    ],
)
def test_parts_whose_joints_are_not_labelled_have_no_frame(without: tuple[str, ...], parts: set[str]) -> None:
    joints = person(STANDING, without=without)
    assert known(joints) == parts
    frames, flags = part_frames(joints)
    assert not frames[~flags].any()


def test_knees_stand_in_for_ankles() -> None:
    frames, _ = part_frames(person(STANDING, without=("left_ankle", "right_ankle")))
    assert frames[0, LEGS, :2] == pytest.approx([50, (60 + 85) / 2])
    assert frames[0, LEGS, 4] == pytest.approx(0.57 * 25)


def test_one_side_alone_gives_its_own_line() -> None:
    frames, _ = part_frames(person(STANDING, without=("right_shoulder", "right_ankle")))
    assert frames[0, TORSO, :4] == pytest.approx([57.5, 40, -5 / np.hypot(5, 40) * -1, -40 / np.hypot(5, 40)])
    assert frames[0, LEGS, :2] == pytest.approx([55, 85])


def test_a_trunk_that_points_at_the_camera_has_no_direction() -> None:
    bent = STANDING | {"left_shoulder": (60, 57), "right_shoulder": (40, 57)}
    assert known(person(bent)) == {"head", "legs"}
    assert known(person({name: (50, 50) for name in STANDING})) == set()


def test_nobody_and_nothing_labelled() -> None:
    for n in (0, 3):
        frames, flags = part_frames(no_joints(n))
        assert frames.shape == (n, 4, 6)
        assert flags.shape == (n, 4)
        assert not flags.any()


def test_the_matrix_is_the_papers_theta_and_the_corners_go_round_clockwise() -> None:
    frame = np.array([10.0, 20, 0, -1, 6, 3])
    assert frame_matrices(frame).tolist() == [[3, 0, 10], [0, 6, 20]]
    assert frame_corners(frame).tolist() == [[7, 14], [13, 14], [13, 26], [7, 26]]
    on_the_right_side = np.array([10.0, 20, 1, 0, 6, 3])
    assert frame_corners(on_the_right_side).tolist() == [[16, 17], [16, 23], [4, 23], [4, 17]]


places = st.tuples(st.floats(0, 100), st.floats(0, 200))


@settings(max_examples=80, deadline=None)
@given(st.fixed_dictionaries({name: places for name in JOINT_NAMES}), st.floats(-180, 180), st.floats(1, 3))
def test_frames_turn_grow_and_move_with_their_person(
    people: dict[str, tuple[float, float]], degrees: float, scale: float
) -> None:
    joints = person(people).astype(np.float64)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = scale * np.array([[c, -s], [s, c]])
    moved = joints.copy()
    moved[..., :2] = joints[..., :2] @ turn.T + (300, -40)
    (frames, flags), (again, flags_again) = part_frames(joints), part_frames(moved)
    both = flags & flags_again  # a line just as long as the least may fall on either side
    corners = frame_corners(frames) @ turn.T + (300, -40)
    assert frame_corners(again)[both] == pytest.approx(corners[both], abs=1e-3, rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.fixed_dictionaries({name: places for name in JOINT_NAMES}))
def test_a_mirrored_person_has_mirrored_frames_and_all_joints_lie_in_the_whole(
    people: dict[str, tuple[float, float]],
) -> None:
    joints = person(people).astype(np.float64)
    mirrored = joints[:, MIRRORED] * (-1, 1, 1)
    (frames, flags), (other, _) = part_frames(joints), part_frames(mirrored)
    assert other[flags] * (-1, 1, -1, 1, 1, 1) == pytest.approx(frames[flags], abs=1e-6)
    if flags[0, WHOLE]:
        back = np.linalg.inv(np.concatenate([frame_matrices(frames[0, WHOLE]), [[0, 0, 1]]]))
        inside = np.concatenate([joints[0, :, :2], np.ones((len(JOINT_NAMES), 1))], axis=1) @ back.T
        assert np.abs(inside[:, :2]).max() <= 1 + 1e-6


def test_parts_seen_of_people_by_hand() -> None:
    labelled = person(STANDING)  # nose, and eight others
    hidden = labelled.copy()
    hidden[0, :, 2] = np.minimum(hidden[0, :, 2], 1)
    legs_hidden = labelled.copy()
    legs_hidden[0, 13:, 2] = 1
    without = person(STANDING, without=("nose", "left_shoulder", "right_shoulder", "left_hip"))
    together = np.concatenate([labelled, hidden, legs_hidden, without, no_joints(1)])
    assert PARTS == ("whole", "head", "torso", "legs")
    expected = [[1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1], [-1, -1, -1, -1]]
    assert parts_seen(together).tolist() == expected
    assert parts_seen(no_joints(0)).shape == (0, 4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from((0, 1, 2)), min_size=17, max_size=17), max_size=4))
def test_parts_seen_counts_joints(flags: list[list[int]]) -> None:
    joints = np.zeros((len(flags), len(JOINT_NAMES), 3), np.float32)
    joints[..., 2] = np.array(flags).reshape(-1, 17)
    groups = {"head": ("nose", "eye", "ear"), "torso": ("shoulder", "hip"), "legs": ("knee", "ankle"), "whole": ("",)}
    least = {"head": 1, "torso": 2, "legs": 2, "whole": 8}
    for found, row in zip(parts_seen(joints), flags, strict=True):
        for part, value in zip(PARTS, found, strict=True):
            kinds = groups[part]
            count = sum(v == 2 for name, v in zip(JOINT_NAMES, row, strict=True) if any(kind in name for kind in kinds))
            assert value == (-1 if not any(row) else count >= least[part])
