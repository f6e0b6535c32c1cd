"""Data sets by name. A new data set is one new entry here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from upright.datasets.sample import PedestrianDataset
from upright.errors import InputError

DATASETS = ("synthetic", "coco", "caltech", "citypersons")


def open_dataset(
    name: str,
    root: str | Path | None = None,
    split: str = "val",
    *,
    annotations: Sequence[str] | None = None,
    length: int | None = None,
    every: int | None = None,
    sets: Sequence[int] | None = None,
    riders: bool = False,
    seed: int = 0,
) -> PedestrianDataset:
    """A data set, pictures unread.

    Args:
        name: one of `DATASETS`.
        root: its folder; the synthetic one has none.
        split: "train", "val" or "test"; coco has no splits but its annotation files.
        annotations: coco: the JSON files. caltech: ["original"] or ["new"]. citypersons: a file, if not in `root`.
        length: synthetic: number of pictures.
        every: caltech: every how many frames.
        sets: caltech: which sets, instead of the split's own.
        riders: citypersons: riders count as people.
        seed: synthetic: which world.

    Raises:
        InputError: an unknown name, a missing root or file, annotations that cannot be used.
    """
    if name not in DATASETS:
        raise InputError(f"data set '{name}' is not known: use one of {', '.join(DATASETS)}")
    if name == "synthetic":
        from upright.datasets.synthetic import SyntheticPedestrians

        return SyntheticPedestrians(split, length=length, seed=seed)
    if root is None:
        raise InputError(f"data set '{name}' needs --root, the folder it lies in")
    if not Path(root).is_dir():
        raise InputError(f"the folder {root} does not exist: check --root")
    if name == "coco":
        from upright.datasets.coco import CocoPedestrians

        if not annotations:
            raise InputError("data set 'coco' needs --annotations, one or more JSON files")
        return CocoPedestrians(root, annotations)
    if name == "caltech":
        from upright.datasets.caltech import CaltechPedestrians

        return CaltechPedestrians(root, split, annotations=(annotations or ["original"])[0], every=every, sets=sets)
    from upright.datasets.citypersons import CityPersons

    return CityPersons(root, split, annotations=(annotations or [None])[0], riders=riders)
