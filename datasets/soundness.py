"""What can be said of a data set before anything is learnt from it: its pictures are there, somebody is in them."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

from upright.datasets.pictures import picture_size
from upright.datasets.sample import Annotations, PedestrianDataset
from upright.errors import InputError

SHOWN = 20  # faults that are told one by one


def people(annotations: Annotations) -> int:
    """How many boxes are people that count."""
    return int(((annotations.category == 1) & ~annotations.ignore).sum())


def check_pictures(
    dataset: PedestrianDataset, *, decode: bool = False, refuse: Callable[[int, int], None] | None = None
) -> None:
    """Look at every picture that lies in a file of its own: it is there, and of the size that its annotations say.

    Args:
        dataset: one without files of pictures, `paths`, has none to look at unless `decode` is set.
        decode: read every picture as training does, which takes about as long as an epoch without learning; all faults
            are told, not the first alone.
        refuse: raises an `InputError` where a width and a height are none that the model takes.

    Raises:
        InputError: a picture cannot be used.
    """
    paths = getattr(dataset, "paths", None)
    if paths is None and not decode:
        return
    faults = []
    for index in tqdm(range(len(dataset)), desc="looking at pictures", delay=2, leave=False, disable=None):
        try:
            if decode:
                dataset[index]
            if paths is not None and not (decode and refuse is None):
                _refuse_size(paths[index], dataset.sizes[index], refuse)
        except InputError as error:
            if not decode:
                raise
            faults.append(str(error))
    if not faults:
        return
    for fault in faults[1:SHOWN]:
        print(f"warning: {' '.join(fault.split())}", file=sys.stderr)
    raise InputError(f"{len(faults)} of {len(dataset)} pictures cannot be used; {faults[0]}")


def _refuse_size(path: Path, stated: np.ndarray, refuse: Callable[[int, int], None] | None) -> None:
    if not os.path.isfile(path):
        raise InputError(f"the picture {path} is missing: check --root")
    if not stated.all() and refuse is None:
        return
    width, height = picture_size(path)
    if stated.all() and (width, height) != tuple(stated.tolist()):
        raise InputError(
            f"the picture {path} is {width} x {height}, its annotations say {stated[0]} x {stated[1]}: use the picture "
            "that the annotations were made for"
        )
    if refuse is not None:
        try:
            refuse(width, height)
        except InputError as error:
            raise InputError(f"the picture {path} cannot be searched: {error}") from None


def content_digest(annotations: Annotations) -> str:
    """A SHA-256 that changes with any box, flag, size or name, but not with where the files lie."""
    digest = hashlib.sha256()
    digest.update(repr([*annotations.image_ids, *annotations.file_names]).encode())
    columns = {field.name: getattr(annotations, field.name) for field in fields(annotations)} | annotations.attributes
    for name, column in sorted(columns.items()):
        if not isinstance(column, np.ndarray):
            continue
        digest.update(f"{name} {column.shape}".encode())
        if name == "outlines":
            for polygons in column:
                digest.update(repr([polygon.tolist() for polygon in polygons]).encode())
        else:
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
