"""Which picture of a data set each picture of a file of detections is: by their names where both sides have them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from upright.datasets.sample import Annotations
from upright.errors import InputError


def rows_by_image_id(images: Any, annotations: Annotations, path: Path) -> dict[Any, int]:
    """The row of `annotations` that each image id of a file of detections means.

    Ids alone are not to be trusted: both sides count in an order of their own. A name on one side may have more folders
    in front than on the other; of several pictures that end alike, the one that shares most of the name is meant, and
    of equal ones that of the same id.

    Args:
        images: the entries of the file's `images`, with `id` and `file_name`; anything else for a file without.
        annotations: of the data set.
        path: the file, for errors.

    Raises:
        InputError: a picture is not in the data set, or could be several; two are the same.
    """
    by_id = {image_id: row for row, image_id in enumerate(annotations.image_ids)}
    named = all(
        name != str(image_id) for name, image_id in zip(annotations.file_names, annotations.image_ids, strict=True)
    )
    if not named or not _have_names(images):
        return by_id
    names = [image["file_name"] for image in images]
    ids = [image["id"] for image in images]
    if names == annotations.file_names and ids == annotations.image_ids:
        return by_id
    ending: dict[str, list[int]] = defaultdict(list)
    known = [_parts(name) for name in annotations.file_names]
    for row, parts in enumerate(known):
        ending[parts[0]].append(row)
    rows: dict[Any, int] = {}
    taken: dict[int, str] = {}
    for image_id, name in zip(ids, names, strict=True):
        found = _row_of(_parts(name), ending, known, by_id.get(image_id))
        if found is None:
            raise InputError(
                f"{path}: {_shown(name)} (image {_shown(image_id)}) is not a picture of the data set, or could be "
                "several; detections and ground truth must be of the same pictures (a list of the detections alone is "
                "matched by image_id)"
            )
        if found in taken:
            raise InputError(
                f"{path}: {_shown(taken[found])} and {_shown(name)} are the same picture of the data set; keep one"
            )
        rows[image_id], taken[found] = found, name
    return rows


def _have_names(images: Any) -> bool:
    """Whether every entry has an id and a name."""
    return (
        isinstance(images, list)
        and bool(images)
        and all(
            isinstance(image, dict)
            and isinstance(image.get("file_name"), str)
            and bool(image["file_name"])
            and isinstance(image.get("id"), int | str)
            for image in images
        )
    )


def _parts(name: str) -> list[str]:
    """The file's name, its folder, the folder above ..."""
    return [part for part in reversed(name.replace("\\", "/").split("/")) if part not in ("", ".")] or [name]


def _row_of(
    parts: Sequence[str], ending: dict[str, list[int]], known: Sequence[Sequence[str]], of_same_id: int | None
) -> int | None:
    candidates = ending.get(parts[0], [])
    if len(candidates) > 1:
        shared = [_shared(parts, known[row]) for row in candidates]
        candidates = [row for row, count in zip(candidates, shared, strict=True) if count == max(shared)]
    if len(candidates) > 1 and of_same_id in candidates:
        return of_same_id
    return candidates[0] if len(candidates) == 1 else None


def _shared(first: Sequence[str], second: Sequence[str]) -> int:
    """How many parts of two names are the same, from the end."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def _shown(value: Any) -> str:
    return json.dumps(value)[:200]
