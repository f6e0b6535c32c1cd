"""CrowdHuman (S. Shao et al., 2018): .odgt files, one JSON object a line and picture.

    ROOT/Images/ID.jpg, ROOT/annotation_train.odgt, ROOT/annotation_val.odgt

Boxes are `fbox`, the whole person, with `vbox`, the part that is seen. Boxes of the tag `mask` (reflections, figures,
crowds) and those marked `ignore` in `extra` are ignore regions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from upright.datasets.annotated import (
    AnnotatedBox,
    AnnotatedPicture,
    AnnotatedPictures,
    Box,
    collected,
    find_picture,
    named_file,
    text_lines,
)
from upright.datasets.entry import DatasetEntry, Flag, NoSplit
from upright.errors import InputError

TAGS = ("person", "mask")
FOLDERS = ("Images", "images", "Images/{split}", "CrowdHuman_{split}/Images", ".")


def open_crowdhuman(root: Path, split: str, *, annotations: Sequence[str | Path] = ()) -> AnnotatedPictures:
    """As the registry opens it; `annotations` are .odgt files in place of ROOT/annotation_SPLIT.odgt.

    Raises:
        InputError: a file or picture that is missing or damaged.
    """
    files = [named_file(root, name) for name in annotations]
    if not files:
        usual = (root / place / f"annotation_{split}.odgt" for place in (".", "annotations"))
        files = [path for path in usual if path.is_file()][:1]
    if not files:
        raise NoSplit(f"{root} has no annotation_{split}.odgt: fetch it, or name one with --annotations")
    folders = [root / place.format(split=split) for place in FOLDERS]
    pictures = []
    for path in files:
        for where, line in text_lines(path):
            name, boxes = _read(line, where)
            places = (find_picture(folder, name) for folder in folders if folder.is_dir())
            found = next((place for place in places if os.path.isfile(place)), folders[0] / f"{name}.jpg")
            pictures.append(AnnotatedPicture(found, (0, 0), boxes))
    return collected(root, pictures)


def _read(line: str, where: str) -> tuple[str, list[AnnotatedBox]]:
    """A picture's id and its boxes."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError(f"{where}: no JSON; fetch or export the file again") from None
    name = content.get("ID") if isinstance(content, dict) else None
    rows = content.get("gtboxes", []) if isinstance(content, dict) else None
    if not isinstance(name, str) or not name or not isinstance(rows, list):
        raise InputError(f"{where}: no ID and gtboxes of CrowdHuman; fetch or export the file again")
    return name, [_box(row, where) for row in rows]


def _box(row: Any, where: str) -> AnnotatedBox:
    tag = row.get("tag") if isinstance(row, dict) else None
    if tag not in TAGS:
        raise InputError(f"{where}: an entry of gtboxes has a tag other than {' and '.join(TAGS)}; correct it")
    extra = row.get("extra") or {}
    if not isinstance(extra, dict) or extra.get("ignore", 0) not in (0, 1):
        raise InputError(f"{where}: ignore in extra is neither 0 nor 1; correct it")
    return AnnotatedBox(
        box=_numbers(row.get("fbox"), "fbox", where),
        where=where,
        ignore=tag == "mask" or extra.get("ignore", 0) == 1,
        visible=_numbers(row["vbox"], "vbox", where) if "vbox" in row else None,
        label=tag,
    )


def _numbers(value: Any, name: str, where: str) -> Box:
    if not isinstance(value, list) or len(value) != 4 or not all(type(number) in (int, float) for number in value):
        raise InputError(f"{where}: a {name} is not four numbers x, y, width, height; correct it")
    try:
        x, y, width, height = map(float, value)
    except OverflowError:
        raise InputError(f"{where}: a number of a {name} is too large; correct it") from None
    return x, y, width, height


ENTRY = DatasetEntry(
    open=open_crowdhuman,
    flags=(
        Flag("annotations", ".odgt files (default ROOT/annotation_SPLIT.odgt)", many=True),
        Flag("val_annotations", ".odgt files to validate on (default: val)", many=True, use="validation"),
    ),
    validation=lambda options: {"annotations": options["val_annotations"]},
)
