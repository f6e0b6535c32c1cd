"""Body, clothes, head and what is carried, drawn from back to front into a sprite."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import cos, radians, sin

import numpy as np

from upright.datasets.synthetic.drawing import textures
from upright.datasets.synthetic.drawing.canvas import Canvas, Colour, Light, Sprite
from upright.datasets.synthetic.figure import belongings, head
from upright.datasets.synthetic.figure.figure import Figure
from upright.datasets.synthetic.figure.skeleton import Skeleton


def render_figure(
    skeleton: Skeleton, scale: float, foot: tuple[float, float], light: Light, *, coloured: bool = True
) -> Sprite:
    """Draw a person.

    Args:
        skeleton: the person, from `build_skeleton`.
        scale: pixels of the picture a metre, at the person's distance.
        foot: the point (x, y) of the picture where the person stands.
        light: the scene's light.
        coloured: False gives the masks alone, the same masks.
    """
    figure = skeleton.figure
    extent = belongings.extent(skeleton)
    canvas = Canvas(extent, scale, foot, light, coloured=coloured)
    for _, draw in sorted(_parts(skeleton, canvas), key=lambda part: part[0]):
        canvas.shade = 1.0
        draw()
    cloth = textures.cut(textures.folds(), figure.look.cloth, canvas.height, canvas.width) if coloured else None
    return canvas.finish(cloth, 0.11 if scale > 40 else 0.07)


def _parts(skeleton: Skeleton, canvas: Canvas) -> list[tuple[float, Callable[[], None]]]:
    """Each part's distance towards the camera and the function that draws it."""
    figure = skeleton.figure
    facing = cos(radians(figure.yaw))
    parts: list[tuple[float, Callable[[], None]]] = []
    for side in "lr":
        hip, knee, ankle = (skeleton[f"{part}_{side}"][2] for part in ("hip", "knee", "ankle"))
        leg = (hip + knee + ankle) / 3
        folded = abs(figure.posture.hip[side == "r"]) > 60
        # Thighs of those who sit, crouch or ride point away from the trunk, all others begin under the clothes.
        depth = 0.6 * knee if folded else 0.2 * leg - 0.08
        parts.append((depth, partial(_leg, skeleton, canvas, side, leg)))
        arm = (skeleton[f"elbow_{side}"][2] + skeleton[f"wrist_{side}"][2]) / 2 - skeleton["chest"][2]
        parts.append((skeleton["chest"][2] + arm + 0.01, partial(_arm, skeleton, canvas, side, arm)))
    parts.append((skeleton["pelvis"][2] - 0.2, lambda: _seat(skeleton, canvas)))
    parts.append((skeleton["chest"][2] * 0.5, lambda: _torso(skeleton, canvas)))
    skull = skeleton["head"][2] + (0.06 if facing > -0.5 else 0.03)
    if abs(figure.posture.trunk) < 35:
        # Hair falls over the collar, also seen from behind.
        skull = max(skull, skeleton["chest"][2] * 0.5 + 0.02)
    parts.append((skull, lambda: head.draw_head(skeleton, canvas)))
    parts.extend(belongings.parts(skeleton, canvas))
    return parts


def _dim(depth: float) -> float:
    """Limbs on the far side lie in the body's own shadow."""
    return 0.72 if depth < -0.06 else 1.0


def _leg(skeleton: Skeleton, canvas: Canvas, side: str, depth: float) -> None:
    look = skeleton.figure.look
    girth = look.body.girth
    hip, knee, ankle = (skeleton[f"{part}_{side}"] for part in ("hip", "knee", "ankle"))
    heel, toe = skeleton[f"heel_{side}"], skeleton[f"toe_{side}"]
    canvas.shade = _dim(depth)
    sole = np.array((heel, 0.5 * (heel + toe), toe))
    sole[:, 1] += 0.018 * look.body.stature
    foot_half = np.array((0.019, 0.02, 0.015)) * look.body.stature
    canvas.tube(sole, foot_half, look.shoes, strips=4)
    bare = look.legs in ("shorts", "skirt", "dress")
    ease = 0.0 if bare else look.loose
    shin_colour = look.skin if bare else look.legs_colour
    calf = knee + 0.3 * (ankle - knee)
    if bare:
        widths = np.array((0.030, 0.033, 0.019)) * girth
    else:
        widths = np.array((0.034, 0.034 + 0.004 * ease, 0.022 + 0.008 * ease)) * girth
    low = ankle if bare else ankle + 0.06 * (ankle - knee)
    canvas.tube(np.array((knee, calf, low)), widths, shin_colour)
    thigh = np.array((0.056, 0.052, 0.037)) * girth * (1.0 if bare else 0.94 + 0.08 * ease)
    stations = np.array((hip, hip + 0.4 * (knee - hip), knee))
    if look.legs == "shorts":
        canvas.tube(stations, thigh * 0.94, look.skin)
        end = hip + 0.72 * (knee - hip)
        canvas.tube(np.array((hip, end)), np.array((0.06, 0.056)) * girth, look.legs_colour, round_ends=False)
    else:
        canvas.tube(stations, thigh, look.skin if bare else look.legs_colour)


