"""Pictures turned by any angle, and the boxes, joints and outlines of the people in them.

A positive angle turns the picture's content clockwise, as a positive lean does. The turned picture is as large as all
of the old one needs, so nothing is cut off; what the old picture does not cover is the mean colour. A quarter of a
turn moves pixels exactly.

Where the box of a turned person comes from, best first:

1. outlines: exact, the box of the turned polygons.
2. joints and the old box (`enough_joints` says how many it takes): the box leaves a margin round the joints on each of
   its four sides. Each side of the new box has the joints' extent in its direction and the margins of the two old
   sides nearest to it, weighted with cos^2 and sin^2 of the angles to them: exact after each quarter of a turn.
3. the old box alone: the ellipse inside it, turned: exact after each quarter of a turn, and close up to `SLIGHT`
   degrees beside one.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, cos, radians, sin

import cv2
import numpy as np
from numpy.typing import ArrayLike

from upright.datasets.joints import moved_joints
from upright.datasets.outlines import has_outline, moved_outlines, outline_box
from upright.datasets.sample import Sample

MEAN_COLOUR = (124, 116, 104)  # of ImageNet: zero after normalisation
SLIGHT = 8.0  # degrees
LEAST_JOINTS = 6
LEAST_SPAN = 0.5  # of the box's longer side that the joints must span


def wrapped(degrees: ArrayLike) -> np.ndarray:
    """The same angles in -180 (not included) to 180."""
    return np.asarray(180 - (180 - np.asarray(degrees)) % 360)


def turning(width: int, height: int, degrees: float) -> tuple[np.ndarray, int, int]:
    """The affine matrix (2, 3) from a picture to the turned one, in the frame of the boxes; its width and height."""
    quarters, rest = divmod(degrees, 90)
    if rest == 0:
        c, s = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarters) % 4]
    else:
        c, s = cos(radians(degrees)), sin(radians(degrees))
    wide = ceil(abs(c) * width + abs(s) * height - 1e-6)
    tall = ceil(abs(s) * width + abs(c) * height - 1e-6)
    linear = np.array(((c, -s), (s, c)))
    shift = np.array((wide / 2, tall / 2)) - linear @ (width / 2, height / 2)
    return np.concatenate([linear, shift[:, None]], axis=1), wide, tall


def turned_image(image: np.ndarray, degrees: float) -> np.ndarray:
    """The picture (H, W, 3) turned, of the mean colour where it shows nothing. uint8 (H', W', 3)."""
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(image, -int(degrees // 90) % 4))
    height, width = image.shape[:2]
    matrix, wide, tall = turning(width, height, degrees)
    # OpenCV counts from the middle of the first pixel, boxes from its edge.
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    return cv2.warpAffine(image, matrix, (wide, tall), flags=cv2.INTER_LINEAR, borderValue=MEAN_COLOUR)


def turned_boxes(
    boxes: np.ndarray, joints: np.ndarray, outlines: np.ndarray, ignore: np.ndarray, matrix: np.ndarray
) -> np.ndarray:
    """The boxes of turned people, as the module says; of ignore regions the box round the whole turned box.

    Args:
        boxes: (n, 4), x1 y1 x2 y2.
        joints: (n, 17, 3).
        outlines: object (n,).
        ignore: bool (n,).
        matrix: (2, 3), of `turning`.

    Returns:
        float64 (n, 4), x1 y1 x2 y2.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    new = ellipse_boxes(boxes, matrix)
    by_joints = enough_joints(boxes, joints)
    new[by_joints] = boxes_by_joints(boxes[by_joints], joints[by_joints], matrix)
    for row in np.nonzero(has_outline(outlines))[0]:
        new[row] = outline_box(outlines[row], matrix)
    new[ignore] = hull_boxes(boxes[ignore], matrix)
    return new


