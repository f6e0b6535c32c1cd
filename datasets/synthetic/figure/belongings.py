"""What people carry, ride and sit on: bags, suitcases, umbrellas, bicycles, benches. Never part of the person's box."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, radians, sin

import numpy as np

from upright.datasets.synthetic.drawing.canvas import Canvas
from upright.datasets.synthetic.drawing.palette import shaded
from upright.datasets.synthetic.figure.climb import climb_corners, draw_climb
from upright.datasets.synthetic.figure.skeleton import Skeleton

Part = tuple[float, Callable[[], None]]


def extent(skeleton: Skeleton) -> tuple[float, float, float, float]:
    """Left, bottom, right, top in metres that the person and all belongings stay inside."""
    left, bottom, right, top = skeleton.extent
    stature = skeleton.figure.look.body.stature
    points = []
    if skeleton.figure.pose == "cycling":
        points = _wheel(skeleton, -0.22 * stature).tolist() + _wheel(skeleton, 0.4 * stature).tolist()
    elif skeleton.figure.pose == "climbing":
        points = climb_corners(skeleton).tolist()
    elif skeleton.figure.seat != "none":
        points = skeleton.place(_seat_corners(skeleton)).tolist()
    if skeleton.figure.look.umbrella:
        points.append(_off(skeleton["crown"], -0.75, 0.6).tolist())
        points.append(_off(skeleton["crown"], 0.75, 0.6).tolist())
    if skeleton.figure.look.bag == "case":
        points.append((-0.75, 0.0, 0.0))
        points.append((0.75, 0.0, 0.0))
    for x, y, _ in points:
        left, bottom, right, top = min(left, x - 0.1), min(bottom, y - 0.1), max(right, x + 0.1), max(top, y + 0.1)
    return left, bottom, right, top


def parts(skeleton: Skeleton, canvas: Canvas) -> list[Part]:
    """Each thing's distance towards the camera and the function that draws it."""
    figure = skeleton.figure
    facing = cos(radians(figure.yaw))
    found: list[Part] = []
    if figure.pose == "cycling":
        found.append((-0.01, lambda: _bicycle_rear(skeleton, canvas)))
        found.append((0.3 * facing, lambda: _bicycle_front(skeleton, canvas)))
    if figure.pose == "climbing":
        found.append((-2.0, lambda: draw_climb(skeleton, canvas)))
    elif figure.seat != "none":
        found.append((-0.5 if facing > -0.3 else 0.2, lambda: _seat(skeleton, canvas)))
    bag = figure.look.bag
    if bag == "backpack":
        found.append((-0.2 * facing + skeleton["chest"][2] * 0.5, lambda: _backpack(skeleton, canvas)))
        if facing > 0.2:
            found.append((skeleton["chest"][2] * 0.5 + 0.005, lambda: _straps(skeleton, canvas)))
    elif bag == "shoulder" and figure.pose != "cycling":
        found.append((0.12 if facing > 0 else 0.1, lambda: _shoulder_bag(skeleton, canvas)))
    elif bag == "hand" and figure.pose in ("standing", "walking", "leaning"):
        found.append((skeleton["hand_r"][2] + 0.02, lambda: _hand_bag(skeleton, canvas)))
    elif bag == "case" and figure.pose in ("standing", "walking"):
        found.append((-0.15 * facing - 0.01, lambda: _suitcase(skeleton, canvas)))
    if figure.look.umbrella:
        found.append((0.5, lambda: _umbrella(skeleton, canvas)))
    return found


def _off(point: np.ndarray, right: float, up: float) -> np.ndarray:
    """A point moved to the right and up, in metres."""
    return point + np.array((right, up, 0.0))


def _wheel(skeleton: Skeleton, forward: float) -> np.ndarray:
    stature = skeleton.figure.look.body.stature
    angles = np.arange(24) * (2 * pi / 24)
    radius = 0.185 * stature
    ring = np.stack(
        (
            np.zeros(24),
            skeleton.ground + radius + radius * np.sin(angles),
            forward + radius * np.cos(angles),
        ),
        axis=1,
    )
    return skeleton.place(ring)


