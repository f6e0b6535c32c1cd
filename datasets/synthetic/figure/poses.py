"""Joint angles of a person and what follows from them: the joints' places.

Frame of the body: (lateral, up, forward), lateral positive to the person's left. Frame of the picture:
(right, up, near), near positive towards the camera. Lengths in metres, angles in degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import acos, atan2, cos, degrees, hypot, pi, radians, sin

import numpy as np

POSES = ("standing", "walking", "running", "leaning", "crouching", "sitting", "cycling", "arms_raised")
SELDOM_POSES = ("lying", "sitting_low", "climbing")  # seldom seen in streets; `sitting_low` is on the ground

LEFT, RIGHT = 0, 1


@dataclass(frozen=True)
class Posture:
    """Joint angles in degrees; pairs are (left, right).

    `trunk` bends forward, `bend` to the person's left; `hip` and `shoulder` swing forward, `spread` and `lift`
    away from the body's middle; `knee` folds backward, `elbow` forward, `toes` up; `nod` tips the head forward.
    """

    trunk: float = 2.0
    bend: float = 0.0
    nod: float = 4.0
    hip: tuple[float, float] = (0.0, 0.0)
    spread: tuple[float, float] = (3.0, 3.0)
    knee: tuple[float, float] = (2.0, 2.0)
    toes: tuple[float, float] = (0.0, 0.0)
    shoulder: tuple[float, float] = (0.0, 0.0)
    lift: tuple[float, float] = (8.0, 8.0)
    elbow: tuple[float, float] = (12.0, 12.0)


@dataclass(frozen=True)
class Proportions:
    """Lengths and radii of a body in metres."""

    stature: float
    shin: float
    thigh: float
    trunk: float
    neck: float
    head: float
    upper_arm: float
    forearm: float
    shoulder: float
    hip: float
    foot: float
    girth: float


def proportions(stature: float, build: float, child: float) -> Proportions:
    """Body lengths: `build` widens (1 is average), `child` from 0 (adult) to 1 (a child of three)."""
    legs = 1.0 - 0.16 * child
    return Proportions(
        stature=stature,
        shin=0.246 * stature * legs,
        thigh=0.245 * stature * legs,
        trunk=0.288 * stature * (1.0 + 0.05 * child),
        neck=0.052 * stature * (1.0 - 0.3 * child),
        head=0.13 * stature * (1.0 + 0.5 * child),
        upper_arm=0.172 * stature * (1.0 - 0.08 * child),
        forearm=0.15 * stature * (1.0 - 0.08 * child),
        shoulder=0.108 * stature * (0.75 + 0.25 * build),
        hip=0.05 * stature * (0.7 + 0.3 * build),
        foot=0.15 * stature,
        girth=stature * build * (1.0 + 0.12 * child),
    )


def walking(phase: float, stride: float = 1.0, arms: float = 1.0) -> Posture:
    """A step of a walk; `phase` in turns (two steps a turn), `stride` and `arms` scale the swings."""
    hips, knees, toes, shoulders, elbows = [], [], [], [], []
    for side in (LEFT, RIGHT):
        turn = 2 * pi * (phase + 0.5 * side)
        hips.append((24 * sin(turn) + 4) * stride)
        # The knee folds while the leg swings forward, and gives a little under the weight.
        knees.append((6 + 52 * max(0.0, cos(turn + 0.5)) ** 2 + 6 * max(0.0, -cos(turn))) * stride)
        toes.append(10 * sin(turn) * stride)
        shoulders.append(-22 * sin(turn) * arms)
        elbows.append(14 + 10 * max(0.0, -sin(turn)) * arms)
    return Posture(
        trunk=3 + 2 * stride,
        hip=(hips[0], hips[1]),
        knee=(knees[0], knees[1]),
        toes=(toes[0], toes[1]),
        shoulder=(shoulders[0], shoulders[1]),
        elbow=(elbows[0], elbows[1]),
    )


def running(phase: float, stride: float = 1.0) -> Posture:
    """A step of a run; `phase` in turns."""
    hips, knees, toes, shoulders = [], [], [], []
    for side in (LEFT, RIGHT):
        turn = 2 * pi * (phase + 0.5 * side)
        hips.append((40 * sin(turn) + 14) * stride)
        knees.append((22 + 82 * max(0.0, cos(turn + 0.35)) ** 1.5) * stride)
        toes.append(-20 * max(0.0, -sin(turn)))
        shoulders.append(-44 * sin(turn) * stride - 6)
    return Posture(
        trunk=12 * stride,
        hip=(hips[0], hips[1]),
        knee=(knees[0], knees[1]),
        toes=(toes[0], toes[1]),
        shoulder=(shoulders[0], shoulders[1]),
        lift=(14, 14),
        elbow=(88, 88),
    )


def cycling(phase: float, body: Proportions, trunk: float = 22.0) -> Posture:
    """A rider with feet on the pedals (`phase` in turns of the crank) and hands near the handlebar."""
    hips, knees = [], []
    for side in (LEFT, RIGHT):
        turn = 2 * pi * (phase + 0.5 * side)
        forward = 0.10 * body.stature + 0.085 * body.stature * cos(turn)
        down = 0.385 * body.stature - 0.085 * body.stature * sin(turn)
        reach = min(hypot(forward, down), 0.995 * (body.thigh + body.shin))
        toward = degrees(atan2(forward, down))
        inside = (body.thigh**2 + reach**2 - body.shin**2) / (2 * body.thigh * reach)
        fold = (body.thigh**2 + body.shin**2 - reach**2) / (2 * body.thigh * body.shin)
        hips.append(toward + degrees(acos(max(-1.0, min(1.0, inside)))))
        knees.append(180 - degrees(acos(max(-1.0, min(1.0, fold)))))
    return Posture(
        trunk=trunk,
        nod=-0.5 * trunk,
        hip=(hips[0], hips[1]),
        spread=(2, 2),
        knee=(knees[0], knees[1]),
        toes=(0, 0),
        shoulder=(52 + 0.3 * trunk,) * 2,
        lift=(6, 6),
        elbow=(22, 22),
    )


def _moved(
    start: tuple[float, float, float], direction: tuple[float, float, float], share: float, length: float
) -> tuple[float, float, float]:
    x, y, z = (c + f * share * length for c, f in zip(start, direction, strict=True))
    return x, y, z


def _swing(forward: float, out: float, side: int) -> tuple[float, float, float]:
    """Unit vector of a hanging limb swung forward and then lifted outward, in the body's frame."""
    f, o = radians(forward), radians(out)
    outward = 1.0 if side == LEFT else -1.0
    return outward * sin(o), -cos(f) * cos(o), sin(f) * cos(o)


