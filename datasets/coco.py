"""COCO-style JSON: pictures and boxes of people, `iscrowd` or `ignore` for regions that do not count.

Reads the field names of COCO (`file_name`) and of the CityPersons evaluation (`im_name`, `vis_bbox`, `vis_ratio`,
`height`). The list `categories` tells which category is a person, and in files without it that is 1; boxes of other
categories are background. `keypoints` (17 joints) and `segmentation` (polygons) are read where they are there.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from upright.datasets.annotated import PERSON, AnnotatedPictures
from upright.datasets.entry import PERSON_FLAG, DatasetEntry, Flag, Options, validated_on_files
from upright.datasets.joints import coco_joints
from upright.datasets.outlines import coco_outlines
from upright.datasets.persons import person_names, person_number
from upright.datasets.sample import Annotations
from upright.errors import InputError

GZIP_START = b"\x1f\x8b"
OTHER = 0  # category of all that is no person
FLAGS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
MOST, FEW = 0.5, 0.2  # shares of the boxes beyond which a fault is that of the whole file


def read_annotations(path: str | Path, person: str | None = None) -> Annotations:
    """The columns of one JSON file, numbers as they stand in it; people have category 1 whatever theirs is in the file.

    Args:
        path: an object with lists `images` and `annotations`.
        person: the name of the category that is a person, or its number in a file without names; None looks for it.

    Raises:
        InputError: the file cannot be read, no category is a person, an id stands twice or is not known, or a box is
            not finite, has no area or lies wholly outside its picture.
    """
    path = Path(path)
    data = _load(path)
    try:
        annotations = _columns(data["images"], data["annotations"], path)
        persons = _persons(data.get("categories"), annotations.category, person, path)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"a field in {path} is of the wrong type ({error}): ids must be numbers or texts, the other fields numbers"
        ) from None
    is_person = np.isin(annotations.category, sorted(persons))
    return replace(annotations, category=np.where(is_person, PERSON, OTHER), person_ids=frozenset(persons))


def _persons(categories: Any, used: np.ndarray, wanted: str | None, path: Path) -> set[int]:
    """The numbers of the categories that are people."""
    number = None if wanted is None else person_number(wanted)
    if not categories:
        persons = {PERSON} if wanted is None else set() if number is None else {number}
        if len(used) and not np.isin(used, sorted(persons)).any():
            listed = ", ".join(map(str, np.unique(used)[:30].tolist()))
            raise InputError(
                f"{path} names no categories and has boxes of {listed}: add 'categories', or give the number of "
                "people with --person NUMBER"
            )
        return persons
    sound = isinstance(categories, list) and all(
        isinstance(category, Mapping) and isinstance(category.get("name"), str) and type(category.get("id")) is int
        for category in categories
    )
    if not sound:
        raise InputError(f"an entry of 'categories' in {path} has no number 'id' and text 'name': add what is missing")
    names = {category["id"]: category["name"] for category in categories}
    unlisted = ~np.isin(used, list(names))
    if unlisted.any():
        numbers = ", ".join(map(str, np.unique(used[unlisted])[:30].tolist()))
        print(
            f"warning: {unlisted.sum()} boxes are of categories that 'categories' does not list ({numbers}), so they "
            f"are background: {path}",
            file=sys.stderr,
        )
    if number is not None and number in names and wanted not in names.values():
        return {number}
    found = person_names(names.values(), wanted, path)
    return {number for number, name in names.items() if name in found}


def _columns(images: list[dict[str, Any]], rows: list[dict[str, Any]], path: Path) -> Annotations:
    ids = [image["id"] for image in images]
    _refuse_duplicates(ids, "image", path)
    _refuse_duplicates([row["id"] for row in rows if "id" in row], "annotation", path)
    index = {image_id: i for i, image_id in enumerate(ids)}
    for row in rows:
        if row["image_id"] not in index:
            raise InputError(
                f"annotation {row.get('id', '?')} in {path} names the unknown image id {row['image_id']}: "
                "add the image or remove the annotation"
            )
    boxes = _boxes("bbox", rows, path)
    image_index = np.array([index[row["image_id"]] for row in rows], np.int64)
    sizes = np.array([[image.get("width") or 0, image.get("height") or 0] for image in images], np.int64)
    sizes = sizes.reshape(-1, 2)
    joints, outlines = _bodies(rows, boxes, sizes[image_index], path)
    annotations = Annotations(
        image_ids=ids,
        file_names=[
            str(image.get("file_name") or image.get("im_name") or image["id"]).replace("\\", "/") for image in images
        ],
        sizes=sizes,
        image_index=image_index,
        boxes=boxes,
        visible=_boxes("vis_bbox", rows, path, empty=True),
        ignore=np.array([_flag(row.get("ignore")) or _flag(row.get("iscrowd")) for row in rows], bool),
        height=np.array([row.get("height", box[3]) for row, box in zip(rows, boxes, strict=True)], np.float64),
        visible_ratio=np.array([row.get("vis_ratio", 1.0) for row in rows], np.float64),
        category=np.array([row.get("category_id", PERSON) for row in rows], np.int64),
        joints=joints,
        outlines=outlines,
    )
    for name, values in (("height", annotations.height), ("vis_ratio", annotations.visible_ratio)):
        if not (np.isfinite(values) & (values >= 0)).all():
            raise InputError(f"a {name} in {path} is not finite or negative: correct it")
    if (annotations.sizes < 0).any():
        raise InputError(f"an image in {path} has a negative width or height: correct it")
    _refuse_outside(annotations, rows, path)
    return annotations


def _flag(value: Any) -> bool:
    """A flag as people write it: a number, true and false, or one of these as text."""
    if not isinstance(value, str):
        return bool(value)
    if value.strip().lower() not in FLAGS:
        raise ValueError(f"'{value[:40]}' is neither true nor false")
    return FLAGS[value.strip().lower()]


def _bodies(
    rows: list[dict[str, Any]], boxes: np.ndarray, sizes: np.ndarray, path: Path
) -> tuple[np.ndarray, np.ndarray]:
    """The joints (n, 17, 3) and outlines (n,); one warning counts what is taken as not labelled."""
    joints, unreadable, refused = coco_joints([row.get("keypoints") for row in rows], sizes)
    # Masks of crowds are run-length coded in every COCO file: they are no outlines of a person, and no fault.
    crowds = [_flag(row.get("iscrowd")) for row in rows]
    outlines, odd = coco_outlines(
        [None if crowd else row.get("segmentation") for row, crowd in zip(rows, crowds, strict=True)], boxes, sizes
    )
    faults = (
        (unreadable, "keypoints of people that are not 17 times x, y, v"),
        (refused, "single joints that are not finite, outside their picture or of a v other than 0, 1, 2"),
        (odd, "segmentations that are no polygons round their box"),
    )
    found = ", ".join(f"{count} {words}" for count, words in faults if count)
    if found:
        print(f"warning: {found} are taken as not labelled: {path}", file=sys.stderr)
    return joints, outlines


def _load(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
        if content.startswith(GZIP_START):
            raise InputError(f"the annotations {path} are compressed: unpack them with gunzip")
        data = json.loads(content)  # with or without a byte-order mark
    except OSError as error:
        raise InputError(f"cannot read the annotations {path} ({error.strerror}): check the path") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"the annotations {path} are not JSON ({error}): fetch or export the file again") from None
    if not isinstance(data, dict) or not all(isinstance(data.get(key), list) for key in ("images", "annotations")):
        raise InputError(f"{path} holds no COCO-style annotations: it needs the lists 'images' and 'annotations'")
    for kind, needed in (("images", {"id"}), ("annotations", {"image_id", "bbox"})):
        for number, row in enumerate(data[kind]):
            lacking = sorted(needed - row.keys()) if isinstance(row, dict) else ["its braces"]
            if lacking:
                raise InputError(
                    f"entry {number} of '{kind}' in {path} lacks {', '.join(lacking)}: add what is missing"
                )
    return data


def _refuse_duplicates(ids: list[Any], kind: str, path: Path) -> None:
    twice = [i for i, count in Counter(ids).items() if count > 1]
    if twice:
        raise InputError(f"the {kind} id {twice[0]} stands more than once in {path}: give every {kind} its own id")


def _boxes(key: str, rows: list[dict[str, Any]], path: Path, *, empty: bool = False) -> np.ndarray:
    """float64 (n, 4); `empty` boxes, or none at all, are allowed where a visible part may be missing."""
    boxes = [row.get(key, (0, 0, 0, 0)) for row in rows]
    try:
        values = np.array(boxes, np.float64).reshape(len(boxes), 4)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"a {key} in {path} is not four numbers x, y, width, height: correct it") from None
    wrong = ~np.isfinite(values).all(axis=1)
    if not empty:
        wrong |= (values[:, 2:] <= 0).any(axis=1)
    if wrong.any():
        row = rows[int(np.argmax(wrong))]
        raise InputError(
            f"annotation {row.get('id', '?')} of image {row['image_id']} in {path} has the {key} {row[key]}: all four "
            f"numbers must be finite{'' if empty else ', width and height positive'}; correct it or remove it"
        )
    return values


def _refuse_outside(annotations: Annotations, rows: list[dict[str, Any]], path: Path) -> None:
    size = annotations.sizes[annotations.image_index]
    start, end = annotations.boxes[:, :2], annotations.boxes[:, :2] + annotations.boxes[:, 2:]
    outside = ((end <= 0) | (start >= size)).any(axis=1) & (size > 0).all(axis=1)
    if outside.any():
        row = rows[int(np.argmax(outside))]
        raise InputError(
            f"annotation {row.get('id', '?')} of image {row['image_id']} in {path} lies outside its picture: "
            f"the box {row['bbox']} needs a part inside, or remove it"
        )


class CocoPedestrians(AnnotatedPictures):
    """Pictures on disk with COCO-style annotations.

    Args:
        root: folder that `file_name` is relative to.
        annotations: one or more JSON files, absolute or relative to `root`. Where files share image ids, the pictures
            of all are numbered anew from 1, in their order.
        person: as `read_annotations` takes it.

    Attributes:
        file_lengths: pictures of each file, which stand one behind the other.

    Raises:
        InputError: as `read_annotations`, or a picture is missing.
    """

    def __init__(self, root: str | Path, annotations: Sequence[str | Path], *, person: str | None = None) -> None:
        self.root = Path(root)
        files = [self._find(name) for name in annotations]
        for name, count in Counter(file.resolve() for file in files).items():
            if count > 1:
                raise InputError(f"the annotations {name} are named more than once: name each file once")
        parts = [read_annotations(file, person) for file in files]
        self.file_lengths = [len(part.image_ids) for part in parts]
        columns = joined(parts)
        if len(set(columns.image_ids)) < len(columns.image_ids):
            names = ", ".join(map(str, files))
            print(f"warning: files share image ids, so all pictures are numbered anew: {names}", file=sys.stderr)
            columns = replace(columns, image_ids=list(range(1, len(columns.image_ids) + 1)))
        twice = len(columns.file_names) - len(set(columns.file_names))
        if twice:
            print(f"warning: {twice} pictures stand in {self.root}'s annotations more than once", file=sys.stderr)
        paths = [self.root / name for name in columns.file_names]
        for path in paths:
            if not os.path.isfile(path):  # False, too, for a name that no file can have
                raise InputError(f"the picture {path} is missing: check --root")
        super().__init__(columns, paths)
        self._warn_of_repairs(files)

    def _find(self, name: str | Path) -> Path:
        inside = self.root / name
        return inside if os.path.isfile(inside) or not os.path.isfile(name) else Path(name)

    def _warn_of_repairs(self, files: list[Path]) -> None:
        size = self.annotations.sizes[self.annotations.image_index]
        start, end = self.annotations.boxes[:, :2], self.annotations.boxes[:, :2] + self.annotations.boxes[:, 2:]
        over = (((start < 0) | (end > size + 0.5)) & (size > 0)).any(axis=1).sum()
        names = ", ".join(str(file) for file in files)
        # Of corners each end lies behind its start, even in pictures that are large enough for the sums.
        like_corners = bool((self.annotations.boxes[:, 2:] > self.annotations.boxes[:, :2]).all())
        if over > (FEW if like_corners else MOST) * len(self.annotations.boxes):
            print(
                f"warning: {over} of {len(self.annotations.boxes)} boxes reach beyond their picture: are they corners "
                f"rather than [x, y, width, height]? {names}",
                file=sys.stderr,
            )
        elif over:
            print(
                f"warning: {over} boxes reach beyond their picture and are clipped in training: {names}",
                file=sys.stderr,
            )


def joined(parts: Sequence[Annotations]) -> Annotations:
    """The pictures of several annotations one behind the other; attributes that not all have are left out."""
    if len(parts) == 1:
        return parts[0]
    offsets = np.cumsum([0, *(len(part.image_ids) for part in parts)])[:-1]
    shared = set.intersection(*(set(part.attributes) for part in parts))

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return Annotations(
        image_ids=[i for part in parts for i in part.image_ids],
        file_names=[name for part in parts for name in part.file_names],
        sizes=column("sizes"),
        image_index=np.concatenate([part.image_index + offset for part, offset in zip(parts, offsets, strict=True)]),
        boxes=column("boxes"),
        visible=column("visible"),
        ignore=column("ignore"),
        height=column("height"),
        visible_ratio=column("visible_ratio"),
        category=column("category"),
        attributes={name: np.concatenate([part.attributes[name] for part in parts]) for name in sorted(shared)},
        joints=column("joints"),
        outlines=column("outlines"),
        person_ids=frozenset().union(*(part.person_ids for part in parts)),
    )


def open_coco(
    root: Path, split: str, *, annotations: Sequence[str | Path] = (), person: str | None = None
) -> CocoPedestrians:
    """As the registry opens it; the files are what other data sets call a split.

    Raises:
        InputError: no files, or as `CocoPedestrians`.
    """
    if not annotations:
        raise InputError("data set 'coco' needs --annotations, one or more JSON files")
    return CocoPedestrians(root, annotations, person=person)


def _validation(options: Options) -> Options | None:
    return validated_on_files(options) if options["val_annotations"] else None


ENTRY = DatasetEntry(
    open=open_coco,
    flags=(
        Flag("annotations", "JSON files", many=True),
        Flag("val_annotations", "JSON files to validate on (default: no validation)", many=True, use="validation"),
        PERSON_FLAG,
    ),
    validation=_validation,
)
