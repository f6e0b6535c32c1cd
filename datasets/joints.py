"""The joints of people in COCO's order, and how they are read from COCO's `keypoints`.

A column of joints is float32 (n, 17, 3): x and y in pixels, in the frame of the boxes (0 is the left or upper edge of
the first pixel), and v: 0 not labelled, 1 labelled but hidden, 2 seen. Where v is 0, x and y are 0 too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

JOINT_NAMES = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)
JOINTS = len(JOINT_NAMES)
MIRRORED = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)  # joint i of a mirrored person was MIRRORED[i]


def no_joints(n: int) -> np.ndarray:
    """The joints of n people of whom none is labelled. float32 (n, 17, 3), read-only, takes no memory."""
    return np.broadcast_to(np.float32(0), (n, JOINTS, 3))


def moved_joints(joints: np.ndarray, matrix: np.ndarray, width: int, height: int) -> np.ndarray:
    """Joints in a picture that was turned, scaled, cropped or mirrored.

    Args:
        joints: float32 (n, 17, 3).
        matrix: (2, 3), affine, from the old picture to the new; where it mirrors, left and right change names.
        width, height: of the new picture; joints outside it are no longer labelled.

    Returns:
        float32 (n, 17, 3).
    """
    mirrored = np.linalg.det(matrix[:, :2]) < 0
    old = joints[:, MIRRORED] if mirrored else joints
    moved = np.concatenate([old[..., :2] @ matrix[:, :2].T + matrix[:, 2], old[..., 2:]], axis=-1)
    return without_outside(moved.astype(np.float32), width, height)


def without_outside(joints: np.ndarray, width: int, height: int) -> np.ndarray:
    """The same joints, not labelled where they lie outside the picture. float32 (n, 17, 3)."""
    inside = ((joints[..., :2] >= 0) & (joints[..., :2] <= (width, height))).all(axis=-1)
    return np.where((inside & (joints[..., 2] > 0))[..., None], joints, np.float32(0))


def coco_joints(keypoints: Sequence[Any], sizes: np.ndarray) -> tuple[np.ndarray, int, int]:
    """A column of joints from the `keypoints` of COCO JSON; what cannot be used counts as not labelled.

    Args:
        keypoints: of each person, 51 numbers (x, y, v of 17 joints), or None or an empty list without any.
        sizes: (n, 2), width and height of each person's picture, 0 where not known.

    Returns:
        float32 (n, 17, 3); how many people have something else than 51 numbers; how many single joints are not
        finite, lie outside their picture or have a v other than 0, 1 or 2.
    """
    if not any(keypoints):
        return no_joints(len(keypoints)), 0, 0
    column = np.zeros((len(keypoints), JOINTS, 3))
    unreadable = 0
    for row, values in enumerate(keypoints):
        if not values:
            continue
        try:
            column[row] = np.array(values, np.float64).reshape(JOINTS, 3)
        except (TypeError, ValueError, OverflowError):
            unreadable += 1
    labelled = column[..., 2] != 0
    size = np.where(sizes > 0, sizes, np.inf)[:, None]
    places = column[..., :2]
    usable = np.isfinite(column).all(axis=-1) & np.isin(column[..., 2], (1, 2))
    usable &= ((places >= 0) & (places <= size)).all(axis=-1)
    refused = int((labelled & ~usable).sum())
    return np.where((labelled & usable)[..., None], column, 0).astype(np.float32), unreadable, refused