def _frame_points(skeleton: Skeleton) -> dict[str, np.ndarray]:
    """Joints of the bicycle's frame."""
    s = skeleton.figure.look.body.stature
    hub = skeleton.ground + 0.185 * s
    places = {
        "rear": (0.0, hub, -0.22 * s),
        "front": (0.0, hub, 0.4 * s),
        "crank": (0.0, -0.385 * s, 0.1 * s),
        "saddle": (0.0, -0.03 * s, -0.02 * s),
        "stem": (0.0, -0.04 * s, 0.3 * s),
        "bar_l": (0.16 * s, 0.0, 0.31 * s),
        "bar_r": (-0.16 * s, 0.0, 0.31 * s),
    }
    names = list(places)
    points = skeleton.place(np.array([places[n] for n in names]))
    return dict(zip(names, points, strict=True))


def _bicycle_rear(skeleton: Skeleton, canvas: Canvas) -> None:
    at = _frame_points(skeleton)
    colour = skeleton.figure.look.bag_colour
    wheel = _wheel(skeleton, -0.22 * skeleton.figure.look.body.stature)
    _tyre(canvas, wheel, at["rear"])
    for a, b in (("rear", "crank"), ("rear", "saddle"), ("crank", "saddle"), ("crank", "stem"), ("saddle", "stem")):
        canvas.line(np.array((at[a], at[b])), 0.035, colour)
    canvas.blob(at["saddle"][:2], np.array((0.0, 1.0)), 0.1, 0.03, (24, 24, 24), body=False)


def _bicycle_front(skeleton: Skeleton, canvas: Canvas) -> None:
    at = _frame_points(skeleton)
    wheel = _wheel(skeleton, 0.4 * skeleton.figure.look.body.stature)
    _tyre(canvas, wheel, at["front"])
    canvas.line(np.array((at["front"], at["stem"])), 0.035, skeleton.figure.look.bag_colour)
    canvas.line(np.array((at["bar_l"], at["bar_r"])), 0.03, (60, 60, 62))


def _tyre(canvas: Canvas, ring: np.ndarray, hub: np.ndarray) -> None:
    canvas.line(np.concatenate((ring, ring[:1])), 0.035, (30, 30, 32))
    if canvas.scale > 40:
        for k in range(0, 24, 4):
            canvas.line(np.array((hub, ring[k])), 0.004, (130, 130, 132))


def _seat_corners(skeleton: Skeleton) -> np.ndarray:
    """Seat (first four) and top of the back (last two) in the body's frame."""
    s = skeleton.figure.look.body.stature
    half = 0.55 if skeleton.figure.seat == "bench" else 0.26
    up = -0.05 * s
    return np.array(
        (
            (-half, up, -0.2),
            (half, up, -0.2),
            (half, up, 0.24),
            (-half, up, 0.24),
            (-half, up + 0.42, -0.26),
            (half, up + 0.42, -0.26),
        )
    )


def _seat(skeleton: Skeleton, canvas: Canvas) -> None:
    corners = _seat_corners(skeleton)
    kind, colour = skeleton.figure.seat, skeleton.figure.look.bag_colour
    place = skeleton.place(corners)
    ground = corners[:4] * (1, 0, 1) + (0, skeleton.ground, 0)
    feet = skeleton.place(ground)
    if kind == "block":
        for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)):
            quad = np.array((place[a], place[b], feet[b], feet[a]))
            canvas.polygon(quad, (150, 146, 140), 0.7, body=False)
        canvas.polygon(place[:4], (160, 156, 150), 1.0, body=False)
        return
    for a in range(4):
        canvas.line(np.array((place[a], feet[a])), 0.04, (50, 48, 46))
    back = np.array((place[0], place[1], place[5], place[4]))
    canvas.polygon(back, shaded(colour, 0.9), 0.85, body=False)
    thick = np.array((0, -0.05, 0))
    for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)):
        canvas.polygon(np.array((place[a], place[b], place[b] + thick, place[a] + thick)), colour, 0.75, body=False)
    canvas.polygon(place[:4], colour, 1.05, body=False)


