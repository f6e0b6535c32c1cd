"""COCO-style JSON: pictures and boxes of people, `iscrowd` or `ignore` for regions that do not count.

Reads the field names of COCO (`file_name`) and of the CityPersons evaluation (`im_name`, `vis_bbox`, `vis_ratio`,
`height`). Category 1 is a person; boxes of other categories are ignore regions in training. `keypoints` (17 joints)
and `segmentation` (polygons) are read where they are there.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from upright.datasets.entry import DatasetEntry, Flag, Options
from upright.datasets.joints import coco_joints, without_outside
from upright.datasets.outlines import coco_outlines, moved_outlines
from upright.datasets.pictures import read_picture
from upright.datasets.sample import Annotations, Sample
from upright.errors import InputError

PERSON = 1
AS_IT_IS = np.eye(2, 3)  # the matrix that moves nothing


def read_annotations(path: str | Path) -> Annotations:
    """The columns of one JSON file, numbers as they stand in it.

    Args:
        path: an object with lists `images` and `annotations`.

    Raises:
        InputError: the file cannot be read, an id stands twice or is not known, or a box is not finite, has no area
            or lies wholly outside its picture.
    """
    path = Path(path)
    data = _load(path)
    try:
        return _columns(data["images"], data["annotations"], path)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"a field in {path} is of the wrong type ({error}): ids must be numbers or texts, the other fields numbers"
        ) from None


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
        file_names=[str(image.get("file_name") or image.get("im_name") or image["id"]) for image in images],
        sizes=sizes,
        image_index=image_index,
        boxes=boxes,
        visible=_boxes("vis_bbox", rows, path, empty=True),
        ignore=np.array([bool(row.get("ignore") or row.get("iscrowd")) for row in rows], bool),
        height=np.array([row.get("height", box[3]) for row, box in zip(rows, boxes, strict=True)], np.float64),
        visible_ratio=np.array([row.get("vis_ratio", 1.0) for row in rows], np.float64),
        category=np.array([row.get("category_id", PERSON) for row in rows], np.int64),
        joints=joints,
        outlines=outlines,
    )
    if not (np.isfinite(annotations.height).all() and np.isfinite(annotations.visible_ratio).all()):
        raise InputError(f"a height or vis_ratio in {path} is not finite: correct it")
    if (annotations.sizes < 0).any():
        raise InputError(f"an image in {path} has a negative width or height: correct it")
    _refuse_outside(annotations, rows, path)
    return annotations


def _bodies(
    rows: list[dict[str, Any]], boxes: np.ndarray, sizes: np.ndarray, path: Path
) -> tuple[np.ndarray, np.ndarray]:
    """The joints (n, 17, 3) and outlines (n,); one warning counts what is taken as not labelled."""
    joints, unreadable, refused = coco_joints([row.get("keypoints") for row in rows], sizes)
    # Masks of crowds are run-length coded in every COCO file: they are no outlines of a person, and no fault.
    crowds = [bool(row.get("iscrowd")) for row in rows]
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
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the annotations {path} ({error.strerror}): check the path") from None
    except ValueError as error:
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


class CocoPedestrians:
    """Pictures on disk with COCO-style annotations.

    Args:
        root: folder that `file_name` is relative to.
        annotations: one or more JSON files, absolute or relative to `root`; image ids must differ between them.

    Attributes:
        file_lengths: pictures of each file, which stand one behind the other.

    Raises:
        InputError: as `read_annotations`, or a picture is missing.
    """

    def __init__(self, root: str | Path, annotations: Sequence[str | Path]) -> None:
        self.root = Path(root)
        files = [self._find(name) for name in annotations]
        parts = [read_annotations(file) for file in files]
        self.file_lengths = [len(part.image_ids) for part in parts]
        self.annotations = joined(parts)
        _refuse_duplicates(self.annotations.image_ids, "image", self.root)
        for name in self.annotations.file_names:
            if not (self.root / name).is_file():
                raise InputError(f"the picture {self.root / name} is missing: check --root")
        order = np.argsort(self.annotations.image_index, kind="stable")
        counts = np.bincount(self.annotations.image_index, minlength=len(self))
        self._rows = np.split(order, np.cumsum(counts)[:-1]) if len(self) else []
        self._warn_of_repairs(files)

    def _find(self, name: str | Path) -> Path:
        inside = self.root / name
        return inside if inside.is_file() or not Path(name).is_file() else Path(name)

    def _warn_of_repairs(self, files: list[Path]) -> None:
        size = self.annotations.sizes[self.annotations.image_index]
        start, end = self.annotations.boxes[:, :2], self.annotations.boxes[:, :2] + self.annotations.boxes[:, 2:]
        over = (((start < 0) | (end > size + 0.5)) & (size > 0)).any(axis=1).sum()
        if over:
            names = ", ".join(str(file) for file in files)
            print(
                f"warning: {over} boxes reach beyond their picture and are clipped in training: {names}",
                file=sys.stderr,
            )

    def __len__(self) -> int:
        return len(self.annotations.image_ids)

    @property
    def sizes(self) -> np.ndarray:
        """int64 (len, 2), width and height of each picture; 0 where the files do not say."""
        return self.annotations.sizes

    def __getitem__(self, index: int) -> Sample:
        a, rows = self.annotations, self._rows[index]
        path = self.root / a.file_names[index]
        image = read_picture(path)
        height, width = image.shape[:2]
        if a.sizes[index].all() and tuple(a.sizes[index]) != (width, height):
            raise InputError(
                f"the picture {path} is {width} x {height}, its annotations say "
                f"{a.sizes[index][0]} x {a.sizes[index][1]}: use the picture that the annotations were made for"
            )
        boxes = corners(a.boxes[rows], width, height)
        seen = a.visible[rows][:, 2:].any(axis=1, keepdims=True)
        return Sample(
            image=image,
            boxes=boxes,
            visible=np.where(seen, corners(a.visible[rows], width, height), boxes),
            ignore=a.ignore[rows] | (a.category[rows] != PERSON),
            visible_ratio=a.visible_ratio[rows].astype(np.float32),
            attributes={name: values[rows] for name, values in a.attributes.items()},
            id=a.image_ids[index],
            path=str(path),
            joints=without_outside(a.joints[rows], width, height),
            # Where the file says how large the picture is, outlines were cut to it when they were read.
            outlines=a.outlines[rows]
            if a.sizes[index].all()
            else moved_outlines(a.outlines[rows], AS_IT_IS, width, height),
        )


def corners(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """float32 (n, 4) x1 y1 x2 y2 inside the picture of boxes (n, 4) x y w h."""
    edges = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return np.clip(edges, 0, [width, height, width, height]).astype(np.float32)


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
    )


def open_coco(root: Path, split: str, *, annotations: Sequence[str | Path] = ()) -> CocoPedestrians:
    """As the registry opens it; the files are what other data sets call a split.

    Raises:
        InputError: no files, or as `CocoPedestrians`.
    """
    if not annotations:
        raise InputError("data set 'coco' needs --annotations, one or more JSON files")
    return CocoPedestrians(root, annotations)


def _validation(options: Options) -> Options | None:
    files = options["val_annotations"]
    return {"annotations": files} if files else None


ENTRY = DatasetEntry(
    open=open_coco,
    flags=(
        Flag("annotations", "JSON files", many=True),
        Flag("val_annotations", "JSON files to validate on (default: no validation)", many=True, use="validation"),
    ),
    validation=_validation,
)
