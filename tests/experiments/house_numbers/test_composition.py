"""Composed house numbers: the same for the same seed, with ink where the boxes are, in SVHN's format."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from upright.errors import InputError
from upright.experiments.digits.mnist import Digits
from upright.experiments.house_numbers.composition import (
    FONTS,
    annotated,
    compose,
    compose_split,
    handwritten,
    hull,
    paint,
    printed,
)
from upright.experiments.house_numbers.digit_struct import read_annotations


@pytest.fixture
def handwriting() -> Digits:
    """Bars instead of digits: digit d is 4 + d pixels wide."""
    pictures = torch.zeros(10, 1, 28, 28, dtype=torch.uint8)
    for digit in range(10):
        pictures[digit, 0, 4:24, 8 : 12 + digit] = 255
    return Digits(pictures, torch.arange(10))


def holes(ink: np.ndarray) -> int:
    background = np.pad(ink < 0.7, 1, constant_values=True).astype(np.uint8)
    return cv2.connectedComponents(background, connectivity=4)[0] - 2  # less the ink and what is around it


@pytest.mark.parametrize("font", FONTS)
def test_printed_digits_have_their_holes_and_fill_their_height(font: str) -> None:
    expected = {"1": 0, "2": 0, "3": 0, "5": 0, "6": 1, "7": 0, "8": 2, "9": 1}
    assert {digit: holes(printed(digit, font)) for digit in expected} == expected
    ink = printed("8", font) > 0.5
    assert ink.any(1)[1:-1].all()
    assert ink.any(0)[1:-1].all()


def test_handwritten_digits_are_cut_to_their_ink(handwriting: Digits) -> None:
    ink = handwritten(handwriting.pictures[3, 0].numpy())
    assert ink.shape == (48, round(7 * 48 / 20))
    assert ink.min() > 0.9


def test_ink_is_painted_where_its_hull_says() -> None:
    glyph = printed("4", "DejaVuSans-Bold")
    turn = np.radians(25)
    matrix = np.array([[np.cos(turn), -np.sin(turn), 40], [np.sin(turn), np.cos(turn), 12], [0.001, 0.002, 1]])
    canvas = np.zeros((90, 110), np.float32)
    paint(canvas, glyph, matrix)
    y, x = np.nonzero(canvas > 0.4)
    points = hull(glyph, matrix)
    np.testing.assert_allclose(points.min(0), [x.min() + 0.5, y.min() + 0.5], atol=1)
    np.testing.assert_allclose(points.max(0), [x.max() + 0.5, y.max() + 0.5], atol=1)


def test_boxes_surround_the_ink_but_for_the_annotators_errors() -> None:
    rng = np.random.default_rng(0)
    square = np.array([[0.0, 0], [40, 0], [40, 100], [0, 100]])
    boxes = np.concatenate([annotated(rng, [square], np.array([10.0, 20])) for _ in range(400)])
    right, bottom = boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]
    sides = np.stack([boxes[:, 0], boxes[:, 1], right, bottom])
    np.testing.assert_allclose(sides.mean(1), [10, 20, 50, 120], atol=1.5)
    np.testing.assert_allclose(sides.std(1), 6, atol=1)  # 6 % of 100 pixels


def test_a_number_follows_from_its_seed_alone(handwriting: Digits) -> None:
    pictures, labels = handwriting.pictures[:, 0].numpy(), handwriting.labels.numpy()
    first, again, other = (compose(np.random.default_rng(seed), pictures, labels) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert first[2] == again[2]
    assert first[0].shape != other[0].shape or (first[0] != other[0]).any()


def test_a_split_is_read_again_with_its_digits_in_reading_order(tmp_path: Path, handwriting: Digits) -> None:
    folder = tmp_path / "train"
    compose_split(folder, 40, handwriting, seed=0)
    numbers = read_annotations(folder / "digitStruct.mat")
    assert [number.name for number in numbers] == [f"{i + 1}.png" for i in range(40)]
    assert {len(number.digits) for number in numbers} >= {1, 2, 3}
    for number in numbers:
        height, width, _ = cv2.imread(str(folder / number.name)).shape
        centres = number.boxes[:, :2] + number.boxes[:, 2:] / 2
        assert (centres > 0).all()
        assert (centres < [width, height]).all()
        assert (np.diff(centres[:, 0]) > 0).all()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, handwriting: Digits) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/train: cannot be written .* choose another --made"):
        compose_split(tmp_path / "file" / "train", 1, handwriting, seed=0)
