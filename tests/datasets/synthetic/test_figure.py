"""Figures and things: nothing is cut off by its canvas, and angles mean what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from upright.datasets.synthetic.canvas import Light
from upright.datasets.synthetic.figure import body_height, build_skeleton, draw_figure_at_random, render_figure
from upright.datasets.synthetic.furniture import KINDS, VARIANTS, Prop, render_prop
from upright.datasets.synthetic.poses import POSES, Posture, joints, project, proportions

LIGHT = Light((-0.5, 0.5, 0.7), 0.4, 0.6, (0.5, 0.1))


def _border(mask: np.ndarray) -> np.ndarray:
    return np.concatenate((mask[0], mask[-1], mask[:, 0], mask[:, -1]))


@pytest.mark.parametrize("pose", POSES)
def test_no_figure_is_cut_by_its_canvas(pose):
    for seed in range(40):
        figure = draw_figure_at_random(np.random.default_rng(seed), pose)
        sprite = render_figure(build_skeleton(figure), 60.0, (100.0, 200.0), LIGHT, coloured=False)
        assert not _border(sprite.alpha).any(), f"{pose} {seed}"


@pytest.mark.parametrize("pose", POSES)
def test_colours_do_not_change_the_masks(pose):
    figure = draw_figure_at_random(np.random.default_rng(3), pose)
    skeleton = build_skeleton(figure)
    one = render_figure(skeleton, 75.0, (50.3, 80.7), LIGHT, coloured=True)
    other = render_figure(skeleton, 75.0, (50.3, 80.7), LIGHT, coloured=False)
    assert other.colour is None
    for name in ("alpha", "full", "seen"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert not one.colour[one.alpha == 0].any()


@pytest.mark.parametrize("pose", POSES)
def test_the_expected_height_is_that_of_the_mask(pose):
    for seed in range(12):
        figure = draw_figure_at_random(np.random.default_rng(seed), pose)
        skeleton = build_skeleton(figure)
        sprite = render_figure(skeleton, 100.0, (0.0, 0.0), LIGHT, coloured=False)
        rows = np.nonzero(sprite.full.any(axis=1))[0]
        assert rows[-1] - rows[0] + 1 == pytest.approx(100 * body_height(skeleton), rel=0.1, abs=3)


def test_everybody_stands_on_the_ground():
    for pose in POSES:
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


def test_facing_right_bends_the_trunk_to_the_right():
    body = proportions(1.75, 1.0, 0.0)
    points = project(joints(Posture(trunk=30.0), body), 90.0, 0.0)
    pelvis, neck = points[0], points[3]
    assert neck[0] - pelvis[0] == pytest.approx(body.trunk * np.sin(np.radians(30)), abs=1e-9)
    assert neck[1] - pelvis[1] == pytest.approx(body.trunk * np.cos(np.radians(30)), abs=1e-9)


def test_limbs_keep_their_length_in_every_pose():
    from upright.datasets.synthetic.poses import INDEX, draw_posture

    rng = np.random.default_rng(0)
    for pose in POSES:
        body = proportions(1.7, 1.0, 0.0)
        points = joints(draw_posture(rng, pose, body), body)
        for side in "lr":
            for a, b, length in (
                ("hip", "knee", body.thigh),
                ("knee", "ankle", body.shin),
                ("shoulder", "elbow", body.upper_arm),
                ("elbow", "wrist", body.forearm),
            ):
                gap = points[INDEX[f"{a}_{side}"]] - points[INDEX[f"{b}_{side}"]]
                assert np.linalg.norm(gap) == pytest.approx(length)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_thing_is_cut_by_its_canvas_and_none_is_a_person(kind):
    for variant in range(VARIANTS):
        sprite = render_prop(Prop(kind, variant, False), KINDS[kind][1] / 2, (0.0, 0.0))
        assert not (_border(sprite.alpha) > 8).any(), variant
        assert (sprite.alpha >= 128).any()
        assert sprite.full is None


def test_a_mirrored_thing_stands_on_the_same_spot():
    one = render_prop(Prop("lamp", 1, False), 40.0, (100.0, 100.0))
    other = render_prop(Prop("lamp", 1, True), 40.0, (100.0, 100.0))
    assert np.array_equal(one.alpha[:, ::-1], other.alpha)
    foot = [s.left + np.nonzero(s.alpha[-8] > 128)[0].mean() for s in (one, other)]
    assert foot[0] == pytest.approx(foot[1], abs=1.5)
