"""Data sets by name.

A new data set is one new module with an `ENTRY` (`entry.py` says what that holds), and one new line in `DATASETS`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from upright.datasets.entry import DatasetEntry
from upright.datasets.sample import PedestrianDataset
from upright.errors import InputError

DATASETS = {
    "synthetic": "upright.datasets.synthetic.splits",
    "coco": "upright.datasets.coco",
    "caltech": "upright.datasets.caltech.dataset",
    "citypersons": "upright.datasets.citypersons",
    "yolo": "upright.datasets.yolo",
    "voc": "upright.datasets.voc",
    "crowdhuman": "upright.datasets.crowdhuman",
    "motchallenge": "upright.datasets.motchallenge",
    "kitti": "upright.datasets.kitti",
    "eurocity": "upright.datasets.eurocity",
}


def dataset_entry(name: str) -> DatasetEntry:
    """What the data set called `name` declares of itself.

    Raises:
        InputError: there is none of that name.
    """
    if name not in DATASETS:
        raise InputError(f"data set '{name}' is not known: use one of {', '.join(DATASETS)}")
    return import_module(DATASETS[name]).ENTRY


def open_dataset(
    name: str, root: str | Path | None = None, split: str = "val", *, seed: int = 0, **options: Any
) -> PedestrianDataset:
    """A data set, its images unread.

        open_dataset("coco", "people", annotations=["street_train.json", "voc_train.json"])
        open_dataset("caltech", "caltech", "train", annotations=["new"], every=3, sets=[0, 1])

    Args:
        name: one of `DATASETS`.
        root: its folder; the synthetic one has none.
        split: "train", "val" or "test"; coco has no splits but its annotation files.
        seed: of data sets that are made at random.
        options: those that the data set's `ENTRY` declares; None is an option not given.

    Raises:
        InputError: an unknown name or option, a missing root or file, annotations that cannot be used.
    """
    entry = dataset_entry(name)
    given = {option: value for option, value in options.items() if value is not None}
    known = entry.options()
    for option in given:
        if option not in known:
            raise InputError(f"data set '{name}' has no option '{option}', only {', '.join(known)}: leave it out")
    if entry.seeded:
        given["seed"] = seed
    if not entry.needs_root:
        return entry.open(None, split, **given)
    if root is None:
        raise InputError(f"data set '{name}' needs --root, the folder it lies in")
    if not Path(root).is_dir():
        raise InputError(f"the folder {root} does not exist: check --root")
    return entry.open(Path(root), split, **given)
