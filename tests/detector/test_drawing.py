"""Pictures for people: the right pixels at the right place, and no drawing that fails on an odd input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from upright.detector import drawing
from upright.detector.spatial_transformer import Affine


def noise(height: int = 60, width: int = 80, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def bilinear(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """One point of a picture by the definition; the first pixel reaches from 0 to 1."""
    total = np.zeros(3)
    for row in (math.floor(y - 0.5), math.floor(y - 0.5) + 1):
        for column in (math.floor(x - 0.5), math.floor(x - 0.5) + 1):
            weight = max(0, 1 - abs(x - 0.5 - column)) * max(0, 1 - abs(y - 0.5 - row))
            inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
            total += weight * (image[row, column] if inside else np.full(3, 96))
    return total


def test_canonical_crops_agree_with_a_plain_walk_over_the_bins():
    image = noise()
    proposals = np.array([[10.0, 5.0, 22.0, 41.0], [60.5, 30.25, 85.0, 70.0]])
    theta = torch.tensor([[[0.9, 0.2, 0.1, -0.3, 0.8, 0.0], [0.5, 0.0, 0.0, 0.0, 0.4, -0.6]]]).repeat(2, 1, 1)
    height, width = 40, 30
    crops = drawing.canonical_crops(image, proposals, theta, Affine(), (height, width))
    assert crops.shape == (2, 2, height, width, 3)
    for i, (x1, y1, x2, y2) in enumerate(proposals):
        for j in range(2):
            a, b, c, d, e, f = theta[i, j].tolist()
            for row, column in [(0, 0), (0, width - 1), (height - 1, 0), (17, 9), (39, 29)]:
                u, v = (2 * column + 1) / width - 1, (2 * row + 1) / height - 1
                x = x1 + (a * u + b * v + c + 1) / 2 * (x2 - x1)
                y = y1 + (d * u + e * v + f + 1) / 2 * (y2 - y1)
                # OpenCV's remap rounds the place to 1/32 of a pixel.
                np.testing.assert_allclose(crops[i, j, row, column], bilinear(image, x, y), atol=2 * 255 / 32)


def test_the_identity_crops_the_region_itself():
    image = noise()
    crops = drawing.canonical_crops(
        image, np.array([[8.0, 4.0, 24.0, 36.0]]), Affine().identity()[None, None], Affine(), (32, 16)
    )
    np.testing.assert_array_equal(crops[0, 0], image[4:36, 8:24])


def test_a_large_region_is_averaged_not_skipped_over():
    crops = drawing.canonical_crops(
        noise(400, 400), np.array([[0.0, 0.0, 400.0, 400.0]]), Affine().identity()[None, None], Affine(), (50, 50)
    )
    assert crops.std() < 74 / 6, "noise of deviation 74, averaged over 8 x 8 pixels"


def test_outlines_of_the_identity_are_the_region():
    box = np.array([10.0, 20.0, 30.0, 80.0])
    outline = drawing.transformer_outlines(box, Affine().identity()[None], Affine())[0]
    assert outline.min(axis=0).tolist() == [10, 20]
    assert outline.max(axis=0) == pytest.approx([30, 80])
    on_edge = np.isclose(outline, box[:2]) | np.isclose(outline, box[2:])
    assert on_edge.any(axis=1).all()


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


@pytest.mark.parametrize("transformers", [1, 4, 8])
def test_a_sheet_has_one_size_however_many_people(transformers):
    theta = Affine().identity().repeat(5, transformers, 1)
    boxes = np.array([[10.0 * i, 5.0, 10.0 * i + 9, 45.0] for i in range(5)])
    strips = drawing.person_strips(noise(), boxes, theta, Affine(), [f"{i} 0.50" for i in range(5)])
    sheets = [drawing.crop_sheet(strips[:n], transformers, columns=1, rows=3) for n in (0, 1, 3, 5)]
    assert len({sheet.shape for sheet in sheets}) == 1
    assert len({strip.shape for strip in strips}) == 1
    full = drawing.crop_sheet(strips, transformers)
    assert full.shape[0] == 22 + 5 * drawing.STRIP_HEIGHT
    assert side_of_strip_is_there(full, strips[4])


def side_of_strip_is_there(sheet: np.ndarray, strip: np.ndarray) -> bool:
    bottom = sheet[-drawing.STRIP_HEIGHT :][: strip.shape[0], : strip.shape[1]]
    return bool((bottom == strip).all())


def test_side_by_side_is_even_and_whole():
    left, right = noise(33, 21), noise(50, 30)
    both = drawing.side_by_side(left, right)
    assert both.shape == (50, 52, 3)
    np.testing.assert_array_equal(both[:33, :21], left)
    np.testing.assert_array_equal(both[:, 21:51], right)


def test_a_region_without_extent_can_be_shown():
    theta = Affine().identity()[None, None]
    strips = drawing.person_strips(noise(), np.array([[5.0, 5.0, 5.0, 5.0]]), theta, Affine(), ["1 0.50"])
    assert len(strips) == 1