def hull_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The boxes round the turned boxes (n, 4), x1 y1 x2 y2."""
    corners = boxes[:, ((0, 1), (2, 1), (2, 3), (0, 3))].reshape(-1, 4, 2)
    moved = corners @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)


def ellipse_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The boxes round the turned ellipses that fill the boxes (n, 4), x1 y1 x2 y2."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 @ matrix[:, :2].T + matrix[:, 2]
    half = np.sqrt(((boxes[:, 2:] - boxes[:, :2]) / 2) ** 2 @ (matrix[:, :2].T ** 2))
    return np.concatenate([centre - half, centre + half], axis=1)


def enough_joints(boxes: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """bool (n,): whose labelled joints, at least `LEAST_JOINTS`, span `LEAST_SPAN` of the longer side of their box."""
    labelled = joints[..., 2] > 0
    low = np.where(labelled[..., None], joints[..., :2], np.inf).min(axis=1)
    high = np.where(labelled[..., None], joints[..., :2], -np.inf).max(axis=1)
    sides = boxes[:, 2:] - boxes[:, :2]
    return (labelled.sum(axis=1) >= LEAST_JOINTS) & ((high - low).max(axis=1) >= LEAST_SPAN * sides.max(axis=1))


def boxes_by_joints(boxes: np.ndarray, joints: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The turned boxes (n, 4), x1 y1 x2 y2, of people who have joints (n, 17, 3), as the module says."""
    labelled = joints[..., 2] > 0

    def reach(directions: np.ndarray) -> np.ndarray:
        """How far the joints reach in each direction (4, 2). (n, 4)"""
        return np.where(labelled[..., None], joints[..., :2].astype(np.float64) @ directions.T, -np.inf).max(axis=1)

    sides = np.array(((-1.0, 0.0), (0.0, -1.0), (1.0, 0.0), (0.0, 1.0)))  # left, top, right, bottom
    margins = boxes * (-1, -1, 1, 1) - reach(sides)
    # The sides of the new box, seen in the old picture, and how near each old side is to them.
    old = sides @ matrix[:, :2]
    near = np.maximum(old @ sides.T, 0) ** 2
    out = reach(old) + margins @ near.T + sides @ matrix[:, 2]
    return out * (-1, -1, 1, 1)


def turned_sample(sample: Sample, degrees: float) -> Sample:
    """The sample turned clockwise by `degrees`; its `turn` and its attribute `lean`, where it has one, too."""
    height, width = sample.image.shape[:2]
    matrix, wide, tall = turning(width, height, degrees)
    boxes = turned_boxes(sample.boxes, sample.joints, sample.outlines, sample.ignore, matrix)
    boxes = np.clip(boxes, 0, (wide, tall, wide, tall)).astype(np.float32)
    whole = (sample.visible == sample.boxes).all(axis=1, keepdims=True)
    seen = hull_boxes(sample.visible.astype(np.float64).reshape(-1, 4), matrix).astype(np.float32)
    attributes = dict(sample.attributes)
    if "lean" in attributes:
        attributes["lean"] = np.asarray(wrapped(attributes["lean"] + degrees), attributes["lean"].dtype)
    return replace(
        sample,
        image=turned_image(sample.image, degrees),
        boxes=boxes,
        visible=np.where(whole, boxes, inside(seen, boxes)),
        attributes=attributes,
        joints=moved_joints(sample.joints, matrix, wide, tall),
        outlines=moved_outlines(sample.outlines, matrix, wide, tall),
        turn=float(wrapped(sample.turn + degrees)),
    )


def inside(parts: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The boxes `parts` cut to `boxes`, both (n, 4), x1 y1 x2 y2; of no area where they do not meet."""
    low, high = boxes[:, [0, 1, 0, 1]], boxes[:, [2, 3, 2, 3]]
    return np.clip(parts, low, high)


def free_angle(sample: Sample, generator: np.random.Generator, most: float) -> float:
    """An angle at random by which a picture can be turned so that all boxes stay true.

    Uniform in +- `most` degrees where everybody who counts has an outline or enough joints. Otherwise one of the
    quarters of a turn in that range, and up to `SLIGHT` degrees more or less.
    """
    known = has_outline(sample.outlines) | enough_joints(sample.boxes, sample.joints)
    angle = float(generator.uniform(-most, most))
    if (known | sample.ignore).all():
        return angle
    slight = min(SLIGHT, most)
    quarters = np.arange(-2, 3) * 90.0
    quarters = quarters[np.abs(quarters) <= most]
    return float(generator.choice(quarters)) + float(generator.uniform(-slight, slight))
