"""A data set with every picture turned by one angle, for the evaluation: `TurnedPedestrians(dataset, 90)`."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from upright.datasets.joints import moved_joints
from upright.datasets.outlines import has_outline, moved_outlines
from upright.datasets.sample import Annotations, PedestrianDataset, Sample
from upright.datasets.turning import hull_boxes, inside, turned_boxes, turned_sample, turning, wrapped
from upright.errors import InputError


class TurnedPedestrians:
    """Every picture of a data set turned clockwise about its centre by the same angle.

    The pictures grow so that nothing is cut off; the new corners have the mean colour. Only people with an outline are
    evaluated, for their boxes are exact at every angle: all others become ignore regions, at 0 degrees too, so that
    the same people count at every angle.

    Args:
        dataset: its annotations must know the pictures' sizes.
        degrees: any angle, clockwise.

    Raises:
        InputError: an angle that is not finite, or (when the annotations are asked for) a picture of unknown size.
    """

    def __init__(self, dataset: PedestrianDataset, degrees: float) -> None:
        if not np.isfinite(degrees):
            raise InputError(f"pictures cannot be turned by {degrees} degrees: use a finite number")
        self.dataset = dataset
        self.degrees = float(degrees)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        ignore = sample.ignore | ~has_outline(sample.outlines)
        return turned_sample(replace(sample, ignore=ignore), self.degrees)

    @property
    def sizes(self) -> np.ndarray:
        """int64 (len, 2), width and height of each turned picture; 0 where that of the picture is not known."""
        sizes = [
            turning(width, height, self.degrees)[1:] if width and height else (0, 0)
            for width, height in self.dataset.sizes.tolist()
        ]
        return np.array(sizes, np.int64).reshape(-1, 2)

    @cached_property
    def annotations(self) -> Annotations:
        """All boxes in the turned pictures."""
        a = self.dataset.annotations
        ignore = a.ignore | ~has_outline(a.outlines)
        boxes, visible = a.boxes.copy(), a.visible.copy()
        joints, outlines = a.joints.copy(), a.outlines.copy()
        rows_of = np.split(
            np.argsort(a.image_index, kind="stable"),
            np.cumsum(np.bincount(a.image_index, minlength=len(a.image_ids)))[:-1],
        )
        for index, rows in enumerate(rows_of):
            if not len(rows):
                continue
            width, height = a.sizes[index].tolist()
            if not (width and height):
                raise InputError(
                    f"the annotations do not say how large {a.file_names[index]} is: without its width and height "
                    "its boxes cannot be turned"
                )
            matrix, wide, tall = turning(width, height, self.degrees)
            full = turned_boxes(_corners(a.boxes[rows]), a.joints[rows], a.outlines[rows], ignore[rows], matrix)
            seen = inside(hull_boxes(_corners(a.visible[rows]), matrix), full)
            whole = (a.visible[rows] == a.boxes[rows]).all(axis=1, keepdims=True)
            given = a.visible[rows].any(axis=1, keepdims=True)
            boxes[rows] = _sides(full)
            visible[rows] = np.where(given, _sides(np.where(whole, full, seen)), 0)
            joints[rows] = moved_joints(a.joints[rows], matrix, wide, tall)
            outlines[rows] = moved_outlines(a.outlines[rows], matrix, wide, tall)
        attributes = dict(a.attributes)
        if "lean" in attributes:
            attributes["lean"] = np.asarray(wrapped(attributes["lean"] + self.degrees), attributes["lean"].dtype)
        return replace(
            a,
            sizes=self.sizes,
            boxes=boxes,
            visible=visible,
            ignore=ignore,
            height=boxes[:, 3].copy(),
            attributes=attributes,
            joints=joints,
            outlines=outlines,
        )


def _corners(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _sides(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
