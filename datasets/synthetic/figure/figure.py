"""Who a rendered person is: body, clothes, pose and angles, before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from upright.datasets.synthetic.figure.look import Look, draw_look
from upright.datasets.synthetic.figure.poses import Posture
from upright.datasets.synthetic.figure.postures import draw_posture


@dataclass(frozen=True)
class Figure:
    """All that determines how a person looks, but for place, size and light.

    Attributes:
        look: body and clothes.
        pose: one of `poses.POSES` or `poses.SELDOM_POSES`.
        posture: the joint angles.
        yaw: degrees; 0 faces the camera, 90 faces right, 180 away, 270 left.
        roll: rotation of the whole figure about its foot in the picture, degrees clockwise.
        seat: what a sitting person sits on, or a climbing one climbs on.
        raised: metres of a climber's lower foot over the ground.
    """

    look: Look
    pose: str
    posture: Posture
    yaw: float
    roll: float = 0.0
    seat: str = "none"
    raised: float = 0.0


def draw_figure_at_random(rng: np.random.Generator, pose: str, warm: float = 0.5) -> Figure:
    """A random person in the named pose."""
    look = draw_look(rng, pose, warm)
    posture = draw_posture(rng, pose, look.body)
    # Along a street most people are seen from the side, from in front or from behind, few in between.
    yaw = float(rng.choice((0.0, 90.0, 180.0, 270.0), p=(0.27, 0.25, 0.23, 0.25)) + rng.normal(0, 22))
    roll = float(rng.normal(0, 2.0))
    if pose == "leaning":
        roll = float(rng.uniform(10, 45) * rng.choice((-1, 1)))
    elif pose in ("sitting", "crouching"):
        roll = 0.0
    elif pose == "cycling":
        roll = float(rng.normal(0, 4.0))
    elif pose == "lying":
        # Head to the left or to the right; those who lie a little along the line of sight are seen aslant.
        roll = float(rng.choice((-1, 1)) * np.clip(rng.normal(90, 14), 60, 120))
    elif pose == "sitting_low":
        roll = 0.0
    elif pose == "climbing":
        return replace(
            Figure(look, pose, posture, float(rng.normal(180, 18)) % 360, float(np.clip(rng.normal(0, 6), -12, 12))),
            seat=str(rng.choice(("ladder", "wall"))),
            raised=float(rng.uniform(0.1, 1.8)),
        )
    seat = str(rng.choice(("bench", "chair", "block"))) if pose == "sitting" else "none"
    return Figure(look, pose, posture, yaw % 360, roll, seat)