def _arm(skeleton: Skeleton, canvas: Canvas, side: str, depth: float) -> None:
    look = skeleton.figure.look
    girth = look.body.girth
    shoulder, elbow, wrist, hand = (skeleton[f"{part}_{side}"] for part in ("shoulder", "elbow", "wrist", "hand"))
    canvas.shade = _dim(depth)
    palm = 0.5 * (wrist + hand)[:2]
    reach = hand[:2] - wrist[:2]
    length = max(float(np.hypot(*reach)), 0.03)
    axis = reach / length if length > 0.031 else np.array((0.0, -1.0))
    canvas.blob(palm, axis, 0.02 * look.body.stature, 0.5 * length + 0.012 * look.body.stature, look.skin)
    sleeve = 1.0 if look.sleeves != "long" else (1.12 + 0.14 * (look.coat > 0))
    forearm = look.top if look.sleeves == "long" else look.skin
    canvas.tube(np.array((elbow, wrist)), np.array((0.026, 0.018)) * girth * sleeve, forearm, strips=5)
    upper = look.skin if look.sleeves == "none" else look.top
    widths = np.array((0.030, 0.032, 0.027)) * girth * sleeve
    inward = 0.12 * (skeleton["neck"] - shoulder)
    stations = np.array((shoulder + inward, 0.5 * (shoulder + elbow), elbow))
    if look.sleeves == "short":
        canvas.tube(stations, widths, look.skin, strips=5)
        canvas.tube(np.array((shoulder, shoulder + 0.55 * (elbow - shoulder))), widths[:2] * 1.12, upper, strips=5)
    else:
        canvas.tube(stations, widths, upper, strips=5)


_QUARTERS = np.arange(5) / 4

# Half widths of the trunk, sideways and front to back, as shares of the stature, from neck to crotch.
_TRUNK = np.array(
    (
        (0.00, 0.042, 0.040),
        (0.05, 0.088, 0.052),
        (0.13, 0.112, 0.066),
        (0.35, 0.104, 0.078),
        (0.66, 0.086, 0.072),
        (0.92, 0.096, 0.076),
        (1.08, 0.088, 0.074),
    )
)


def _seat(skeleton: Skeleton, canvas: Canvas) -> None:
    """The pelvis, behind the thighs."""
    look = skeleton.figure.look
    turn = radians(skeleton.figure.yaw)
    half = float(np.sqrt((0.088 * cos(turn)) ** 2 + (0.08 * sin(turn)) ** 2)) * look.body.girth
    pelvis, neck = skeleton["pelvis"], skeleton["neck"]
    colour = look.top if look.legs == "dress" else look.legs_colour
    canvas.tube(np.array((pelvis + 0.1 * (neck - pelvis), pelvis)), np.array((half, half)), colour, rim=0.0)


