"""People cut out and set upright, against plain pixels; sheets of one size; nothing odd that fails."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upright.datasets.turning import turned_image, turning
from upright.detector.detected import Detected
from upright.detector.pose_drawing import draw_poses, pose_of
from upright.detector.upright_crops import (
    CELL_HEIGHT,
    CELL_WIDTH,
    HEADING,
    STRIP_HEIGHT,
    crop_sheet,
    crops_panel,
    person_strips,
    upright_crop,
)


def noise(height: int = 60, width: int = 80, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def rectangle(x1: float, y1: float, x2: float, y2: float) -> np.ndarray:
    return np.array(((x1, y1), (x2, y1), (x2, y2), (x1, y2)), np.float64)


def people(count: int = 3, size: float = 20.0) -> Detected:
    left = 10.0 + (size + 5) * np.arange(count)
    boxes = np.stack([left, np.full(count, 5.0), left + size, np.full(count, 5 + 2 * size)], axis=1)
    whole = np.stack([rectangle(*box) for box in boxes])
    parts = np.stack([whole * (1, 0.4), whole * (1, 0.7), whole], axis=1)
    scores = np.linspace(0.9, 0.5, count)
    return Detected(boxes, scores, np.linspace(-30, 170, count), whole, parts, np.full((count, 3), 0.9))


def test_a_rectangle_on_whole_pixels_is_that_piece_of_the_picture() -> None:
    image = noise()
    np.testing.assert_array_equal(upright_crop(image, rectangle(8, 4, 24, 36), (32, 16)), image[4:36, 8:24])


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_person_is_turned_back_exactly(quarters: int) -> None:
    image = noise()
    turned = turned_image(image, 90 * quarters)
    matrix, _, _ = turning(80, 60, 90 * quarters)
    corners = rectangle(8, 4, 24, 36) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_array_equal(upright_crop(turned, corners, (32, 16)), image[4:36, 8:24])


def test_a_person_at_any_angle_is_set_upright() -> None:
    image = cv2.resize(noise(12, 16), (320, 240), interpolation=cv2.INTER_CUBIC)
    upright = upright_crop(image, rectangle(120, 60, 180, 180), (120, 60)).astype(int)
    matrix, _, _ = turning(320, 240, 37.0)
    corners = rectangle(120, 60, 180, 180) @ matrix[:, :2].T + matrix[:, 2]
    again = upright_crop(turned_image(image, 37.0), corners, (120, 60)).astype(int)
    assert np.abs(again - upright).mean() < 3
    assert np.abs(again[::-1] - upright).mean() > 30, "upside down it is another picture"


def test_what_has_another_shape_than_the_crop_is_not_stretched() -> None:
    image = noise()
    crop = upright_crop(image, rectangle(24, 20, 40, 36), (32, 16))
    np.testing.assert_array_equal(crop, image[12:44, 24:40])


def test_a_large_person_is_averaged_not_skipped_over() -> None:
    image = noise(1200, 1200)
    fine = upright_crop(image, rectangle(0, 0, 1200, 1200), (50, 50))
    assert fine.std() < 74 / 12, "noise of deviation 74, averaged over 24 x 24 pixels"
    ramp = np.tile(np.linspace(0, 255, 1200).astype(np.uint8)[None, :, None], (1200, 1, 3))
    small = upright_crop(ramp, rectangle(100, 100, 1100, 1100), (50, 50))[25, :, 0].astype(float)
    np.testing.assert_allclose(small, ramp[0, 110:1100:20, 0], atol=2)


def test_a_picture_wider_than_opencv_warps_can_be_cut() -> None:
    image = np.zeros((40, 33000, 3), np.uint8)
    image[:, 32900:] = 200
    assert (upright_crop(image, rectangle(32920, 5, 32940, 35), (30, 20)) == 200).all()


@pytest.mark.parametrize(
    "corners",
    [
        np.full((4, 2), 7.0),
        np.full((4, 2), np.nan),
        np.full((4, 2), np.inf),
        rectangle(1, 1, 1, 50),
        rectangle(-900, -900, -800, -700),
        1e9 * rectangle(1, 1, 2, 3),
        np.array(((0, 0), (10, 10), (10, 0), (0, 10)), float),
    ],
)
def test_what_cannot_be_cut_is_grey(corners: np.ndarray) -> None:
    assert (upright_crop(noise(), corners, (30, 20)) == 96).all()


@settings(deadline=None, max_examples=40)
@given(st.tuples(st.integers(1, 70), st.integers(1, 70)), st.lists(st.floats(-300, 300), min_size=8, max_size=8))
def test_any_quadrilateral_of_any_picture_can_be_cut_and_drawn(size: tuple[int, int], numbers: list[float]) -> None:
    corners = np.array(numbers).reshape(4, 2)
    assert upright_crop(noise(*size), corners).shape == (CELL_HEIGHT, CELL_WIDTH, 3)
    box = np.array([[min(numbers), min(numbers), max(numbers), max(numbers)]])
    found = Detected(box, np.ones(1), np.zeros(1), corners[None], np.stack([corners] * 3)[None], np.ones((1, 3)))
    assert draw_poses(noise(*size), found).shape == (*size, 3)
    assert crops_panel(noise(*size), found, fixed=False).size


@pytest.mark.parametrize("columns", [1, 2])
def test_a_sheet_has_one_size_however_many_people(columns: int) -> None:
    found = people(5, 8)
    strips = person_strips(noise(), found, [f"{i} 0.50" for i in range(5)])
    sheets = [crop_sheet(strips[:n], columns, rows=3) for n in (0, 1, 3, 5)]
    assert len({sheet.shape for sheet in sheets}) == 1
    assert len({strip.shape for strip in strips}) == 1
    full = crop_sheet(strips)
    assert full.shape[0] == HEADING + 5 * STRIP_HEIGHT
    np.testing.assert_array_equal(full[-STRIP_HEIGHT:][: strips[4].shape[0], : strips[4].shape[1]], strips[4])


def test_hidden_parts_are_dim() -> None:
    image = np.full((60, 80, 3), 200, np.uint8)
    found = people(1)
    found.seen[0] = (0.9, 0.1, 0.9)
    (strip,) = person_strips(image, found, ["1"])
    head, torso, legs = (strip[20:90, -(3 - i) * (CELL_WIDTH + 4) + 10 :][:, :50].mean() for i in range(3))
    assert head == legs > 2 * torso


def test_a_video_beside_has_one_size_whatever_is_found() -> None:
    image = noise(61, 81)
    everyone, nobody = people(9, 8), people(9, 8).above(0.95)
    panels = [crops_panel(image, found, fixed=True) for found in (everyone, nobody)]
    assert panels[0].shape == panels[1].shape
    assert panels[0].shape[0] % 2 == panels[0].shape[1] % 2 == 0
    assert crops_panel(image, everyone, fixed=False).shape[0] > panels[0].shape[0], "all nine in a picture"


def test_the_arrow_points_where_the_head_is() -> None:
    """Upside down the tip lies below the person."""
    for turned in (False, True):
        image = np.zeros((300, 200, 3), np.uint8)
        whole = rectangle(80, 80, 120, 220)
        whole = whole[[2, 3, 0, 1]] if turned else whole
        box = np.array([[80.0, 80, 120, 220]])
        found = Detected(box, np.ones(1), np.zeros(1), whole[None], np.full((1, 3, 4, 2), 150.0), np.ones((1, 3)))
        pale = np.argwhere((draw_poses(image, found, [""]) > 180).all(axis=2))
        above, below = 80 - pale[:, 0].min(), pale[:, 0].max() - 220
        assert (below > 5 > above) if turned else (above > 5 > below)


def test_small_people_get_no_parts() -> None:
    for size, drawn in ((10, False), (40, True)):
        image = np.zeros((120, 90, 3), np.uint8)
        blue = draw_poses(image, people(1, size), [""])
        assert bool(((blue[..., 2] > 200) & (blue[..., 0] < 120)).any()) == drawn


def test_hidden_parts_are_not_filled() -> None:
    image = np.zeros((120, 90, 3), np.uint8)
    found = people(1, 40)
    found.parts[0, 2] = rectangle(60, 90, 84, 114)
    filled = []
    for share in (0.9, 0.1):
        found.seen[0, 2] = share
        filled.append(draw_poses(image, found, [""])[95:110, 65:80].max())
    assert filled[0] > 30
    assert filled[1] == 0


def test_detections_without_a_pose_are_not_drawn_as_if_they_had_one() -> None:
    plain = Detected(np.zeros((1, 4)), np.ones(1))
    with pytest.raises(ValueError, match="no pose"):
        draw_poses(noise(), plain)
    with pytest.raises(ValueError, match="no pose"):
        pose_of(plain)


def test_nobody_found_leaves_the_picture() -> None:
    image = noise()
    nobody = people(2).above(1.0)
    np.testing.assert_array_equal(draw_poses(image, nobody), image)
    assert not math.isnan(crops_panel(image, nobody, fixed=False).mean())
