"""The joints of a figure that stands on the ground, in the frame of the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, radians

import numpy as np

from upright.datasets.synthetic.figure.figure import Figure
from upright.datasets.synthetic.figure.poses import INDEX, joints, project


@dataclass(frozen=True)
class Skeleton:
    """Joints in the picture's frame (right, up, near), metres from the point on the ground under the person."""

    points: np.ndarray
    ground: float
    figure: Figure

    def __getitem__(self, name: str) -> np.ndarray:
        return self.points[INDEX[name]]

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points of the body's frame (pelvis at the origin) as the joints are."""
        raised = points - (0.0, self.ground, 0.0)
        return project(raised, self.figure.yaw, self.figure.roll)

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
    if figure.pose == "cycling":
        ground = -0.54 * body.stature
    else:
        feet = [INDEX[f"{part}_{side}"] for part in ("heel", "toe") for side in "lr"]
        ground = float(points[feet, 1].min()) - 0.012 * body.stature
    skeleton = Skeleton(points, ground, figure)
    placed = skeleton.place(points)
    if figure.pose != "cycling":
        # Rolled to one side, the lower foot stays on the ground.
        sunk = float(placed[feet, 1].min()) - 0.012 * body.stature
        ground += sunk / cos(radians(figure.roll))
        skeleton = Skeleton(points, ground, figure)
        placed = skeleton.place(points)
    return replace(skeleton, points=placed)


def body_height(skeleton: Skeleton) -> float:
    """Height in metres of what the full box will hold, to about a percent."""
    body = skeleton.figure.look.body
    crown = max(skeleton["crown"][1] + 0.008 * body.stature, *(skeleton[f"hand_{s}"][1] for s in "lr"))
    feet = min(skeleton[f"{part}_{side}"][1] for part in ("heel", "toe") for side in "lr")
    return float(crown - feet + 0.012 * body.stature)
