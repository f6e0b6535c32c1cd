"""The two types that every data set gives: a `Sample` a picture, and the `Annotations` of all pictures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from upright.datasets.joints import no_joints
from upright.datasets.outlines import no_outlines


@dataclass(frozen=True)
class Sample:
    """One picture and the people in it, as the training sees them.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        boxes: float32 (n, 4), x1 y1 x2 y2 in pixels, the full extent of each person, inside the picture.
        visible: float32 (n, 4), the part of each person that is seen.
        ignore: bool (n,), regions that neither reward nor punish.
        visible_ratio: float32 (n,), area seen over full area, in 0..1.
        attributes: arrays of length n (pose, lean in degrees, label ...).
        id: the picture's id, as the evaluation's files name it.
        path: where the picture lies, or None where it was rendered.
        joints: float32 (n, 17, 3), as `upright.datasets.joints` says; v is 0 where none is labelled, as when left out.
        outlines: object (n,), as `upright.datasets.outlines` says; empty where not known, as when left out.
        turn: degrees, clockwise, by which the scene is turned in the picture: of a rolled camera, or since the picture
            was turned; 0 for pictures as they were taken, whatever they show.
    """

    image: np.ndarray
    boxes: np.ndarray
    visible: np.ndarray
    ignore: np.ndarray
    visible_ratio: np.ndarray
    attributes: dict[str, np.ndarray]
    id: int | str
    path: str | None
    joints: np.ndarray = None  # type: ignore[assignment]  # filled in below
    outlines: np.ndarray = None  # type: ignore[assignment]
    turn: float = 0.0

    def __post_init__(self) -> None:
        _fill_in(self)

    def rows(self, chosen: np.ndarray) -> Sample:
        """The same picture with these people alone; `chosen` are row numbers or bool (n,)."""
        return replace(
            self,
            boxes=self.boxes[chosen],
            visible=self.visible[chosen],
            ignore=self.ignore[chosen],
            visible_ratio=self.visible_ratio[chosen],
            attributes={name: values[chosen] for name, values in self.attributes.items()},
            joints=self.joints[chosen],
            outlines=self.outlines[chosen],
        )


@dataclass(frozen=True)
class Annotations:
    """The annotations of a whole data set in columns, as its files give them, for the evaluation.

    Nothing is clipped, shifted or rounded: published figures depend on the last bit of these numbers.

    Attributes:
        image_ids: the m pictures' ids, in the order of the evaluation.
        file_names: the m pictures' names.
        sizes: int64 (m, 2), width and height in pixels; 0 where the files do not say.
        image_index: int64 (n,), the row of `image_ids` that each box belongs to; the boxes of a picture stand
            in the order of the file.
        boxes: float64 (n, 4), x y w h.
        visible: float64 (n, 4), x y w h; all zero where the files have none.
        ignore: bool (n,), the file's own flag.
        height: float64 (n,), the file's own height, or h of the box.
        visible_ratio: float64 (n,), the file's own ratio; 1 where it has none.
        category: int64 (n,), 1 is a person, whatever number the files give it.
        attributes: arrays of length n (pose, lean in degrees, label ...).
        joints: float32 (n, 17, 3) and
        outlines: object (n,), both as in `Sample`.
        person_ids: the numbers that the files give to people; lists of detections for them use the same.
    """

    image_ids: list[int | str]
    file_names: list[str]
    sizes: np.ndarray
    image_index: np.ndarray
    boxes: np.ndarray
    visible: np.ndarray
    ignore: np.ndarray
    height: np.ndarray
    visible_ratio: np.ndarray
    category: np.ndarray
    attributes: dict[str, np.ndarray] = field(default_factory=dict)
    joints: np.ndarray = None  # type: ignore[assignment]  # filled in below
    outlines: np.ndarray = None  # type: ignore[assignment]
    person_ids: frozenset[int] = frozenset({1})

    def __post_init__(self) -> None:
        _fill_in(self)


def _fill_in(columns: Sample | Annotations) -> None:
    """Give people of whom nothing was said joints and outlines that are not labelled."""
    n = len(columns.boxes)
    if columns.joints is None:
        object.__setattr__(columns, "joints", no_joints(n))
    if columns.outlines is None:
        object.__setattr__(columns, "outlines", no_outlines(n))
    for name in ("joints", "outlines"):
        if len(getattr(columns, name)) != n:
            raise ValueError(f"{n} boxes, but {name} of {len(getattr(columns, name))} people: choose rows of both")


class PedestrianDataset(Protocol):
    """What `open_dataset` gives: samples by index, read lazily, and all annotations without a picture."""

    @property
    def annotations(self) -> Annotations: ...

    @property
    def sizes(self) -> np.ndarray:
        """int64 (len, 2), width and height of each picture; 0 where that is not known without reading it."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...
