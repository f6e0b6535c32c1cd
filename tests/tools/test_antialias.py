"""The measured worth of several samples a bin: the reference is the area's mean, and the error falls towards it."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from upright.tools import antialias


def test_a_straight_crop_with_a_sample_a_pixel_is_the_mean_of_its_pixels() -> None:
    picture = torch.rand(1, 3, 300, 400) * 255
    scale = 4
    side = antialias.BINS * scale
    theta = antialias.window((40 + side / 2, 60 + side / 2), side, 0.0, (300, 400))[None]
    expected = functional.avg_pool2d(picture[:, :, 60 : 60 + side, 40 : 40 + side], scale)
    torch.testing.assert_close(antialias.read(picture, theta, scale), expected, rtol=0, atol=1e-2)


def test_a_quarter_turn_turns_the_crop() -> None:
    picture = torch.rand(1, 1, 200, 260)
    straight = antialias.window((130, 100), 64, 0.0, (200, 260))[None]
    turned = antialias.window((130, 100), 64, math.pi / 2, (200, 260))[None]
    expected = antialias.read(picture, straight, 2).rot90(1, (2, 3))
    torch.testing.assert_close(antialias.read(picture, turned, 2), expected, rtol=0, atol=1e-3)


def test_crops_lie_inside_their_pictures() -> None:
    corners = torch.tensor([[x, y, 1.0] for x in (-1, 1) for y in (-1, 1)])
    for _, theta in antialias.crops(8):
        assert (corners @ theta.view(2, 3).T).abs().max() <= 1


def test_more_samples_come_closer_to_the_mean_of_the_area(monkeypatch) -> None:
    monkeypatch.setattr(antialias, "PICTURES", 2)
    errors = antialias.errors(2)
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] > 0
