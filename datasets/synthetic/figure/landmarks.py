"""The joints of a rendered person in COCO's order, and which of them the person's own body hides."""

from __future__ import annotations

from math import cos, hypot, radians, sin

import numpy as np

from upright.datasets.joints import JOINT_NAMES
from upright.datasets.synthetic.figure.skeleton import Skeleton

# Places on the head, to the person's left, up and forward from its centre, as shares of its height: where `head.py`
# draws the face.
_HEAD = {
    "nose": (0.0, -0.1, 0.41),
    "left_eye": (0.14, 0.03, 0.32),
    "right_eye": (-0.14, 0.03, 0.32),
    "left_ear": (0.36, -0.02, 0.0),
    "right_ear": (-0.36, -0.02, 0.0),
}
_TURNED_AWAY = -0.12  # of the head's height, away from the camera: the skull hides what lies farther back

# What hides joints behind it: from where to where, and its radius as a share of the girth.
_LIMBS = (
    ("pelvis", "neck", 0.085),
    *((f"{a}_{side}", f"{b}_{side}", radius) for side in "lr" for a, b, radius in (
        ("shoulder", "elbow", 0.03),
        ("elbow", "wrist", 0.022),
        ("hip", "knee", 0.045),
        ("knee", "ankle", 0.028),
    )),
)  # fmt: skip
_NAMES = [name if name in _HEAD else f"{name.split('_')[1]}_{name[0]}" for name in JOINT_NAMES]


def landmarks(skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """The joints and what the person's own body hides.

    Returns:
        float64 (17, 3): right, up, near in metres from the foot, in COCO's order; bool (17,): hidden by the body.
    """
    head, turned_away = _head(skeleton)
    body = [skeleton[name] for name in _NAMES[len(_HEAD) :]]
    points = np.concatenate([head, np.array(body)])
    return points, np.concatenate([turned_away, _behind_a_limb(skeleton, np.array(body))])


def _head(skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Nose, eyes and ears (5, 3), and which of them are turned away (5,)."""
    chin, crown = skeleton["chin"], skeleton["crown"]
    reach = crown[:2] - chin[:2]
    axis = reach / max(hypot(*reach), 1e-3)
    turn, size = radians(skeleton.figure.yaw), skeleton.figure.look.body.head
    lateral, up, forward = np.array(list(_HEAD.values())).T
    right = lateral * cos(turn) + forward * sin(turn)
    near = forward * cos(turn) - lateral * sin(turn)
    centre = 0.5 * (chin + crown)
    plane = centre[:2] + size * (right[:, None] * (axis[1], -axis[0]) + up[:, None] * axis)
    return np.concatenate([plane, centre[2] + size * near[:, None]], axis=1), near < _TURNED_AWAY


def _behind_a_limb(skeleton: Skeleton, points: np.ndarray) -> np.ndarray:
    """Which of the joints (n, 3), those from the shoulders on, have a limb that they do not belong to before them."""
    girth = skeleton.figure.look.body.girth
    hidden = np.zeros(len(points), bool)
    names = _NAMES[len(_HEAD) :]
    for start, end, share in _LIMBS:
        a, b = skeleton[start], skeleton[end]
        along = b[:2] - a[:2]
        part = np.clip((points[:, :2] - a[:2]) @ along / max(float(along @ along), 1e-6), 0, 1)
        nearest = a + part[:, None] * (b - a)
        radius = share * girth
        covered = np.hypot(*(points[:, :2] - nearest[:, :2]).T) < radius
        own = [name in (start, end) or (start == "pelvis" and name[:3] in ("sho", "hip")) for name in names]
        hidden |= covered & (points[:, 2] < nearest[:, 2] - 0.5 * radius) & ~np.array(own)
    return hidden
