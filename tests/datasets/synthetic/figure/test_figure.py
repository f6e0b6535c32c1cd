"""Figures: none is cut off by its canvas, all stand on the ground, and a lean is measured clockwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from upright.datasets.synthetic.drawing.canvas import Light
from upright.datasets.synthetic.figure import body_height, build_skeleton, draw_figure_at_random, render_figure
from upright.datasets.synthetic.figure.poses import POSES, SELDOM_POSES, Posture

LIGHT = Light((-0.5, 0.5, 0.7), 0.4, 0.6, (0.5, 0.1))


def _border(mask: np.ndarray) -> np.ndarray:
    return np.concatenate((mask[0], mask[-1], mask[:, 0], mask[:, -1]))


@pytest.mark.parametrize("pose", POSES + SELDOM_POSES)
def test_no_figure_is_cut_by_its_canvas(pose):
    for seed in range(40):
        figure = draw_figure_at_random(np.random.default_rng(seed), pose)
        sprite = render_figure(build_skeleton(figure), 60.0, (100.0, 200.0), LIGHT, coloured=False)
        assert not _border(sprite.alpha).any(), f"{pose} {seed}"


@pytest.mark.parametrize("pose", POSES + SELDOM_POSES)
def test_colours_do_not_change_the_masks(pose):
    figure = draw_figure_at_random(np.random.default_rng(3), pose)
    skeleton = build_skeleton(figure)
    one = render_figure(skeleton, 75.0, (50.3, 80.7), LIGHT, coloured=True)
    other = render_figure(skeleton, 75.0, (50.3, 80.7), LIGHT, coloured=False)
    assert other.colour is None
    for name in ("alpha", "full", "seen"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert not one.colour[one.alpha == 0].any()


@pytest.mark.parametrize("pose", POSES + SELDOM_POSES)
def test_the_expected_height_is_that_of_the_mask(pose):
    for seed in range(12):
        figure = draw_figure_at_random(np.random.default_rng(seed), pose)
        skeleton = build_skeleton(figure)
        sprite = render_figure(skeleton, 100.0, (0.0, 0.0), LIGHT, coloured=False)
        rows = np.nonzero(sprite.full.any(axis=1))[0]
        assert rows[-1] - rows[0] + 1 == pytest.approx(100 * body_height(skeleton), rel=0.1, abs=3)


def test_everybody_stands_on_the_ground():
    for pose in (*POSES, "lying", "sitting_low"):
        for seed in range(8):
            figure = draw_figure_at_random(np.random.default_rng(seed), pose)
            sprite = render_figure(build_skeleton(figure), 100.0, (0.0, 0.0), LIGHT, coloured=False)
            lowest = np.nonzero((sprite.alpha >= 128).any(axis=1))[0][-1] + sprite.top
            assert -8 <= lowest <= 8, f"{pose} {seed}"


@pytest.mark.parametrize("roll", [-45.0, -20.0, 30.0, 45.0])
def test_lean_is_positive_clockwise(roll):
    figure = draw_figure_at_random(np.random.default_rng(5), "standing")
    posture = Posture(trunk=0.0, nod=0.0)
    look = replace(figure.look, bag="none", umbrella=False)
    skeleton = build_skeleton(replace(figure, look=look, posture=posture, yaw=0.0, roll=roll))
    assert skeleton.lean == pytest.approx(roll, abs=1e-6)
    mask = render_figure(skeleton, 100.0, (0.0, 0.0), LIGHT, coloured=False).full
    rows, columns = np.nonzero(mask)
    head = columns[rows < rows.min() + 15].mean()
    feet = columns[rows > rows.max() - 15].mean()
    assert np.sign(head - feet) == np.sign(roll)
