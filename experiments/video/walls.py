"""Large pictures of small people: a data set's pictures side by side."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from upright.datasets.sample import Annotations, PedestrianDataset, Sample
from upright.errors import InputError

GREY = 114  # where a picture ends before its place does, and where there is none


class Walls:
    """A data set whose pictures are `across` x `across` of another one's, each in a place as large as the largest.

    People keep their size in pixels; joints and outlines are left out.

    Args:
        dataset: its annotations must know the pictures' sizes.
        across: pictures beside and above each other.

    Raises:
        InputError: a picture of unknown size.
    """

    def __init__(self, dataset: PedestrianDataset, across: int) -> None:
        if not dataset.sizes.all():
            raise InputError("the annotations do not say how large each picture is: add width and height")
        self._dataset = dataset
        self._across = across
        self._place = dataset.sizes.max(axis=0)

    def __len__(self) -> int:
        return -(-len(self._dataset) // self._across**2)

    @property
    def sizes(self) -> np.ndarray:
        """int64 (len, 2), width and height of each wall."""
        return np.tile(self._across * self._place, (len(self), 1))

    def __getitem__(self, index: int) -> Sample:
        """A wall with its full boxes; the rest is in `annotations`."""
        width, height = self.sizes[index]
        image = np.full((height, width, 3), GREY, np.uint8)
        each = self._across**2
        for picture in range(index * each, min((index + 1) * each, len(self._dataset))):
            shown = self._dataset[picture].image
            x, y = self._corner(np.array(picture)).tolist()
            image[y : y + shown.shape[0], x : x + shown.shape[1]] = shown
        a = self.annotations
        rows = a.image_index == index
        corners = np.concatenate([a.boxes[rows, :2], a.boxes[rows, :2] + a.boxes[rows, 2:]], axis=1).astype(np.float32)
        ratio = a.visible_ratio[rows].astype(np.float32)
        return Sample(image, corners, corners, a.ignore[rows], ratio, {}, index, None)

    @cached_property
    def annotations(self) -> Annotations:
        """All boxes in the walls; of equal walls those of the pictures in their order."""
        a = self._dataset.annotations
        corners = self._corner(a.image_index)
        moved = np.concatenate([corners, np.zeros_like(corners)], axis=1)
        return replace(
            a,
            image_ids=list(range(len(self))),
            file_names=[f"wall-{number}.png" for number in range(len(self))],
            sizes=self.sizes,
            image_index=a.image_index // self._across**2,
            boxes=a.boxes + moved,
            visible=np.where(a.visible.any(axis=1, keepdims=True), a.visible + moved, 0),
            joints=None,
            outlines=None,
        )

    def _corner(self, picture: np.ndarray) -> np.ndarray:
        """x and y (..., 2) of where pictures stand in their walls."""
        place = picture % self._across**2
        return np.stack([place % self._across, place // self._across], axis=-1) * self._place
