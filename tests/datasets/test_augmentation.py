"""Augmentation moves pixels and boxes together, the same way whenever it is asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upright.datasets.augmentation import Augmentation
from upright.datasets.joints import JOINTS, MIRRORED
from upright.datasets.outlines import outline_column
from upright.datasets.sample import Sample
from upright.errors import InputError

AUGMENTATION = Augmentation(side=120, crop=(96, 128), min_height=12)


def sample(
    boxes: list[list[float]], visible: list[list[float]] | None = None, size: tuple[int, int] = (160, 120)
) -> Sample:
    """Grey, with a white board in the first box."""
    width, height = size
    image = np.full((height, width, 3), 60, np.uint8)
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    if len(corners):
        x1, y1, x2, y2 = corners[0].astype(int)
        image[y1:y2, x1:x2] = 250
    n = len(corners)
    return Sample(
        image=image,
        boxes=corners,
        visible=corners if visible is None else np.array(visible, np.float32).reshape(-1, 4),
        ignore=np.zeros(n, bool),
        visible_ratio=np.ones(n, np.float32),
        attributes={"pose": np.array(["walking"] * n)},
        id=5,
        path=None,
    )


def test_the_box_stays_on_its_board() -> None:
    results = [AUGMENTATION(sample([[60, 30, 90, 100]]), seed) for seed in range(12)]
    seen = [result for result in results if len(result.boxes) and not result.ignore[0]]
    assert len(seen) >= 6
    for result in seen:
        x1, y1, x2, y2 = result.boxes[0].round().astype(int)
        inner = result.image[y1 + 4 : y2 - 4, x1 + 4 : x2 - 4].mean()
        outside = np.ones(result.image.shape[:2], bool)
        outside[max(y1 - 4, 0) : y2 + 4, max(x1 - 4, 0) : x2 + 4] = False
        assert inner > result.image[outside].mean() + 30


def test_the_same_seed_gives_the_same_sample_and_another_one_does_not() -> None:
    one = sample([[60, 30, 90, 100]])
    first, again, other = AUGMENTATION(one, 3), AUGMENTATION(one, 3), AUGMENTATION(one, 4)
    assert (first.image == again.image).all()
    assert (first.boxes == again.boxes).all()
    assert first.image.shape != other.image.shape or (first.image != other.image).any()


@pytest.mark.parametrize(("size", "shape"), [((160, 120), (96, 128, 3)), ((120, 160), (128, 96, 3))])
def test_portrait_pictures_stay_portrait(size: tuple[int, int], shape: tuple[int, ...]) -> None:
    assert AUGMENTATION(sample([[20, 20, 60, 100]], size=size), 0).image.shape == shape


boxes = st.lists(
    st.tuples(st.floats(0, 150), st.floats(0, 110), st.floats(1, 100), st.floats(1, 100)).map(
        lambda b: [b[0], b[1], min(b[0] + b[2], 160), min(b[1] + b[3], 120)]
    ),
    max_size=5,
)


@settings(max_examples=30, deadline=None)
@given(boxes, st.integers(0, 2**31))
def test_columns_stay_aligned_and_inside_the_picture(rows: list[list[float]], seed: int) -> None:
    empty_first = [[b[0], b[1], b[0], b[1]] if i == 0 else b for i, b in enumerate(rows)]  # nothing of it is seen
    result = AUGMENTATION(sample(rows, visible=empty_first), seed)
    height, width = result.image.shape[:2]
    n = len(result.boxes)
    assert len(result.visible) == len(result.ignore) == len(result.visible_ratio) == len(result.attributes["pose"]) == n
    assert n <= len(rows)
    assert (result.boxes[:, 2:] > result.boxes[:, :2]).all()
    assert (result.boxes >= 0).all()
    assert (result.boxes[:, 2:] <= [width + 1e-3, height + 1e-3]).all()


def test_people_who_got_too_small_are_ignored() -> None:
    strict = Augmentation(side=120, crop=(96, 128), min_height=1000)
    assert strict(sample([[60, 30, 90, 100]]), 1).ignore.all()


def test_people_of_whom_little_is_left_are_ignored() -> None:
    """A board as wide as the picture, in crops of a quarter of it, keeps less than a third of its area."""
    tight = Augmentation(side=480, crop=(96, 128), min_height=0)
    results = [tight(sample([[5, 30, 155, 100]]), seed) for seed in range(8)]
    assert all(result.ignore.all() for result in results)


def board() -> Sample:
    """A white board with its corners as outline; the corners and 13 points of it are the joints."""
    one = sample([[60, 30, 90, 100]])
    corners = np.array([[60, 30], [90, 30], [90, 100], [60, 100]], np.float32)
    joints = np.full((1, JOINTS, 3), 2, np.float32)
    joints[0, :, 0] = np.linspace(60, 90, JOINTS)
    joints[0, :, 1] = np.linspace(30, 100, JOINTS)
    attributes = {"lean": np.array([30], np.float32)}
    return replace(one, joints=joints, outlines=outline_column([[corners]]), attributes=attributes, turn=50.0)


@pytest.mark.parametrize("seed", range(40))
def test_joints_and_outlines_go_where_the_box_goes(seed: int) -> None:
    """The first and the last joint are corners of the box, whatever is done; mirrored, the others trade names."""
    result = AUGMENTATION(board(), seed)
    height, width = result.image.shape[:2]
    if not len(result.boxes):
        return
    x1, y1, x2, y2 = result.boxes[0]
    outline = result.outlines[0][0]
    assert [*outline.min(axis=0), *outline.max(axis=0)] == pytest.approx([x1, y1, x2, y2], abs=1e-2)
    places, labelled = result.joints[0, :, :2], result.joints[0, :, 2] > 0
    assert (places[labelled] >= [x1 - 0.01, y1 - 0.01]).all()
    assert (places[labelled] <= [x2 + 0.01, y2 + 0.01]).all()
    assert not result.joints[0][~labelled].any()
    if x1 > 0 and y1 > 0 and x2 < width and y2 < height:
        assert labelled.all()
        mirrored = places[0, 0] > places[-1, 0]
        assert result.attributes["lean"].tolist() == [-30 if mirrored else 30]
        assert result.turn == (-50 if mirrored else 50)
        order = list(MIRRORED) if places[1, 1] > places[2, 1] else list(range(JOINTS))
        across = np.linspace(x1, x2, JOINTS)
        by_hand = across[::-1][order] if order != list(range(JOINTS)) else across
        assert mirrored == (order != list(range(JOINTS)))
        assert places[:, 0] == pytest.approx(by_hand, abs=2e-2)
        assert places[:, 1] == pytest.approx(np.linspace(y1, y2, JOINTS)[order], abs=2e-2)


def test_both_ways_round_are_tried() -> None:
    whole = [AUGMENTATION(board(), seed).joints for seed in range(40)]
    downward = [joints[0, 1, 1] > joints[0, 2, 1] for joints in whole if len(joints) and joints[0, :, 2].all()]
    assert {bool(flag) for flag in downward} == {True, False}


@pytest.mark.parametrize("seed", range(20))
def test_turned_boxes_hold_their_turned_board(seed: int) -> None:
    result = Augmentation(side=120, crop=(96, 128), min_height=0, turn=180)(board(), seed)
    height, width = result.image.shape[:2]
    assert result.image.shape == (96, 128, 3)
    for (x1, y1, x2, y2), ignore in zip(result.boxes, result.ignore, strict=True):
        if ignore or x1 <= 0 or y1 <= 0 or x2 >= width or y2 >= height:
            continue
        labelled = result.joints[0, :, 2] > 0
        places = result.joints[0, labelled, :2].astype(int)
        bright = result.image[places[1:-1, 1], places[1:-1, 0]].mean()
        assert bright > 1.2 * np.median(result.image)
        assert (result.joints[0, labelled, :2] >= (x1 - 0.1, y1 - 0.1)).all()
        assert (result.joints[0, labelled, :2] <= (x2 + 0.1, y2 + 0.1)).all()


def test_a_turn_of_nothing_is_no_turn() -> None:
    still = Augmentation(side=120, crop=(96, 128), min_height=12, turn=0)
    turning = Augmentation(side=120, crop=(96, 128), min_height=12, turn=180)
    assert (still(board(), 4).image == AUGMENTATION(board(), 4).image).all()
    assert (turning(board(), 4).image != AUGMENTATION(board(), 4).image).any()


@pytest.mark.parametrize("turn", [-1, 181, float("nan")])
def test_impossible_turns_are_refused(turn: float) -> None:
    with pytest.raises(InputError, match="0 to 180"):
        Augmentation(side=120, crop=(96, 128), min_height=12, turn=turn)
