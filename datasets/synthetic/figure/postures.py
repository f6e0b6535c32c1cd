"""Postures at random, of each named pose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from upright.datasets.synthetic.figure.poses import LEFT, RIGHT, Posture, Proportions, cycling, running, walking


def _both(rng: np.random.Generator, low: float, high: float, apart: float = 0.0) -> tuple[float, float]:
    middle = rng.uniform(low, high)
    return middle + rng.uniform(-apart, apart), middle + rng.uniform(-apart, apart)


def _idle_arms(rng: np.random.Generator, posture: Posture) -> Posture:
    """Arms that hang, hold a telephone, rest on the hips, are folded, or carry something in front."""
    kind = rng.choice(6, p=(0.42, 0.2, 0.1, 0.1, 0.12, 0.06))
    if kind == 0:
        return replace(posture, shoulder=_both(rng, -8, 12, 6), elbow=_both(rng, 5, 30, 8), lift=_both(rng, 5, 14, 3))
    shoulder, elbow, lift = list(posture.shoulder), list(posture.elbow), list(posture.lift)
    side = int(rng.integers(2))
    if kind == 1:
        shoulder[side], elbow[side], lift[side] = rng.uniform(10, 40), rng.uniform(80, 140), 8.0
    elif kind == 2:
        shoulder, elbow, lift = [-12.0, -12.0], [75.0, 75.0], [34.0, 34.0]
    elif kind == 3:
        shoulder, elbow, lift = [18.0, 18.0], [95.0, 100.0], [-2.0, -2.0]
    elif kind == 4:
        shoulder, elbow, lift = [15.0, 18.0], [70.0, 75.0], [6.0, 6.0]
    else:
        shoulder[side], elbow[side], lift[side] = rng.uniform(60, 100), rng.uniform(0, 25), rng.uniform(0, 30)
    return replace(posture, shoulder=_pair(shoulder), elbow=_pair(elbow), lift=_pair(lift))


def _pair(sides: list[float]) -> tuple[float, float]:
    left, right = sides
    return left, right


def _lying(rng: np.random.Generator) -> Posture:
    """Stretched out, with the knees drawn up, or curled."""
    kind = rng.choice(3, p=(0.55, 0.2, 0.25))
    hip, knee = ((-6, 18), (0, 25)) if kind == 0 else ((35, 60), (75, 110)) if kind == 1 else ((45, 95), (60, 115))
    return Posture(
        trunk=rng.uniform(-5, 6) if kind < 2 else rng.uniform(10, 38),
        bend=rng.normal(0, 5),
        nod=rng.uniform(-12, 22),
        hip=_both(rng, *hip, 9),
        spread=_both(rng, 2, 16, 4),
        knee=_both(rng, *knee, 9),
        toes=_both(rng, -30, 0, 8),
        shoulder=_both(rng, -15, 75 if kind else 25, 15),
        lift=_both(rng, 3, 70 if kind == 0 else 20, 6),
        elbow=_both(rng, 5, 80, 15),
    )


def _sitting_low(rng: np.random.Generator) -> Posture:
    """On the ground with legs stretched out, drawn up or crossed."""
    kind = rng.choice(3, p=(0.35, 0.4, 0.25))
    hip, spread, knee = (
        ((76, 90), (3, 18), (0, 30)),
        ((108, 128), (3, 14), (95, 128)),
        ((72, 88), (38, 54), (115, 138)),
    )[kind]
    propped = rng.uniform() < 0.3
    return Posture(
        trunk=rng.uniform(-22, -8) if propped else rng.uniform(-4, 28),
        nod=rng.uniform(-5, 30),
        hip=_both(rng, *hip, 4),
        spread=_both(rng, *spread, 3),
        knee=_both(rng, *knee, 6),
        shoulder=_both(rng, -52, -34, 6) if propped else _both(rng, 25, 65, 10),
        lift=_both(rng, 6, 20, 4),
        elbow=_both(rng, 0, 12, 4) if propped else _both(rng, 10, 60, 12),
    )


def _climbing(rng: np.random.Generator) -> Posture:
    """One foot and one hand higher than the other."""
    high = int(rng.integers(2))
    hip, knee = [rng.uniform(4, 22)] * 2, [rng.uniform(8, 34)] * 2
    hip[high], knee[high] = rng.uniform(48, 86), rng.uniform(60, 100)
    shoulder, elbow = [rng.uniform(95, 130)] * 2, [rng.uniform(25, 70)] * 2
    reach = high if rng.uniform() < 0.3 else 1 - high
    shoulder[reach], elbow[reach] = rng.uniform(140, 172), rng.uniform(5, 35)
    return Posture(
        trunk=rng.uniform(0, 14),
        bend=rng.normal(0, 6),
        nod=rng.uniform(-25, 5),
        hip=_pair(hip),
        spread=_both(rng, 6, 24, 5),
        knee=_pair(knee),
        shoulder=_pair(shoulder),
        lift=_both(rng, 6, 24, 6),
        elbow=_pair(elbow),
    )


_SELDOM_POSTURES = {"lying": _lying, "sitting_low": _sitting_low, "climbing": _climbing}


def draw_posture(rng: np.random.Generator, pose: str, body: Proportions) -> Posture:
    """A posture of the named pose (one of `POSES` or `SELDOM_POSES`), varied by `rng`."""
    if pose in _SELDOM_POSTURES:
        return _SELDOM_POSTURES[pose](rng)
    if pose == "walking":
        posture = walking(rng.uniform(), rng.uniform(0.7, 1.15), rng.uniform(0.2, 1.2))
        return _idle_arms(rng, posture) if rng.uniform() < 0.3 else posture
    if pose == "running":
        return running(rng.uniform(), rng.uniform(0.8, 1.1))
    if pose == "cycling":
        return cycling(rng.uniform(), body, rng.uniform(8, 42))
    if pose == "crouching":
        fold = rng.uniform(85, 125)
        return Posture(
            trunk=rng.uniform(15, 55),
            nod=rng.uniform(-15, 20),
            hip=(fold, fold + rng.uniform(-25, 5)),
            spread=_both(rng, 6, 22, 4),
            knee=(fold + rng.uniform(5, 30), fold + rng.uniform(5, 25)),
            shoulder=_both(rng, 30, 75, 15),
            lift=_both(rng, 2, 16, 4),
            elbow=_both(rng, 15, 75, 15),
        )
    if pose == "sitting":
        return Posture(
            trunk=rng.uniform(-8, 18),
            nod=rng.uniform(-5, 30),
            hip=_both(rng, 78, 92, 4),
            spread=_both(rng, 3, 16, 3),
            knee=_both(rng, 70, 98, 10),
            shoulder=_both(rng, 10, 45, 8),
            lift=_both(rng, 4, 14, 3),
            elbow=_both(rng, 25, 75, 12),
        )
    standing = Posture(
        trunk=rng.uniform(-2, 6),
        nod=rng.uniform(-5, 25),
        hip=_both(rng, -2, 4, 5),
        spread=_both(rng, 2, 9, 2),
        knee=_both(rng, 0, 8, 4),
    )
    if pose == "arms_raised":
        lift, shoulder, elbow = [8.0, 8.0], [0.0, 0.0], [15.0, 15.0]
        for side in (LEFT, RIGHT) if rng.uniform() < 0.65 else (int(rng.integers(2)),):
            if rng.uniform() < 0.6:
                lift[side], elbow[side] = rng.uniform(95, 165), rng.uniform(0, 50)
            else:
                shoulder[side], elbow[side], lift[side] = rng.uniform(120, 175), rng.uniform(0, 60), 10.0
        return replace(standing, lift=_pair(lift), shoulder=_pair(shoulder), elbow=_pair(elbow))
    if pose == "leaning" and rng.uniform() < 0.5:
        standing = walking(rng.uniform(), rng.uniform(0.3, 1.0), rng.uniform(0.3, 1.5))
    return _idle_arms(rng, standing)
