"""Frames of a person's parts, from joints: where a transformer that straightens the part should look.

A frame is a rectangle in the picture that may be turned: a centre, an axis that points up the body, half a height along
the axis and half a width across it. In the notation of Jaderberg et al. 2015 it is one affine theta
(`frame_matrices`), with target coordinates from -1 to 1, x to the right and y down.

- *torso*: along the line from mid-hip to mid-shoulder. Of people of whom one side alone is labelled, that side's line.
- *head*: along the line from mid-shoulder to the middle of nose, eyes and ears, which is the centre.
- *legs*: along the line from mid-ankle to mid-hip, from the knees where no ankle is labelled.
- *whole*: along the torso's axis, over all labelled joints and the head.

A part has no frame where joints that its line needs are not labelled, or where the line points at the camera and is too
short to have a direction.
"""

from __future__ import annotations

import numpy as np

PARTS = ("whole", "head", "torso", "legs")
WHOLE, HEAD, TORSO, LEGS = range(len(PARTS))

# All shares were chosen by looking at frames drawn on photographs and on rendered people.
TORSO_HEIGHT = 0.58  # half height, of the line from hip to shoulder: a little beyond both
TORSO_WIDTH = 0.42  # least half width, of the same line: of people seen from the side
HEAD_HEIGHT = 0.85  # half height, of the distance from mid-shoulder to the face: crown to below the chin
HEAD_WIDTH = 0.75  # half width, of the same
HEAD_LEAST = 0.34  # least distance from mid-shoulder to the face, of the torso's line: of heads seen from above
LEGS_HEIGHT = 0.57  # half height, of the line from ankle to hip: down to the soles
LEGS_WIDTH = 0.22  # least half width, of the same
ACROSS = 1.2  # half width, of the half width that the part's own joints span
MARGIN = 0.25  # round all joints of the whole person, of the torso's line: hands, soles, the width of limbs
LEAST_LINE = 0.3  # a line shorter than this share of the distance between the shoulders has no direction
LEAST_PIXELS = 2.0  # nor has one of fewer pixels

_FACE = slice(0, 5)
_SHOULDERS, _HIPS, _KNEES, _ANKLES = slice(5, 7), slice(11, 13), slice(13, 15), slice(15, 17)
# The joints by which a part is seen or not, in the order of `PARTS`, and how many of them have to be seen: of a head
# from behind that is one ear.
PART_JOINTS = (list(range(17)), [0, 1, 2, 3, 4], [5, 6, 11, 12], [13, 14, 15, 16])
JOINTS_SEEN = (8, 1, 2, 2)


