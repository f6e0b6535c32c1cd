"""How people stand, in columns, and how that stands in `detections.json`.

The entry of a detection says `"lean": 12.3` (degrees of the trunk from upright, clockwise in the picture, -180 to 180)
and `"parts": {"head": {"quadrilateral": [[x, y], ...], "seen": 0.98}, "torso": ..., "legs": ...}`: four corners in
pixels, top left of the upright person first, then clockwise, and how likely the part is seen. A detection without a
pose has neither.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from upright.detector.detected import PART_NAMES, Detected
from upright.errors import InputError


@dataclass(frozen=True)
class PoseColumns:
    """How k detections stand; all of a row is NaN where that is not known.

    Attributes:
        lean: float64 (k,), as of `Detected`.
        parts: float64 (k, 3, 4, 2).
        seen: float64 (k, 3).
    """

    lean: np.ndarray
    parts: np.ndarray
    seen: np.ndarray

    @classmethod
    def of(cls, found: Detected) -> PoseColumns | None:
        """The pose of what was found; None where the detector tells none."""
        if found.lean is None or found.parts is None or found.seen is None:
            return None
        return cls(found.lean, found.parts, found.seen)

    @classmethod
    def joined(cls, poses: Sequence[PoseColumns]) -> PoseColumns:
        """Those of several pictures, one after the other; at least one."""
        columns = zip(*((pose.lean, pose.parts, pose.seen) for pose in poses), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def take(self, rows: np.ndarray) -> PoseColumns:
        """Some of them, in the order of `rows`, int or bool (m,)."""
        return PoseColumns(self.lean[rows], self.parts[rows], self.seen[rows])

    @property
    def known(self) -> np.ndarray:
        """bool (k,): whose pose is known."""
        return np.isfinite(self.lean) & np.isfinite(self.parts).all(axis=(1, 2, 3)) & np.isfinite(self.seen).all(axis=1)


def pose_entries(pose: PoseColumns | None, count: int) -> list[dict[str, Any]]:
    """What `detections.json` says of the pose of each of `count` detections; empty where it is not known."""
    if pose is None:
        return [{} for _ in range(count)]
    # A hundredth of a pixel and a tenth of a degree are finer than any detector is right.
    leans, seen = (pose.lean.round(1) + 0.0).tolist(), pose.seen.round(3).tolist()  # no -0.0
    parts = (pose.parts.round(2) + 0.0).tolist()
    entries: list[dict[str, Any]] = []
    for known, lean, corners, shares in zip(pose.known.tolist(), leans, parts, seen, strict=True):
        if not known:
            entries.append({})
            continue
        named = zip(PART_NAMES, corners, shares, strict=True)
        entries.append({"lean": lean, "parts": {name: {"quadrilateral": q, "seen": s} for name, q, s in named}})
    return entries


def read_pose(results: Sequence[dict[str, Any]], path: str | os.PathLike[str]) -> PoseColumns | None:
    """The pose of detections read from a file; None where none of them has one.

    Args:
        results: the entries.
        path: of the file, for errors.

    Raises:
        InputError: a lean or parts are there and are not what this module says.
    """
    if not any("lean" in result or "parts" in result for result in results):
        return None
    count, corners = len(results), len(PART_NAMES)
    pose = PoseColumns(
        np.full(count, np.nan), np.full((count, corners, 4, 2), np.nan), np.full((count, corners), np.nan)
    )
    for place, result in enumerate(results):
        if "lean" not in result and "parts" not in result:
            continue
        try:
            parts = [result["parts"][name] for name in PART_NAMES]
            pose.lean[place] = _sound(result["lean"], (), 180)
            pose.parts[place] = _sound([part["quadrilateral"] for part in parts], (corners, 4, 2), np.inf)
            pose.seen[place] = _sound([part["seen"] for part in parts], (corners,), 1, least=0)
        except (KeyError, TypeError, ValueError, OverflowError):
            shown = json.dumps({key: result[key] for key in ("lean", "parts") if key in result})[:200]
            raise InputError(
                f'{path}: detection {place} has {shown}, which is no pose: write "lean" in degrees from -180 to 180 '
                f'and "parts" with {", ".join(PART_NAMES)}, each with a "quadrilateral" of four [x, y] and "seen" from '
                "0 to 1, or leave both out"
            ) from None
    return pose


def _sound(values: Any, shape: tuple[int, ...], most: float, least: float | None = None) -> np.ndarray:
    """Finite numbers of that shape, from `least` (default: -`most`) to `most`; ValueError otherwise."""
    array = np.array(values)
    if array.shape != shape or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise ValueError("other numbers than expected")
    if ((array < (-most if least is None else least)) | (array > most)).any():
        raise ValueError("out of range")
    return array.astype(np.float64)
