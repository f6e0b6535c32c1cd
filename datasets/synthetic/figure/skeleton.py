"""The joints of a figure that stands on the ground, in the frame of the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, radians

import numpy as np

from upright.datasets.synthetic.figure.figure import Figure
from upright.datasets.synthetic.figure.poses import INDEX, JOINTS, SELDOM_POSES, joints, project

SEATED = 0.08  # of the stature: how far the body reaches down from the pelvis where it sits on the ground


@dataclass(frozen=True)
class Skeleton:
    """Joints in the picture's frame (right, up, near), metres from the point on the ground under the person.

    Attributes:
        points: (n, 3), in the order of `poses.JOINTS`.
        ground: height of the ground in the body's frame.
        figure: the person.
        shift: right and up, from where the roll about the foot leaves the body to where it is.
    """

    points: np.ndarray
    ground: float
    figure: Figure
    shift: tuple[float, float] = (0.0, 0.0)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.points[INDEX[name]]

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points of the body's frame (pelvis at the origin) as the joints are."""
        raised = points - (0.0, self.ground, 0.0)
        return project(raised, self.figure.yaw, self.figure.roll) + np.array((*self.shift, 0.0))

    @property
    def lean(self) -> float:
        """Angle of the trunk, pelvis to neck, from the vertical in the picture: degrees, positive clockwise."""
        right, up, _ = self["neck"] - self["pelvis"]
        return float(np.degrees(np.arctan2(right, up)))

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top that body and belongings stay inside."""
        margin = 0.15 * self.figure.look.body.stature
        low, high = self.points.min(axis=0) - margin, self.points.max(axis=0) + margin
        return (low[0], low[1], high[0], high[1])


def build_skeleton(figure: Figure) -> Skeleton:
    """Joints of the figure, standing on the ground at the origin."""
    body = figure.look.body
    points = joints(figure.posture, body)
    if figure.pose == "lying":
        return _lain_down(Skeleton(points, 0.0, figure))
    if figure.pose == "cycling":
        ground = -0.54 * body.stature
    else:
        feet = [INDEX[f"{part}_{side}"] for part in ("heel", "toe") for side in "lr"]
        ground = float(points[feet, 1].min()) - 0.012 * body.stature
    if figure.pose == "sitting_low":
        ground = min(ground, -SEATED * body.stature)
        skeleton = Skeleton(points, ground, figure)
        return replace(skeleton, points=skeleton.place(points))
    skeleton = Skeleton(points, ground, figure)
    placed = skeleton.place(points)
    if figure.pose != "cycling":
        # Rolled to one side, the lower foot stays on the ground.
        sunk = float(placed[feet, 1].min()) - 0.012 * body.stature
        ground += sunk / cos(radians(figure.roll))
        skeleton = Skeleton(points, ground, figure, (0.0, figure.raised))
        placed = skeleton.place(points)
    return replace(skeleton, points=placed)


def _lain_down(skeleton: Skeleton) -> Skeleton:
    """The body turned by its roll, its lowest part on the ground, its middle over the foot."""
    placed = skeleton.place(skeleton.points)
    low, high = placed[:, 0].min(), placed[:, 0].max()
    shift = (-0.5 * float(low + high), -float((placed[:, 1] - _radii(skeleton)).min()))
    moved = replace(skeleton, shift=shift)
    return replace(moved, points=moved.place(skeleton.points))


def _radii(skeleton: Skeleton) -> np.ndarray:
    """How far the body reaches round each joint, metres. (n,)"""
    body = skeleton.figure.look.body
    radii = np.full(len(JOINTS), 0.03 * body.stature)
    radii[[INDEX[name] for name in ("pelvis", "waist", "chest")]] = 0.08 * body.girth
    radii[INDEX["head"]] = 0.42 * body.head
    return radii


def body_height(skeleton: Skeleton) -> float:
    """Height in metres of what the full box will hold, to about a percent, of people on the ground to a tenth."""
    body = skeleton.figure.look.body
    if skeleton.figure.pose == "lying":
        radii = _radii(skeleton)
        return float((skeleton.points[:, 1] + radii).max() - (skeleton.points[:, 1] - radii).min())
    crown = max(skeleton["crown"][1] + 0.008 * body.stature, *(skeleton[f"hand_{s}"][1] for s in "lr"))
    feet = min(skeleton[f"{part}_{side}"][1] for part in ("heel", "toe") for side in "lr")
    if skeleton.figure.pose == "sitting_low":
        feet = min(feet, skeleton["pelvis"][1] - (SEATED - 0.012) * body.stature)
    return float(crown - feet + 0.012 * body.stature)


def body_length(skeleton: Skeleton) -> float:
    """Height in metres, or the width of those of the seldom poses who are wider than high."""
    height, across = body_height(skeleton), skeleton.points[:, 0]
    return max(height, float(across.max() - across.min())) if skeleton.figure.pose in SELDOM_POSES else height
