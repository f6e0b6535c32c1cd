"""Pictures for people: the right pixels at the right place, and no drawing that fails on an odd input."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from upright.detector import drawing


def noise(height: int = 60, width: int = 80, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_the_picture_itself_stays_as_it_is():
    image = noise()
    before = image.copy()
    drawn = drawing.draw_detections(image, np.array([[5.0, 5.0, 60.0, 55.0]]), np.array([0.9]))
    np.testing.assert_array_equal(image, before)
    assert (drawn != image).any()


def test_nothing_found_changes_nothing():
    image = noise()
    np.testing.assert_array_equal(drawing.draw_detections(image, np.zeros((0, 4)), np.zeros(0)), image)


def test_a_box_lies_where_it_was_found():
    image = np.zeros((100, 100, 3), np.uint8)
    drawn = drawing.draw_detections(image, np.array([[30.0, 20.0, 60.0, 90.0]]), np.array([1.0]), [""])
    bright = np.argwhere((drawn == drawing.score_colour(1.0)).all(axis=2))
    assert np.abs(bright.min(axis=0) - [20, 30]).max() <= 1
    assert np.abs(bright.max(axis=0) - [89, 59]).max() <= 1


def test_tiny_people_get_no_label():
    image = np.zeros((100, 100, 3), np.uint8)
    drawn = drawing.draw_detections(image, np.array([[40.0, 40.0, 46.0, 55.0]]), np.array([0.8]))
    assert drawn.any()
    assert (np.argwhere(drawn.any(axis=2)).min(axis=0) >= 37).all()


def test_a_degree_sign_is_drawn_as_a_ring_behind_the_number():
    drawn = []
    for text in ("+12", "+12\N{DEGREE SIGN}"):
        canvas = np.zeros((60, 200, 3), np.uint8)
        drawing.put_text(canvas, text, (5, 50), 1.0, (255, 255, 255))
        drawn.append(canvas[..., 0])
    (plain, below), _ = drawing.text_size("+12", 1.0, 1)
    (signed, _), _ = drawing.text_size("+12\N{DEGREE SIGN}", 1.0, 1)
    more = np.argwhere(drawn[1] > drawn[0])
    assert more[:, 1].min() >= 5 + plain
    assert more[:, 1].max() <= 5 + signed
    assert more[:, 0].max() < 50 - below // 2, "it is raised"


def test_labels_stay_inside_the_picture():
    image = np.zeros((120, 160, 3), np.uint8)
    for box in ([0, 0, 40, 120], [130, 0, 160, 120], [0, 60, 40, 120]):
        drawn = drawing.draw_detections(image, np.array([box], float), np.array([0.88]))
        assert (drawn > 140).all(axis=2).sum() > 30  # the whole text


@settings(deadline=None, max_examples=25)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    boxes=st.lists(st.tuples(*[st.floats(-50, 150)] * 4), max_size=6),
    data=st.data(),
)
def test_any_boxes_can_be_drawn_on_any_picture(size, boxes, data):
    scores = data.draw(st.lists(st.floats(0, 1), min_size=len(boxes), max_size=len(boxes)))
    drawn = drawing.draw_detections(noise(*size), np.array(boxes).reshape(-1, 4), np.array(scores))
    assert drawn.shape == (*size, 3)


def test_side_by_side_is_even_and_whole():
    left, right = noise(33, 21), noise(50, 30)
    both = drawing.side_by_side(left, right)
    assert both.shape == (50, 52, 3)
    np.testing.assert_array_equal(both[:33, :21], left)
    np.testing.assert_array_equal(both[:, 21:51], right)