def part_frames(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frames of all parts of n people.

    Args:
        joints: (n, 17, 3), as `upright.datasets.joints` says.

    Returns:
        float64 (n, 4, 6), the parts in the order of `PARTS`: x and y of the centre, x and y of the unit vector that
        points up the body (y down, as in the picture), half height, half width, in pixels; all zero without a frame.
        bool (n, 4): which parts have a frame.
    """
    joints = np.asarray(joints, np.float64).reshape(-1, 17, 3)
    places, labelled = joints[..., :2], joints[..., 2] > 0
    frames = np.zeros((len(joints), len(PARTS), 6))
    known = np.zeros((len(joints), len(PARTS)), bool)
    for row in range(len(joints)):
        found = _frames(places[row], labelled[row])
        for part, frame in found.items():
            frames[row, part], known[row, part] = frame, True
    return frames, known


def parts_seen(joints: np.ndarray) -> np.ndarray:
    """Which parts of n people are seen: enough of the part's joints are labelled as seen.

    Args:
        joints: (n, 17, 3), as `upright.datasets.joints` says.

    Returns:
        int8 (n, 4), in the order of `PARTS`: 1 seen, 0 not, -1 of people without any joint, of whom nobody knows.
    """
    visible = np.asarray(joints).reshape(-1, 17, 3)[..., 2]
    seen = np.stack(
        [(visible[:, rows] > 1.5).sum(axis=1) >= n for rows, n in zip(PART_JOINTS, JOINTS_SEEN, strict=True)], axis=1
    )
    return np.where((visible > 0).any(axis=1, keepdims=True), seen, -1).astype(np.int8)


def frame_matrices(frames: np.ndarray) -> np.ndarray:
    """The affine matrices (..., 2, 3) that lay the square from -1 to 1 on the frames (..., 6), in pixels."""
    x, y, up_x, up_y, high, wide = np.moveaxis(frames, -1, 0)
    return np.stack(
        [np.stack([-up_y * wide, -up_x * high, x], axis=-1), np.stack([up_x * wide, -up_y * high, y], axis=-1)], axis=-2
    )


def frame_corners(frames: np.ndarray) -> np.ndarray:
    """The corners (..., 4, 2) of frames (..., 6) in pixels: top left of the upright part first, then clockwise."""
    square = np.array(((-1, -1, 1), (1, -1, 1), (1, 1, 1), (-1, 1, 1)), np.float64)
    return square @ np.swapaxes(frame_matrices(frames), -1, -2)


def frame_lean(frames: np.ndarray) -> np.ndarray:
    """Degrees of the frames' axes from upright, clockwise, -180 to 180. (...)"""
    return np.degrees(np.arctan2(frames[..., 2], -frames[..., 3]))


def _frames(places: np.ndarray, labelled: np.ndarray) -> dict[int, np.ndarray]:
    """The frames of one person's parts, those that there are."""
    found: dict[int, np.ndarray] = {}
    shoulders = places[_SHOULDERS]
    both_shoulders = bool(labelled[_SHOULDERS].all())
    least = max(LEAST_PIXELS, LEAST_LINE * float(np.hypot(*(shoulders[0] - shoulders[1]))) if both_shoulders else 0.0)
    sides = labelled[_SHOULDERS] & labelled[_HIPS]
    line = _line(places[_HIPS], shoulders, sides)
    torso = 0.0
    if line is not None and np.hypot(*(line[1] - line[0])) >= least:
        torso = float(np.hypot(*(line[1] - line[0])))
        own = np.concatenate([shoulders[sides], places[_HIPS][sides]])
        found[TORSO] = _along(*line, own, TORSO_HEIGHT, TORSO_WIDTH)
    if both_shoulders and labelled[_FACE].any():
        face, between = places[_FACE][labelled[_FACE]].mean(axis=0), shoulders.mean(axis=0)
        reach = float(np.hypot(*(face - between)))
        if reach >= least:
            size = max(reach, HEAD_LEAST * torso)
            found[HEAD] = np.array([*face, *(face - between) / reach, HEAD_HEIGHT * size, HEAD_WIDTH * size])
    feet = _ANKLES if (labelled[_ANKLES] & labelled[_HIPS]).any() else _KNEES
    sides = labelled[feet] & labelled[_HIPS]
    line = _line(places[feet], places[_HIPS], sides)
    if line is not None and np.hypot(*(line[1] - line[0])) >= max(least, LEAST_LINE * torso):
        own = np.concatenate([places[part][labelled[part]] for part in (_HIPS, _KNEES, _ANKLES)])
        found[LEGS] = _along(*line, own, LEGS_HEIGHT, LEGS_WIDTH)
    if TORSO in found:
        found[WHOLE] = _whole(places[labelled], found[TORSO][2:4], torso, found.get(HEAD))
    return found


def _line(low: np.ndarray, high: np.ndarray, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Between the middles of two pairs of joints, of the sides on which both ends are labelled."""
    return (low[sides].mean(axis=0), high[sides].mean(axis=0)) if sides.any() else None


def _along(low: np.ndarray, high: np.ndarray, own: np.ndarray, height: float, width: float) -> np.ndarray:
    """The frame along a line, as wide as the part's own joints (k, 2) ask for."""
    length = float(np.hypot(*(high - low)))
    axis = (high - low) / length
    centre = (low + high) / 2
    span = float(np.abs((own - centre) @ (-axis[1], axis[0])).max())
    return np.array([*centre, *axis, height * length, max(width * length, ACROSS * span)])


def _whole(places: np.ndarray, axis: np.ndarray, torso: float, head: np.ndarray | None) -> np.ndarray:
    """The frame along the axis over all joints (k, 2) with a margin, and over the head where it has a frame."""
    points = places
    if head is not None:
        points = np.concatenate([places, frame_corners(head)])
    across = np.array((-axis[1], axis[0]))
    along, aside = points @ axis, points @ across
    low, left, right = along.min() - MARGIN * torso, aside.min() - MARGIN * torso, aside.max() + MARGIN * torso
    # The head's frame leaves air over the crown already.
    high = along.max() if head is not None else along.max() + MARGIN * torso
    centre = axis * (low + high) / 2 + across * (left + right) / 2
    return np.array([*centre, *axis, (high - low) / 2, (right - left) / 2])
