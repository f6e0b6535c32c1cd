"""Poses: angles mean what they say, and limbs keep their length."""

from __future__ import annotations

import numpy as np
import pytest

from upright.datasets.synthetic.figure.poses import INDEX, POSES, SELDOM_POSES, Posture, joints, project, proportions
from upright.datasets.synthetic.figure.postures import draw_posture


def test_facing_right_bends_the_trunk_to_the_right():
    body = proportions(1.75, 1.0, 0.0)
    points = project(joints(Posture(trunk=30.0), body), 90.0, 0.0)
    pelvis, neck = points[0], points[3]
    assert neck[0] - pelvis[0] == pytest.approx(body.trunk * np.sin(np.radians(30)), abs=1e-9)
    assert neck[1] - pelvis[1] == pytest.approx(body.trunk * np.cos(np.radians(30)), abs=1e-9)


def test_limbs_keep_their_length_in_every_pose():
    rng = np.random.default_rng(0)
    for pose in POSES + SELDOM_POSES:
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
