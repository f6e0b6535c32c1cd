"""Distortions do what they say, and pictures follow from the seed and the step alone."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import map_coordinates
from torch import Tensor

from upright.experiments.digits.distortions import ADDITION, DISTORTIONS, elastic, placed, projected, rotated
from upright.experiments.digits.mnist import Digits


def smooth_pictures(count: int) -> np.ndarray:
    """Blobs in the middle of 28 x 28, which interpolate alike everywhere."""
    draw = np.random.default_rng(7)
    pictures = np.zeros((count, 28, 28))
    pictures[:, 6:22, 6:22] = draw.random((count, 16, 16))
    return np.stack([cv2.GaussianBlur(picture, (0, 0), 1.5) for picture in pictures])


def as_tensor(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(pictures).float()[:, None]


def read_at(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A picture at points (..., 2) in pixels, x first, black around."""
    return map_coordinates(picture, [points[..., 1], points[..., 0]], order=1)


def test_rotations_turn_about_the_middle() -> None:
    pictures = smooth_pictures(6)
    made = rotated(as_tensor(pictures), np.random.default_rng(1))
    degrees = np.degrees(np.random.default_rng(1).uniform(-np.pi / 2, np.pi / 2, 6))
    for picture, angle, one in zip(pictures, degrees, made, strict=True):
        expected = cv2.warpAffine(picture, cv2.getRotationMatrix2D((13.5, 13.5), angle, 1), (28, 28))
        np.testing.assert_allclose(one[0].numpy(), expected, atol=0.02)  # OpenCV rounds to a 32nd of a pixel


def test_placed_digits_are_scaled_turned_and_moved() -> None:
    pictures = smooth_pictures(6)
    made = placed(as_tensor(pictures), np.random.default_rng(1))
    draw = np.random.default_rng(1)
    angle, scale = draw.uniform(-np.pi / 4, np.pi / 4, 6), draw.uniform(0.7, 1.2, 6)
    free = 42 - 28 * scale  # pixels that the frame can move
    x, y = draw.uniform(-1, 1, (2, 6)) * free / 2
    for index in range(6):
        matrix = cv2.getRotationMatrix2D((13.5, 13.5), np.degrees(angle[index]), scale[index])
        matrix[:, 2] += 20.5 - 13.5 + np.array([x[index], y[index]])
        expected = cv2.warpAffine(pictures[index], matrix, (42, 42))
        np.testing.assert_allclose(made[index, 0].numpy(), expected, atol=0.02)


def test_projections_move_the_corners_along_their_diagonals() -> None:
    pictures = smooth_pictures(6)
    made = projected(as_tensor(pictures), np.random.default_rng(1))
    draw = np.random.default_rng(1)
    scale, moves = 1 - draw.uniform(0, 0.25, (6, 1)), draw.normal(0, 5 / np.hypot(14, 14), (6, 4)) * np.hypot(14, 14)
    corners = np.array([[-0.5, -0.5], [27.5, -0.5], [27.5, 27.5], [-0.5, 27.5]])
    outwards = (corners - 13.5) / np.hypot(14, 14)
    for index in range(6):
        moved = 13.5 + (corners - 13.5) * scale[index] + outwards * moves[index, :, None]
        homography = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
        expected = cv2.warpPerspective(pictures[index], homography, (28, 28))
        np.testing.assert_allclose(made[index, 0].numpy(), expected, atol=0.03)


def test_elastic_distortions_move_sixteen_control_points() -> None:
    pictures = smooth_pictures(3)
    made = elastic(as_tensor(pictures), np.random.default_rng(1))
    moves = np.random.default_rng(1).normal(0, 1.5, (3, 4, 4, 2))  # pixels
    line = np.linspace(-0.5, 27.5, 4)
    controls = np.stack(np.meshgrid(line, line), axis=-1)
    pixels = np.stack(np.meshgrid(np.arange(28.0), np.arange(28.0)), axis=-1)
    for index in range(3):
        spline = RBFInterpolator(controls.reshape(16, 2), (controls + moves[index]).reshape(16, 2))
        expected = read_at(pictures[index], spline(pixels.reshape(-1, 2)).reshape(28, 28, 2))
        np.testing.assert_allclose(made[index, 0].numpy(), expected, atol=1e-3)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_without_strength_nothing_is_distorted(name: str) -> None:
    task, pictures = DISTORTIONS[name], as_tensor(smooth_pictures(3))
    margin = (task.side - 28) // 2
    expected = torch.nn.functional.pad(pictures, [margin] * 4)
    torch.testing.assert_close(task.distort(pictures, np.random.default_rng(0), 0.0), expected, atol=1e-5, rtol=0)


def test_a_batch_follows_from_its_seed_and_step(few_digits: Digits) -> None:
    for task in (*DISTORTIONS.values(), ADDITION):
        pictures, classes = task.batch(few_digits, 8, seed=1, step=2, strength=0.5)
        again, _ = task.batch(few_digits, 8, seed=1, step=2, strength=0.5)
        others = [task.batch(few_digits, 8, seed=2, step=2, strength=0.5), task.batch(few_digits, 8, 1, 3, 0.5)]
        assert pictures.shape == (8, *task.size)
        assert torch.equal(pictures, again)
        assert not any(torch.equal(pictures, other) for other, _ in others)
        assert classes.max() < task.classes


def test_addition_sums_two_digits_distorted_apart(few_digits: Digits) -> None:
    chosen = torch.tensor([[9, 9], [3, 4], [0, 0]])
    pictures, classes = ADDITION.make(few_digits, chosen, np.random.default_rng(0))
    assert classes.tolist() == [18, 7, 0]
    assert ADDITION.classes == 19
    assert not torch.allclose(pictures[0, 0], pictures[0, 1], atol=0.1)  # one digit twice, placed apart


def test_the_test_set_has_each_digit_once_in_every_channel_and_stays(few_digits: Digits) -> None:
    once = (few_digits.pictures / 255).flatten(1).unique(dim=0)
    for task in (*DISTORTIONS.values(), ADDITION):
        assert torch.equal(task.test(few_digits)[0], task.test(few_digits)[0])
        pictures, _ = replace(task, distort=lambda pictures, *_: pictures).test(few_digits)
        for channel in pictures.unbind(1):
            assert torch.equal(channel.flatten(1).unique(dim=0), once)
