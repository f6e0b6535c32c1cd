"""Crops show what they should, and splits are read into one file of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from upright.errors import InputError
from upright.experiments.house_numbers.crops import crop, read_splits, window
from upright.experiments.house_numbers.digit_struct import HouseNumber, write_annotations


def test_the_window_is_the_box_around_all_digits_grown_by_30_percent() -> None:
    boxes = np.array([[10.0, 20, 10, 20], [30, 16, 10, 20]])  # together 10 to 40 and 16 to 40
    assert window(boxes, 64) == pytest.approx((5.5, 12.4, 44.5, 43.6))
    assert window(boxes, 128) == pytest.approx((-14.0, -3.2, 64.0, 59.2))


def test_a_crop_shows_its_window_and_repeats_the_edge_beyond_the_picture() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    side = 64 / 1.3  # grown to 64 pixels, from 12 on and from 18 on
    inside = np.array([[12 + 64 * 0.15 / 1.3, 18 + 64 * 0.15 / 1.3, side, side]])
    np.testing.assert_array_equal(crop(picture, inside, 64), picture[18:82, 12:76])
    beyond = inside - [[32, 48, 0, 0]]
    padded = np.pad(picture, ((30, 0), (20, 0), (0, 0)), mode="edge")
    np.testing.assert_array_equal(crop(picture, beyond, 64), padded[:64, :64])


def test_wide_numbers_are_squeezed_to_a_square() -> None:
    picture = np.zeros((40, 300, 3), np.uint8)
    picture[:, 150:] = 200  # the middle of the window
    squeezed = crop(picture, np.array([[100.0, 10, 50, 20], [150, 10, 50, 20]]), 64)
    assert (squeezed[:, :31] == 0).all()
    assert (squeezed[:, 33:] == 200).all()


def test_splits_are_joined_and_numbers_of_no_or_six_digits_left_out(tmp_path: Path, numbers: list[HouseNumber]) -> None:
    shades = {}
    for split, chosen in (("train", numbers), ("extra", numbers[1:2])):
        write_annotations(tmp_path / split / "digitStruct.mat", chosen)
        for index, number in enumerate(chosen):
            shades[split, number.name] = 20 * index + (100 if split == "extra" else 0)
            picture = np.full((50, 60, 3), shades[split, number.name], np.uint8)
            cv2.imwrite(str(tmp_path / split / number.name), picture)
    found = read_splits([tmp_path / "train", tmp_path / "extra"], 32, tmp_path / "crops.npy")
    none = 10
    assert found["labels"] == [
        [0, none, none, none, none],
        [1, 0, 9, none, none],
        [2, 3, 4, 5, 6],
        [0, none, none, none, none],
    ]
    assert found["left_out"] == 2
    crops = np.load(tmp_path / "crops.npy")
    assert crops.shape == (4, 32, 32, 3)
    assert crops[:, 0, 0, 0].tolist() == [20, 40, 60, 100]

    (tmp_path / "extra" / "2.png").unlink()
    with pytest.raises(InputError, match=r"extra/2\.png"):
        read_splits([tmp_path / "train", tmp_path / "extra"], 32, tmp_path / "other.npy")
    assert not (tmp_path / "other.npy").exists()
