"""Does a detector know how people stand? Its lean and its parts against joints. A measure of this project.

A person is found by the surest detection of an overlap of 0.5 (intersection over union of the boxes), at any score, as
in `upright.detector.evaluation.everybody`; people whose trunk is not labelled, and those found without a pose, are left
out. What is true comes from the joints, by `upright.datasets.part_frames`: the lean is that of the torso's frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from upright.datasets.part_frames import HEAD, LEGS, TORSO, frame_lean, frame_matrices, part_frames, parts_seen
from upright.datasets.sample import Annotations
from upright.datasets.turning import wrapped
from upright.detector.detected import PART_NAMES
from upright.detector.evaluation.detections import Detections
from upright.detector.evaluation.everybody import match_everybody

PARTS = (HEAD, TORSO, LEGS)  # the frames of `PART_NAMES`
# Pixels of the longer side of a person's box, which is the height of people who stand; the lower end belongs.
LENGTHS = {
    "under 32": (0, 32),
    "32-64": (32, 64),
    "64-128": (64, 128),
    "128-256": (128, 256),
    "over 256": (256, np.inf),
}
LARGE = 64  # pixels of that side
LEANING = 30  # degrees
STEP = 15  # degrees of the lean to either side


@dataclass(frozen=True)
class PosedPeople:
    """People whose trunk is labelled, and how they were found.

    Attributes:
        length: float64 (n,), the longer side of each box in pixels.
        lean: float64 (n,), the true one in degrees, -180 to 180.
        found: bool (n,), found by a detection with a pose; the others have NaN in what follows.
        turn: float64 (n,), the lean that the detection tells.
        head_inside: float64 (n,), 1 where the centre of the true head's frame is inside the head's quadrilateral, else
            0; NaN where the head has no frame.
        overlaps: float64 (n, 3), of the quadrilaterals of `PART_NAMES` and their true frames; NaN without a frame.
    """

    length: np.ndarray
    lean: np.ndarray
    found: np.ndarray
    turn: np.ndarray
    head_inside: np.ndarray
    overlaps: np.ndarray

    def figures(self, chosen: np.ndarray) -> dict[str, Any]:
        """Of some people, bool (n,); as `pose_figures` says."""
        rows = chosen & self.found
        lean, turn = self.lean[rows], self.turn[rows]
        error = np.abs(wrapped(turn - lean))
        overlaps = {name: _mean(column) for name, column in zip(PART_NAMES, self.overlaps[rows].T, strict=True)}
        return {
            "people": int(chosen.sum()),
            "found": int(rows.sum()),
            "lean_error": float(np.median(error)) if len(error) else None,
            "upside_down": _mean((error > 90).astype(np.float64)),
            "slope": slope(lean, turn),
            "head_inside": _mean(self.head_inside[rows]),
            "overlap": overlaps,
        }


def pose_figures(annotations: Annotations, detections: Detections) -> dict[str, Any] | None:
    """How well lean, parts and what is seen of them were told.

    Args:
        annotations: of a data set, with joints.
        detections: of the same pictures, with their pose.

    Returns:
        "all", "large" (boxes with a side of at least `LARGE` pixels), "leaning" (a true lean of more than `LEANING`
        degrees to either side) and "large_leaning": of these people "people", whose trunk is labelled; "found";
        "lean_error", the median of the angle between told and true lean in degrees, 0 to 180; "upside_down", the share
        over 90 degrees; "slope" (see `slope`); "head_inside", the share of true head centres inside the head's
        quadrilateral; "overlap", the mean intersection over union of each part's quadrilateral and its true frame. What
        cannot be said is None. "by_length" and "by_lean": the same by the longer side of the box and in steps of `STEP`
        degrees of the true lean to either side. "seen": by part, of people found who have any joint, see
        `seen_figures`.

        None where no detection has a pose or nobody's trunk is labelled.
    """
    if detections.pose is None or not detections.pose.known.any():
        return None
    comparison, found = match_everybody(annotations, detections)
    person = comparison.truths.row[np.maximum(found, 0)] if len(comparison.truths.row) else np.zeros(len(found), int)
    detection = comparison.row
    matched = (found >= 0) & detections.pose.known[detection]
    pairs = person[matched], detection[matched]
    counted = comparison.truths.row[comparison.truths.candidate]
    people = posed_people(annotations, detections, counted, *pairs)
    if not len(people.lean):
        return None
    everybody, side = np.ones(len(people.lean), bool), np.abs(people.lean)
    large, leaning = people.length >= LARGE, side > LEANING
    steps = {f"{low}-{low + STEP}": (low, low + STEP) for low in range(0, 180, STEP)}
    return {
        "all": people.figures(everybody),
        "large": people.figures(large),
        "leaning": people.figures(leaning),
        "large_leaning": people.figures(large & leaning),
        "by_length": {
            name: people.figures((people.length >= low) & (people.length < high))
            for name, (low, high) in LENGTHS.items()
        },
        "by_lean": {
            name: people.figures((side >= low) & ((side < high) | (high == 180))) for name, (low, high) in steps.items()
        },
        "seen": seen_figures(parts_seen(annotations.joints[pairs[0]])[:, PARTS], detections.pose.seen[pairs[1]]),
    }


def posed_people(
    annotations: Annotations, detections: Detections, counted: np.ndarray, person: np.ndarray, detection: np.ndarray
) -> PosedPeople:
    """The people of whom it is known how they stand.

    Args:
        annotations: of the data set.
        detections: with a pose.
        counted: int64 (m,), rows of the people that are to be found.
        person, detection: int64 (k,), rows of the people found, and of the detections that found them.
    """
    assert detections.pose is not None
    frames, known = part_frames(annotations.joints[counted])
    labelled = known[:, TORSO]
    counted, frames, known = counted[labelled], frames[labelled][:, PARTS], known[labelled][:, PARTS]
    by = np.full(len(annotations.boxes), -1)
    by[person] = detection
    by = by[counted]
    found = by >= 0
    nothing = np.full(len(counted), np.nan)
    turn, head_inside, overlaps = nothing.copy(), nothing.copy(), np.full((len(counted), len(PARTS)), np.nan)
    turn[found] = detections.pose.lean[by[found]]
    for row in np.flatnonzero(found):
        told = detections.pose.parts[by[row]]
        for part in np.flatnonzero(known[row]):
            overlaps[row, part] = frame_overlap(frames[row, part], told[part])
        if known[row, 0]:
            head_inside[row] = inside_polygon(frames[row, 0, :2], told[0])
    length = annotations.boxes[counted, 2:].max(axis=1, initial=0)
    return PosedPeople(length, frame_lean(frames[:, 1]), found, turn, head_inside, overlaps)


def slope(lean: np.ndarray, turn: np.ndarray) -> float | None:
    """How far the told turn follows the true lean: the slope of the straight line through them by least squares.

    Both are angles from -180 to 180. A turn that is off by at most 90 degrees is taken where it is nearest to the lean,
    so that -179 for 179 is 181; one further off, upside down, as it stands, so that it counts against the slope. An
    answer that is always 0 has slope 0, one at random 0.3, one always upside down -0.5 (of leans in all directions).

    Args:
        lean, turn: float64 (n,), degrees.

    Returns:
        None of fewer than two leans that differ.
    """
    if len(lean) < 2 or np.ptp(lean) == 0:
        return None
    error = wrapped(turn - lean)
    turn = np.where(np.abs(error) <= 90, lean + error, turn)
    centred = lean - lean.mean()
    return float(centred @ (turn - turn.mean()) / (centred @ centred))


def inside_polygon(point: np.ndarray, corners: np.ndarray) -> bool:
    """Whether a point (2,) lies in a polygon (k, 2): a ray from it crosses an odd number of sides."""
    x, y = (corners - point).T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    crosses = (y > 0) != (next_y > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x - y * (next_x - x) / (next_y - y)
    return bool((crosses & (at > 0)).sum() % 2)


def frame_overlap(frame: np.ndarray, corners: np.ndarray) -> float:
    """Intersection over union of a frame (6,), as of `part_frames`, and a polygon (k, 2) whose sides do not cross.

    An affine map keeps the shares of areas, so both are laid where the frame is the square from -1 to 1, and the
    polygon is clipped to it side by side (Sutherland and Hodgman 1974).
    """
    matrix = frame_matrices(frame)
    laid = np.linalg.solve(matrix[:, :2], (corners - matrix[:, 2]).T).T
    clipped = laid
    for axis, sign in ((0, 1), (1, 1), (0, -1), (1, -1)):
        clipped = _clipped(clipped, sign * clipped[:, axis] - 1)
    shared = _area(clipped)
    return shared / (4 + _area(laid) - shared)


def seen_figures(seen: np.ndarray, told: np.ndarray) -> dict[str, dict[str, Any]]:
    """How well it is told which parts are seen.

    Args:
        seen: int8 (k, 3), 1 seen, 0 hidden, -1 not known, by `parts_seen`.
        told: float64 (k, 3), how likely.

    Returns:
        by part "seen" and "hidden", how many; "told_seen" and "told_hidden", the mean of what is told of these; "auc",
        how often a part that is seen is told to be likelier seen than one that is hidden, of all such pairs. None where
        there is nobody to say it of.
    """
    figures = {}
    for name, truth, share in zip(PART_NAMES, seen.T, told.T, strict=True):
        yes, no = share[truth == 1], share[truth == 0]
        figures[name] = {
            "seen": len(yes),
            "hidden": len(no),
            "told_seen": _mean(yes),
            "told_hidden": _mean(no),
            "auc": _auc(yes, no),
        }
    return figures


def _auc(high: np.ndarray, low: np.ndarray) -> float | None:
    """Share of pairs in which the value of `high` is the larger one; a tie counts half."""
    if not len(high) or not len(low):
        return None
    low = np.sort(low)
    below = np.searchsorted(low, high, side="left") + np.searchsorted(low, high, side="right")
    return float(below.mean() / 2 / len(low))


def _clipped(corners: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """A polygon (k, 2) without what lies beyond a line; `beyond` (k,) is each corner's distance, positive beyond it."""
    kept = []
    for i in range(len(corners)):
        j = (i + 1) % len(corners)
        if beyond[i] <= 0:
            kept.append(corners[i])
        if (beyond[i] <= 0) != (beyond[j] <= 0):
            kept.append(corners[i] + (corners[j] - corners[i]) * beyond[i] / (beyond[i] - beyond[j]))
    return np.array(kept).reshape(-1, 2)


def _area(corners: np.ndarray) -> float:
    """Of a polygon (k, 2), whichever way it goes; 0 of none."""
    x, y = corners.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _mean(values: np.ndarray) -> float | None:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else None
