"""Parts of a data set: pictures kept aside, to validate or calibrate on what was not trained on; those with joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from upright.datasets.sample import Annotations, PedestrianDataset, Sample
from upright.errors import InputError

# Of `Annotations`: what does not hold one value for each box, or is worked out here.
_OTHER_COLUMNS = {"image_ids", "file_names", "sizes", "image_index", "attributes", "person_ids"}


class DatasetRows:
    """Some pictures of a data set, as a data set.

    Args:
        dataset: the whole.
        rows: int64 (m,), rising, of the pictures that belong to the part.
    """

    def __init__(self, dataset: PedestrianDataset, rows: np.ndarray) -> None:
        self.dataset = dataset
        self.rows = np.asarray(rows, np.int64)
        self.annotations = annotations_of_rows(dataset.annotations, self.rows)
        paths = getattr(dataset, "paths", None)
        self.paths = None if paths is None else [paths[row] for row in self.rows]

    @property
    def sizes(self) -> np.ndarray:
        """int64 (len, 2), width and height of each picture; 0 where that is not known without reading it."""
        return self.dataset.sizes[self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        return self.dataset[int(self.rows[index])]


def annotations_of_rows(annotations: Annotations, rows: np.ndarray) -> Annotations:
    """The annotations of some pictures, their boxes in the order that they had.

    Args:
        annotations: of the whole.
        rows: int64 (m,), different rows of `annotations.image_ids`.
    """
    place = np.full(len(annotations.image_ids), -1, np.int64)
    place[rows] = np.arange(len(rows))
    boxes = np.flatnonzero(place[annotations.image_index] >= 0)
    of_boxes = [one.name for one in fields(Annotations) if one.name not in _OTHER_COLUMNS]
    return replace(
        annotations,
        image_ids=[annotations.image_ids[row] for row in rows],
        file_names=[annotations.file_names[row] for row in rows],
        sizes=annotations.sizes[rows],
        image_index=place[annotations.image_index[boxes]],
        **{name: getattr(annotations, name)[boxes] for name in of_boxes},
        attributes={name: values[boxes] for name, values in annotations.attributes.items()},
    )


def held_out(lengths: Sequence[int], every: int) -> np.ndarray:
    """Which pictures are kept aside: in each part those in places every - 1, 2 every - 1 and so on, from 0.

    Args:
        lengths: pictures of each part, which stand one behind the other.
        every: 2 or more.

    Returns:
        bool (sum of lengths,).
    """
    places = np.concatenate([np.zeros(0, np.int64), *(np.arange(length) for length in lengths)])
    return places % every == every - 1


def hold_out(dataset: PedestrianDataset, every: int) -> tuple[DatasetRows, DatasetRows]:
    """A data set in two: what is trained on, and every n-th picture, kept aside, n being `every`.

    Pictures are counted within each annotation file, where a data set has several (`file_lengths`), so that a file
    is divided alike whatever stands beside it.

    Raises:
        InputError: `every` is under 2, or so many that no picture is kept aside.
    """
    if every < 2:
        raise InputError(f"--hold-out {every} leaves no picture to train on: use 2 or more, or 0 to hold out nothing")
    aside = held_out(getattr(dataset, "file_lengths", [len(dataset)]), every)
    if not aside.any():
        raise InputError(f"--hold-out {every} holds nothing out of {len(dataset)} pictures: use a smaller number")
    return DatasetRows(dataset, np.flatnonzero(~aside)), DatasetRows(dataset, np.flatnonzero(aside))


def with_joints(dataset: PedestrianDataset) -> DatasetRows:
    """The pictures of a data set in which somebody has a labelled joint."""
    annotations = dataset.annotations
    labelled = (annotations.joints[..., 2] > 0).any(axis=1)
    return DatasetRows(dataset, np.unique(annotations.image_index[labelled]))