def _torso(skeleton: Skeleton, canvas: Canvas) -> None:
    figure = skeleton.figure
    look, body = figure.look, figure.look.body
    turn = radians(figure.yaw)
    pelvis, neck = skeleton["pelvis"], skeleton["neck"]
    wide, deep = _TRUNK[:, 1].copy(), _TRUNK[:, 2].copy()
    wide[1:3] *= 1.04 - 0.1 * look.feminine
    wide[4] *= 1.06 - 0.16 * look.feminine + 0.5 * max(0.0, body.girth / body.stature - 1.05)
    deep[4] *= 1.0 + 0.9 * max(0.0, body.girth / body.stature - 1.05)
    wide[5:] *= 0.96 + 0.1 * look.feminine
    ease = 1.06 + 0.06 * (look.coat > 0) + 0.05 * (look.sleeves == "long")
    half = np.sqrt((wide * cos(turn)) ** 2 + (deep * sin(turn)) ** 2) * body.girth * ease
    stations = neck + _TRUNK[:, :1] * (pelvis - neck)
    top = look.top
    lower = look.top if look.legs == "dress" else look.legs_colour
    canvas.tube(stations[-3:-1], half[-3:-1] * 0.97, lower, round_ends=False, rim=0.0)
    if look.legs in ("skirt", "dress"):
        _hem(skeleton, canvas, half[5] * 0.98, 0.55 + 0.5 * (look.loose - 0.95), lower)
    if look.coat > 0:
        _hem(skeleton, canvas, half[5] * 1.05, 0.25 + 0.55 * look.coat, top)
    one, other = canvas.tube(stations[:-1], half[:-1], top, round_ends=False, rim=0.004)
    _pattern(canvas, one, other, figure)
    throat = np.array((skeleton["chin"] + 0.02 * (skeleton["chin"] - neck), neck, neck - 0.04 * (neck - pelvis)))
    canvas.tube(throat, np.array((0.03, 0.032, 0.03)) * body.girth, look.skin, strips=4, rim=0.0)


def _hem(skeleton: Skeleton, canvas: Canvas, half: float, length: float, colour: Colour) -> None:
    """Cloth that hangs from the hips over the thighs, as wide as the legs stand apart."""
    pelvis = skeleton["pelvis"]
    thighs = [skeleton[f"hip_{s}"] + length * 1.25 * (skeleton[f"knee_{s}"] - skeleton[f"hip_{s}"]) for s in "lr"]
    middle = 0.5 * (thighs[0] + thighs[1])
    apart = abs(thighs[0][0] - thighs[1][0]) * 0.5 + 0.05 * skeleton.figure.look.body.girth
    waist = pelvis + 0.15 * (skeleton["neck"] - pelvis)
    canvas.tube(
        np.array((waist, pelvis, middle)),
        np.array((half * 0.95, half, max(apart, half * 0.95))),
        colour,
        round_ends=False,
        rim=0.006,
    )


def _on_tube(one: np.ndarray, other: np.ndarray, t: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Points on a tube: t (k,) along it from 0 to 1, u (k,) across from -1 to 1. (k, 2)."""
    at = t * (len(one) - 1)
    i = np.minimum(at.astype(int), len(one) - 2)
    part = (at - i)[:, None]
    a = one[i] + part * (one[i + 1] - one[i])
    b = other[i] + part * (other[i + 1] - other[i])
    across = 0.5 * (1 + u)[:, None]
    return across * a + (1 - across) * b


def _patch(one: np.ndarray, other: np.ndarray, t0: float, t1: float, u0: float, u1: float) -> np.ndarray:
    """The outline of a piece of a tube."""
    steps = t0 + (t1 - t0) * _QUARTERS
    return _on_tube(one, other, np.concatenate((steps, steps[::-1])), np.repeat((u0, u1), len(steps)))


def _pattern(canvas: Canvas, one: np.ndarray, other: np.ndarray, figure: Figure) -> None:
    """Bands, stripes, checks, a yoke or a print on the top, and the shirt in an open jacket."""
    look = figure.look
    if not canvas.coloured or canvas.scale < 12:
        return
    if look.pattern in ("bands", "checks"):
        for i in range(7):
            t = 0.08 + i * 0.13
            canvas.paint(_patch(one, other, t, t + 0.06, -1, 1), look.second)
    if look.pattern in ("stripes", "checks"):
        for i in range(6):
            u = -0.9 + i * 0.32
            canvas.paint(_patch(one, other, 0.1, 1, u, u + 0.1), look.second)
    if look.pattern == "yoke":
        canvas.paint(_patch(one, other, 0.0, 0.5, -1, 1), look.second)
    facing, sideways = cos(radians(figure.yaw)), sin(radians(figure.yaw))
    if facing < 0.15:
        return
    # The tube's first side lies left of its direction of travel (down), so u = 1 is the picture's left.
    front = -0.8 * sideways
    if look.opened:
        canvas.paint(_patch(one, other, 0.1, 1, front - 0.22, front + 0.22), look.second)
    elif look.pattern == "print":
        canvas.paint(_patch(one, other, 0.38, 0.6, front - 0.35, front + 0.35), look.second)
    elif look.coat > 0:
        seam = _on_tube(one, other, np.array((0.15, 0.6, 1.0)), np.full(3, front))
        canvas.crease(seam, 0.012, 0.6)
