"""Augmentation moves pixels and boxes together, the same way whenever it is asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upright.datasets.augmentation import Augmentation
from upright.datasets.sample import Sample

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