def _backpack(skeleton: Skeleton, canvas: Canvas) -> None:
    look = skeleton.figure.look
    s = look.body.stature
    turn = radians(skeleton.figure.yaw)
    spine = skeleton["neck"] - skeleton["pelvis"]
    behind = np.array((-sin(turn), 0.0, 0.0)) * 0.105 * s
    half = s * float(np.sqrt((0.085 * cos(turn)) ** 2 + (0.05 * sin(turn)) ** 2))
    stations = skeleton["pelvis"] + np.array((0.32, 0.45, 0.75, 0.9))[:, None] * spine + behind
    canvas.tube(stations, half * np.array((0.9, 1.0, 1.0, 0.75)), look.bag_colour, body=False)
    if cos(turn) < 0:
        low, high = stations[0] + 0.1 * spine, stations[0] + 0.3 * spine
        canvas.tube(np.array((low, high)), half * np.array((0.6, 0.6)), shaded(look.bag_colour, 0.85), body=False)


def _straps(skeleton: Skeleton, canvas: Canvas) -> None:
    colour = shaded(skeleton.figure.look.bag_colour, 0.8)
    for side in "lr":
        top = 0.6 * skeleton[f"shoulder_{side}"] + 0.4 * skeleton["neck"]
        low = 0.55 * skeleton[f"shoulder_{side}"] + 0.45 * skeleton["waist"]
        canvas.line(np.array((top, low)), 0.035, colour)


def _shoulder_bag(skeleton: Skeleton, canvas: Canvas) -> None:
    look = skeleton.figure.look
    hip = skeleton["hip_r"] + 1.6 * (skeleton["hip_r"] - skeleton["pelvis"])
    canvas.line(np.array((skeleton["shoulder_l"], hip)), 0.025, shaded(look.bag_colour, 0.7))
    centre = np.array((_off(hip, 0, 0.08), _off(hip, 0, -0.16)))
    canvas.tube(centre, np.array((0.12, 0.14)), look.bag_colour, body=False, round_ends=False, strips=4)


def _hand_bag(skeleton: Skeleton, canvas: Canvas) -> None:
    look = skeleton.figure.look
    hand = skeleton["hand_r"]
    s = look.body.stature
    size = 0.06 * s if look.cloth[0] % 2 else 0.085 * s
    for across in (-0.5, 0.5):
        canvas.line(np.array((hand, _off(hand, across * size, -0.08))), 0.012, shaded(look.bag_colour, 0.7))
    canvas.tube(
        np.array((_off(hand, 0, -0.08), _off(hand, 0, -0.08 - 2.2 * size))),
        np.array((size, size * 1.1)),
        look.bag_colour,
        body=False,
        round_ends=False,
        strips=4,
    )


def _suitcase(skeleton: Skeleton, canvas: Canvas) -> None:
    look = skeleton.figure.look
    turn = radians(skeleton.figure.yaw)
    hand = skeleton["hand_r"]
    foot = np.array((hand[0] - 0.35 * sin(turn), 0.03, 0.0))
    top = _off(foot, 0.05 * sin(turn), 0.52)
    canvas.line(np.array((hand, top)), 0.02, (90, 90, 92))
    half = 0.16 if abs(cos(turn)) > 0.7 else 0.12
    canvas.tube(np.array((top, foot)), np.array((half, half)), look.bag_colour, body=False, round_ends=False)


def _umbrella(skeleton: Skeleton, canvas: Canvas) -> None:
    look = skeleton.figure.look
    crown = skeleton["crown"]
    centre = _off(crown, 0.08, -0.02)
    canvas.line(np.array((skeleton["hand_r"], _off(centre, 0, 0.4))), 0.02, (40, 40, 42))
    angles = np.linspace(0, np.pi, 13)
    dome = np.stack((centre[0] + 0.58 * np.cos(angles), centre[1] + 0.4 * np.sin(angles)), axis=1)
    canvas.polygon(dome, look.bag_colour, canvas.light.on(0.0, 0.6, 0.8), body=False)
    for k in range(2, 12, 3):
        canvas.crease(np.array(((centre[0], centre[1] + 0.4), (dome[k][0], centre[1]))), 0.015, 0.75)