JOINTS = (
    *("pelvis", "waist", "chest", "neck", "chin", "head", "crown"),
    *(f"{part}_{side}" for side in "lr" for part in ("shoulder", "elbow", "wrist", "hand")),
    *(f"{part}_{side}" for side in "lr" for part in ("hip", "knee", "ankle", "heel", "toe")),
)
INDEX = {name: i for i, name in enumerate(JOINTS)}


def joints(posture: Posture, body: Proportions) -> np.ndarray:
    """Joints in the body's frame, pelvis at the origin. float64 (len(JOINTS), 3) in metres."""
    place: dict[str, tuple[float, float, float]] = {"pelvis": (0.0, 0.0, 0.0)}

    def along(start: str, direction: tuple[float, float, float], length: float) -> tuple[float, float, float]:
        x, y, z = place[start]
        return x + direction[0] * length, y + direction[1] * length, z + direction[2] * length

    tip, bend = radians(posture.trunk), radians(posture.bend)
    spine = (sin(bend), cos(tip) * cos(bend), sin(tip) * cos(bend))
    lateral = (cos(bend), -sin(bend), 0.0)
    nod = radians(posture.trunk * 0.6 + posture.nod)
    skull = (sin(bend) * 0.6, cos(nod), sin(nod))
    place["waist"] = along("pelvis", spine, 0.32 * body.trunk)
    place["chest"] = along("pelvis", spine, 0.72 * body.trunk)
    place["neck"] = along("pelvis", spine, body.trunk)
    place["chin"] = along("neck", skull, body.neck * 0.7)
    place["head"] = along("chin", skull, body.head * 0.5)
    place["crown"] = along("chin", skull, body.head)
    ankle = 0.042 * body.stature
    for side, name in ((LEFT, "l"), (RIGHT, "r")):
        outward = 1.0 if side == LEFT else -1.0
        x, y, z = along("pelvis", spine, 0.93 * body.trunk)
        reach = outward * body.shoulder
        place[f"shoulder_{name}"] = (x + lateral[0] * reach, y + lateral[1] * reach, z)
        shoulder, lift, elbow = posture.shoulder[side], posture.lift[side], posture.elbow[side]
        place[f"elbow_{name}"] = along(f"shoulder_{name}", _swing(shoulder, lift, side), body.upper_arm)
        # A lifted arm folds its elbow upward and inward, a hanging one forward.
        folded = max(0.0, min(1.0, (lift - 45) / 40))
        lower = _swing(shoulder + elbow * (1 - folded), lift + elbow * folded - 0.25 * elbow * (1 - folded), side)
        place[f"wrist_{name}"] = along(f"elbow_{name}", lower, body.forearm)
        place[f"hand_{name}"] = along(f"wrist_{name}", lower, 0.075 * body.stature)
        place[f"hip_{name}"] = (outward * body.hip, 0.0, 0.0)
        hip, spread, knee = posture.hip[side], posture.spread[side], posture.knee[side]
        place[f"knee_{name}"] = along(f"hip_{name}", _swing(hip, spread, side), body.thigh)
        place[f"ankle_{name}"] = along(f"knee_{name}", _swing(hip - knee, spread * 0.3, side), body.shin)
        # The foot is at right angles to the shin where that leaves it in the air, else flat on the ground.
        tilt = radians(max(-70.0, min(25.0, (hip - knee) * (0.7 if knee > 30 else 0.25) + posture.toes[side])))
        x, y, z = place[f"ankle_{name}"]
        out = outward * 0.12
        flat = (out * cos(tilt), sin(tilt), cos(tilt))
        sole = (x, y - ankle * cos(tilt), z + ankle * sin(tilt))
        place[f"heel_{name}"] = _moved(sole, flat, -0.28, body.foot)
        place[f"toe_{name}"] = _moved(sole, flat, 0.68, body.foot)
    return np.array([place[name] for name in JOINTS])


def project(points: np.ndarray, yaw: float, lean: float) -> np.ndarray:
    """Turn points of the body's frame into the picture's frame.

    Args:
        points: (n, 3) lateral, up, forward in metres.
        yaw: degrees; 0 faces the camera, 90 faces right, 180 away.
        lean: degrees of rotation in the picture's plane about the origin, positive = clockwise (to the right).

    Returns:
        (n, 3) right, up, near in metres.
    """
    turn, tilt = radians(yaw), radians(lean)
    right = points[:, 0] * cos(turn) + points[:, 2] * sin(turn)
    near = -points[:, 0] * sin(turn) + points[:, 2] * cos(turn)
    up = points[:, 1]
    return np.stack((right * cos(tilt) + up * sin(tilt), up * cos(tilt) - right * sin(tilt), near), axis=1)
