"""How people stand, drawn into the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from upright.detector.detected import Detected
from upright.detector.drawing import DARK, DEGREE, PALE, draw_boxes, draw_labels, line_width

# Of head, torso and legs; told apart also by people who do not see red and green apart (Okabe and Ito's palette).
PART_COLOURS = [(86, 180, 255), (255, 170, 30), (40, 210, 150)]
HIDDEN = 0.5  # a part that is less likely seen is shown as hidden
FILLING = 0.3  # how much of a part's colour lies over the picture
LEAST_PARTS = 40  # pixels of a person's length from which the parts are drawn, too
BEYOND = 0.07  # how far the arrow goes beyond the head, of a person's length

SHIFT = 4  # lines are drawn to a sixteenth of a pixel


def draw_poses(image: np.ndarray, found: Detected, labels: Sequence[str] | None = None) -> np.ndarray:
    """A copy of a picture with people's boxes, parts and axes.

    The arrow runs up the body and points beyond the head. Parts that are probably hidden are outlined, not filled; of
    people of less than `LEAST_PARTS` pixels only box and arrow are drawn.

    Args:
        image: uint8 (H, W, 3), RGB.
        found: with its pose.
        labels: n texts, "" for none; by default score and lean.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ValueError: the detections have no pose.
    """
    lean, whole, parts, seen = pose_of(found)
    canvas = np.ascontiguousarray(image).copy()
    order = np.argsort(found.scores, kind="stable")  # the surest is drawn last, on top
    sound = np.isfinite(whole).all(axis=(1, 2)) & np.isfinite(parts).all(axis=(1, 2, 3))
    axes = [_axis(quadrilateral) for quadrilateral in whole]
    length = np.array([math.dist(*axis) for axis in axes])
    for i in order:
        if sound[i] and length[i] >= LEAST_PARTS:
            _fill(canvas, parts[i][seen[i] >= HIDDEN], [PART_COLOURS[j] for j in np.flatnonzero(seen[i] >= HIDDEN)])
    draw_boxes(canvas, found.boxes, found.scores)
    for i in order:
        if not sound[i]:
            continue
        if length[i] >= LEAST_PARTS:
            for quadrilateral, colour, share in zip(parts[i], PART_COLOURS, seen[i], strict=True):
                outline(canvas, quadrilateral, colour, max(1, line_width(canvas) // 2), dashed=share < HIDDEN)
        _arrow(canvas, *axes[i])
    if labels is None:
        labels = [f"{score:.2f} {degrees:+.0f}{DEGREE}" for score, degrees in zip(found.scores, lean, strict=True)]
    draw_labels(canvas, found.boxes, found.scores, labels)
    return canvas


def pose_of(found: Detected) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`lean`, `whole`, `parts` and `seen`; ValueError where the detector tells no pose."""
    if found.lean is None or found.whole is None or found.parts is None or found.seen is None:
        raise ValueError("these detections have no pose: they come from weights that tell none")
    return found.lean, found.whole, found.parts, found.seen


def outline(
    canvas: np.ndarray, quadrilateral: np.ndarray, colour: tuple[int, int, int], width: int, dashed: bool = False
) -> None:
    """Draw the sides of a quadrilateral (4, 2) in pixels on a picture."""
    if not np.isfinite(quadrilateral).all():
        return
    if not dashed:
        cv2.polylines(canvas, [_sixteenths(quadrilateral)], True, colour, width, cv2.LINE_AA, SHIFT)
        return
    for start, end in zip(quadrilateral, np.roll(quadrilateral, -1, axis=0), strict=True):
        dashes = max(2, min(round(math.dist(start, end) / (4 * width + 4)), 100))
        for i in range(dashes):
            piece = [start + (end - start) * (i + share) / dashes for share in (0.2, 0.7)]
            cv2.polylines(canvas, [_sixteenths(np.array(piece))], False, colour, width, cv2.LINE_AA, SHIFT)


def _axis(whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From the middle of the lower edge to the middle of the upper one, (2,) each."""
    return (whole[2] + whole[3]) / 2, (whole[0] + whole[1]) / 2


def _fill(canvas: np.ndarray, quadrilaterals: np.ndarray, colours: Sequence[tuple[int, int, int]]) -> None:
    """Lay colours over a picture."""
    height, width = canvas.shape[:2]
    for quadrilateral, colour in zip(quadrilaterals, colours, strict=True):
        low = np.clip(np.floor(quadrilateral.min(axis=0)), 0, (width, height)).astype(int)
        high = np.clip(np.ceil(quadrilateral.max(axis=0)) + 1, 0, (width, height)).astype(int)
        region = canvas[low[1] : high[1], low[0] : high[0]]
        if region.size:
            filled = region.copy()
            cv2.fillPoly(filled, [_sixteenths(quadrilateral - low)], colour, cv2.LINE_AA, SHIFT)
            region[:] = cv2.addWeighted(filled, FILLING, region, 1 - FILLING, 0)


def _arrow(canvas: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Along the body, its head beyond the person's: pale on dark, to be seen on any picture."""
    length = math.dist(low, high)
    if length < 2 or length > 1e5:
        return
    up = (high - low) / length
    across = np.array((-up[1], up[0]))
    size = max(5.0, BEYOND * length)
    width = 1 if length < 150 else line_width(canvas)  # thin: it lies on the face
    tip = high + up * size
    triangle = np.array((tip, high + across * size * 0.6, high - across * size * 0.6))
    for colour, more in ((DARK, 2), (PALE, 0)):
        cv2.polylines(canvas, [_sixteenths(np.array((low, high)))], False, colour, width + more, cv2.LINE_AA, SHIFT)
        if more:
            cv2.polylines(canvas, [_sixteenths(triangle)], True, colour, more + 1, cv2.LINE_AA, SHIFT)
        cv2.fillPoly(canvas, [_sixteenths(triangle)], colour, cv2.LINE_AA, SHIFT)


def _sixteenths(points: np.ndarray) -> np.ndarray:
    """Points (k, 2) in the frame of the boxes, as OpenCV draws them with `SHIFT`."""
    return np.rint(np.clip(points - 0.5, -1e6, 1e6) * 2**SHIFT).astype(np.int32)
