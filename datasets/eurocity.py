"""EuroCity Persons (M. Braun et al., PAMI 2019): a JSON file a picture.

    ROOT/{day,night}/img/{train,val}/CITY/NAME.png, ROOT/{day,night}/labels/{train,val}/CITY/NAME.json

or img and labels in ROOT itself. Pedestrians count. As in the benchmark, riders and groups of people far away are
ignore regions; so are pedestrians tagged as a depiction or a reflection. Other classes are background. The visible
ratio is the middle of the range that the tags name: 0.75 for `occluded>10`, 0.4 for `occluded>40`, 0.1 for
`occluded>80`, likewise for `truncated`; the lowest one of several.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from upright.datasets.annotated import (
    AnnotatedBox,
    AnnotatedPicture,
    AnnotatedPictures,
    collected,
    find_picture,
    named_file,
)
from upright.datasets.entry import DatasetEntry, Flag, NoSplit
from upright.errors import InputError

COUNTED = "pedestrian"
IGNORED = {"rider", "person-group-far-away", "rider+vehicle-group-far-away"}
NOT_REAL = {"depiction", "reflection"}
VISIBLE = {
    f"{cause}>{share}": ratio
    for cause in ("occluded", "truncated")
    for share, ratio in ((10, 0.75), (40, 0.4), (80, 0.1))
}
EDGES = ("x0", "y0", "x1", "y1")
TIMES = (".", "day", "night")


def open_eurocity(root: Path, split: str, *, annotations: Sequence[str | Path] = ()) -> AnnotatedPictures:
    """As the registry opens it; `annotations` are times of day (`day`, `night`) in place of all that there are.

    Raises:
        InputError: a file or picture that is missing or damaged.
    """
    bases = [named_file(root, name) for name in annotations] or [root / time for time in TIMES]
    present = [base for base in bases if (base / "labels").is_dir()]
    if not present:
        raise InputError(f"{root} has neither labels nor day/labels nor night/labels: check --root")
    chosen = [base for base in present if (base / "labels" / split).is_dir()]
    if not chosen:
        raise NoSplit(f"{present[0] / 'labels'} has no folder '{split}': choose another split")
    pictures = [_read(path, base) for base in chosen for path in sorted((base / "labels" / split).rglob("*.json"))]
    return collected(root, pictures)


def _read(path: Path, base: Path) -> AnnotatedPicture:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}): check the path") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON ({error}): fetch it again") from None
    if not isinstance(content, dict) or not isinstance(content.get("children"), list):
        raise InputError(f"{path} has no 'children', so it is not of EuroCity Persons: check --root")
    width, height = (_number(content, key, str(path)) for key in ("imagewidth", "imageheight"))
    if not 0 < width < 1e6 or not 0 < height < 1e6:
        raise InputError(f"{path}: a picture of {width:g} x {height:g} is not possible; correct it")
    folder = base / "img" / path.parent.relative_to(base / "labels")
    boxes = []
    for number, child in enumerate(content["children"], start=1):
        where = f"{path}, child {number}"
        kind = child.get("identity") if isinstance(child, dict) else None
        if not isinstance(kind, str):
            raise InputError(f"{where}: it has no identity; fetch the file again")
        if kind == COUNTED or kind in IGNORED:
            boxes.append(_box(child, kind, where))
    return AnnotatedPicture(find_picture(folder, path.stem), (int(width), int(height)), boxes)


def _box(child: dict[str, Any], kind: str, where: str) -> AnnotatedBox:
    left, top, right, bottom = (_number(child, edge, where) for edge in EDGES)
    tags = child.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InputError(f"{where}: its tags are no list of words; correct it")
    return AnnotatedBox(
        box=(left, top, right - left, bottom - top),
        where=where,
        ignore=kind in IGNORED or not NOT_REAL.isdisjoint(tags),
        visible_ratio=min([VISIBLE[tag] for tag in tags if tag in VISIBLE], default=1.0),
        label=kind,
    )


def _number(values: dict[str, Any], key: str, where: str) -> float:
    value: Any = values.get(key)
    if type(value) not in (int, float) or not abs(value) < 1e9:
        raise InputError(f"{where}: {key} is no finite number; correct it")
    return float(value)


ENTRY = DatasetEntry(
    open=open_eurocity,
    flags=(
        Flag("annotations", "day, night or both (default what there is)", many=True),
        Flag("val_annotations", "the same, to validate on (default what there is)", many=True, use="validation"),
    ),
    validation=lambda options: {"annotations": options["val_annotations"] or options["annotations"]},
)
