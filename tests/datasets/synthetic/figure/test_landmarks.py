"""Joints of rendered people: COCO's order, left and right, what the body hides, where the pixels are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from upright.datasets.joints import JOINT_NAMES
from upright.datasets.synthetic.composition import compose
from upright.datasets.synthetic.figure import build_skeleton, draw_figure_at_random
from upright.datasets.synthetic.figure.landmarks import landmarks
from upright.datasets.synthetic.figure.poses import Posture
from upright.datasets.synthetic.population import Placed
from upright.datasets.synthetic.scene import Series, generator
from upright.datasets.synthetic.street.furniture import Prop
from upright.datasets.synthetic.street.view import draw_view

LEFT = [i for i, name in enumerate(JOINT_NAMES) if name.startswith("left")]
RIGHT = [i for i, name in enumerate(JOINT_NAMES) if name.startswith("right")]


def standing(yaw: float):
    figure = draw_figure_at_random(np.random.default_rng(5), "standing")
    look = replace(figure.look, bag="none", umbrella=False)
    return replace(figure, look=look, posture=Posture(trunk=0.0, nod=0.0), yaw=yaw, roll=0.0)


def test_who_faces_the_camera_has_the_left_on_the_right_and_who_turns_away_on_the_left() -> None:
    toward, _ = landmarks(build_skeleton(standing(0.0)))
    away, _ = landmarks(build_skeleton(standing(180.0)))
    assert (toward[LEFT, 0] > toward[RIGHT, 0]).all()
    assert (away[LEFT, 0] < away[RIGHT, 0]).all()
    heights = {name: toward[i, 1] for i, name in enumerate(JOINT_NAMES)}
    order = ["left_eye", "nose", "left_shoulder", "left_elbow", "left_hip", "left_knee", "left_ankle"]
    assert [heights[name] for name in order] == sorted((heights[name] for name in order), reverse=True)


@pytest.mark.parametrize(
    ("yaw", "hidden"),
    [
        (0.0, set()),
        (180.0, {"nose", "left_eye", "right_eye"}),
        (90.0, {"left_eye", "left_ear", "left_elbow"}),
        (270.0, {"right_eye", "right_ear", "right_elbow"}),
    ],
)
def test_the_body_hides_what_is_behind_it(yaw: float, hidden: set[str]) -> None:
    _, behind = landmarks(build_skeleton(standing(yaw)))
    found = {name for name, flag in zip(JOINT_NAMES, behind, strict=True) if flag}
    assert hidden <= found
    face_and_arms = {name for name in found if name.split("_")[-1] in ("nose", "eye", "ear", "elbow")}
    assert face_and_arms == hidden


def test_joints_behind_a_thing_are_hidden_and_those_outside_the_picture_are_not_labelled() -> None:
    view = replace(draw_view(generator(0, 0, 0), (640, 480)), horizon=180.0, camera=1.6, focal=600.0, cx=320.0)
    person = Placed(standing(0.0), view.scale(9.0), view.foot(0.0, 9.0), 9.0, "person")
    car = Placed(Prop("car_side", 0, False), view.scale(7.0), view.foot(0.0, 7.0), 7.0)
    free, behind = (compose(view, placed)[1].joints[0] for placed in ([person], [person, car]))
    assert (free[:, 2] == 2).all()
    assert (behind[:, :2] == free[:, :2]).all()
    assert behind[0, 2] == 2
    assert (behind[15:, 2] == 1).all()
    cut = compose(view, [replace(person, foot=(320.0, 520.0))])[1].joints[0]
    assert cut[0, 2] == 2
    assert not cut[15:].any()


@pytest.mark.parametrize("index", range(5))
def test_joints_lie_in_their_box_and_seen_ones_on_their_own_pixels(index: int) -> None:
    view, placed, roll = Series(4, roll=180.0 * (index % 2), poses="all").describe(index)
    owner, boxes = compose(view, placed, roll=roll)
    for row, (joints, label, full) in enumerate(zip(boxes.joints, boxes.label, boxes.full, strict=True), start=1):
        if label != "person":
            assert not joints.any()
            continue
        labelled = joints[joints[:, 2] > 0]
        assert (labelled[:, :2] >= np.array(full[:2]) - 2).all()
        assert (labelled[:, :2] <= np.array(full[2:]) + 2).all()
        for x, y, v in labelled:
            i, j = int(y), int(x)
            own = (owner[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2] == row).any()
            assert own or v == 1
