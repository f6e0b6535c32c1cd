"""CityPersons (S. Zhang et al., CVPR 2017) in the folder as it was downloaded.

    ROOT/leftImg8bit/{train,val}/CITY/*.png              the pictures of Cityscapes
    ROOT/anno_train.mat, ROOT/anno_val.mat               the annotations, or as they were distributed later:
    ROOT/gtBboxCityPersons/{train,val}/CITY/*.json

A row of the .mat files is class, x1 y1 w h of the full box, instance, x1 y1 w h of the visible box, in unsigned
integers of whatever width suffices: they become float64 before anything is computed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from upright.datasets.annotated import LARGEST, AnnotatedPictures
from upright.datasets.entry import DatasetEntry, Flag
from upright.datasets.matlab import parse_matlab, write_matlab
from upright.datasets.sample import Annotations, PedestrianDataset, Sample
from upright.errors import InputError
from upright.output import whole_file

SPLITS = ("train", "val")
# Number of each class, by the name that the JSON files give it.
CLASSES = {
    "ignore": 0,
    "pedestrian": 1,
    "rider": 2,
    "sitting person": 3,
    "person (other)": 4,
    "person group": 5,
}
PEDESTRIAN, RIDER = 1, 2
NAMES = tuple(CLASSES)


@dataclass(frozen=True)
class AnnotatedImage:
    """One picture's annotations: its city, its name, its size (0 where the file does not say), float64 rows (n, 10)."""

    city: str
    name: str
    size: tuple[int, int]
    rows: np.ndarray


class CityPersons(AnnotatedPictures):
    """Pictures of CityPersons and who stands in them.

    Pedestrians count; the other classes and ignore regions have `ignore` set. Picture i has the id i + 1, as in the
    official evaluation, whose numbers `annotations` gives: for val the same boxes, flags, heights and ratios as its
    ground truth. Groups have an empty visible box and a ratio of 0. Attribute of each box: `class`, one of `NAMES`.

    Args:
        root: the folder.
        split: "train" or "val".
        annotations: the .mat file of the split, or a folder with those of both splits or with gtBboxCityPersons,
            if not in `root`.
        riders: riders count as well.

    Raises:
        InputError: there are no such annotations, or they cannot be used.
    """

    def __init__(
        self, root: str | Path, split: str, *, annotations: str | Path | None = None, riders: bool = False
    ) -> None:
        self.root = Path(root)
        if split not in SPLITS:
            raise InputError(f"citypersons has no split '{split}' with annotations: use one of {', '.join(SPLITS)}")
        self.split = split
        source = _find_annotations(self.root, split, annotations)
        images = read_json(source) if source.is_dir() else read_mat(source, split)
        positive = (PEDESTRIAN, RIDER) if riders else (PEDESTRIAN,)
        pictures = self.root / "leftImg8bit" / split
        super().__init__(as_annotations(images, positive), [pictures / image.city / image.name for image in images])

    def __getitem__(self, index: int) -> Sample:
        path = self.paths[index]
        if not os.path.isfile(path):
            raise InputError(
                f"{self.root} has annotations of {path.name}, but the picture {path} is missing: unpack "
                f"leftImg8bit_trainvaltest.zip there; without pictures only --detections can be evaluated"
            )
        return super().__getitem__(index)


def _find_annotations(root: Path, split: str, given: str | Path | None) -> Path:
    """The .mat file of a split, or the folder with its JSON files."""
    if given is not None:
        inside = root / given
        place = inside if inside.exists() else Path(given)
        if not place.exists():
            raise InputError(f"the annotations {given} are neither in {root} nor here: check --annotations")
        if place.is_file():
            return place
        bases = [place]
    else:
        bases = [root, root / "annotations"]
    for base in bases:
        for found in (base / f"anno_{split}.mat", base / "gtBboxCityPersons" / split, base / split):
            if found.is_file() or (found.is_dir() and any(found.glob("*/*.json"))):
                return found
    has_images = (root / "leftImg8bit" / split).is_dir()
    raise InputError(
        f"{bases[0]} {'has pictures but no annotations' if has_images else 'has no annotations of CityPersons'}: "
        f"anno_{split}.mat or gtBboxCityPersons/{split} must be there; download them, or name them with --annotations"
    )


def read_mat(path: Path, split: str) -> list[AnnotatedImage]:
    """The pictures of anno_train.mat or anno_val.mat, in the order of the file.

    Raises:
        InputError: no such file, a foreign one, or that of the other split.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the path") from None
    content = parse_matlab(data, path)
    key = f"anno_{split}_aligned"
    if key not in content:
        names = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise InputError(f"{path} holds {names}, not {key}: give the annotations of CityPersons' {split} pictures")
    images = []
    for number, cell in enumerate(content[key].ravel(), start=1):
        fields = getattr(cell, "dtype", np.dtype(float)).names or ()
        if not {"cityname", "im_name", "bbs"} <= set(fields) or cell.size != 1:
            raise InputError(f"{path}, picture {number}: no cityname, im_name and bbs; download it again")
        entry = cell.ravel()[0]
        if entry["cityname"].size != 1 or entry["im_name"].size != 1 or entry["bbs"].dtype.kind not in "iufb":
            raise InputError(f"{path}, picture {number}: cityname, im_name or bbs is damaged; download it again")
        rows = entry["bbs"].astype(np.float64)
        if rows.size and (rows.ndim != 2 or rows.shape[1] != 10):
            raise InputError(f"{path}, picture {number}: a row of bbs has not 10 numbers; download it again")
        city, name = str(entry["cityname"].item()), str(entry["im_name"].item())
        images.append(AnnotatedImage(city, name, (0, 0), _checked(rows.reshape(-1, 10), f"{path}, {name}")))
    return images


def read_json(folder: Path) -> list[AnnotatedImage]:
    """The pictures of gtBboxCityPersons/SPLIT by city and name, which is the order of the .mat files.

    Raises:
        InputError: a file that is not of CityPersons.
    """
    images = []
    for path in sorted(folder.glob("*/*.json")):
        try:
            content = json.loads(path.read_bytes())
            rows = [
                [CLASSES[entry["label"]], *entry["bbox"], entry.get("instanceId", 0), *entry["bboxVis"]]
                for entry in content["objects"]
            ]
            boxes = np.array(rows, np.float64).reshape(len(rows), 10)
            size = (int(content["imgWidth"]), int(content["imgHeight"]))
            if not all(0 <= side <= LARGEST for side in size):
                raise ValueError(f"a size of {size[0]:.3g} x {size[1]:.3g}")
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}; check the path") from None
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise InputError(
                f"{path} is not an annotation file of CityPersons ({type(error).__name__}: {error}): download it again"
            ) from None
        name = path.name.replace("_gtBboxCityPersons.json", "_leftImg8bit.png")
        images.append(AnnotatedImage(path.parent.name, name, size, _checked(boxes, str(path))))
    return images


def _checked(rows: np.ndarray, where: str) -> np.ndarray:
    wrong = ~np.isfinite(rows).all(axis=1) | (rows[:, 3:5] <= 0).any(axis=1) | ~np.isin(rows[:, 0], range(len(NAMES)))
    if wrong.any():
        row = int(np.argmax(wrong)) + 1
        raise InputError(f"{where}: row {row} has no class from 0 to 5 or no area; download it again")
    return rows


def as_annotations(images: Sequence[AnnotatedImage], positive: Sequence[int]) -> Annotations:
    """The pictures' rows as the evaluation reads them; classes that are not `positive` are ignored."""
    rows = np.concatenate([np.zeros((0, 10)), *(image.rows for image in images)])
    ratio = (rows[:, 8] * rows[:, 9]) / (rows[:, 3] * rows[:, 4])
    return Annotations(
        image_ids=list(range(1, len(images) + 1)),
        file_names=[image.name for image in images],
        sizes=np.array([image.size for image in images], np.int64).reshape(-1, 2),
        image_index=np.repeat(np.arange(len(images)), [len(image.rows) for image in images]),
        boxes=rows[:, 1:5],
        visible=rows[:, 6:10],
        ignore=~np.isin(rows[:, 0], positive),
        height=rows[:, 4].copy(),
        # The published ground truth was written with twelve digits, and its figures are what ours must equal.
        visible_ratio=np.array([float(f"{value:.12g}") for value in ratio], np.float64),
        category=np.ones(len(rows), np.int64),
        attributes={"class": np.array(NAMES)[rows[:, 0].astype(np.int64)]},
    )


def write_citypersons(dataset: PedestrianDataset, root: str | Path, split: str, *, city: str = "upright") -> None:
    """Write any pictures with people in the very layout of CityPersons, both forms of annotations.

    Args:
        dataset: boxes of its annotations become whole pixels; ignored ones become ignore regions.
        root: the folder; other cities in leftImg8bit stay, anno_SPLIT.mat is replaced.
        split: "train" or "val".
        city: the name of the folder and the beginning of the files' names.

    Raises:
        InputError: no such split.
    """
    if split not in SPLITS:
        raise InputError(f"citypersons has no split '{split}' with annotations: use one of {', '.join(SPLITS)}")
    root = Path(root)
    cells = np.empty((1, len(dataset)), dtype=object)
    for i in range(len(dataset)):
        name = f"{city}_000000_{i:06d}"
        image = dataset[i].image
        png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
        with whole_file(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png") as temporary:
            temporary.write_bytes(png)
        rows = _rows_of(dataset.annotations, i)
        content = {"imgHeight": image.shape[0], "imgWidth": image.shape[1], "objects": [_object(row) for row in rows]}
        with whole_file(root / "gtBboxCityPersons" / split / city / f"{name}_gtBboxCityPersons.json") as temporary:
            temporary.write_text(json.dumps(content))
        # As in the distributed files: unsigned where no box begins left of the picture.
        cells[0, i] = {
            "cityname": city,
            "im_name": f"{name}_leftImg8bit.png",
            "bbs": rows.astype(np.int16 if rows.min(initial=0) < 0 else np.uint16),
        }
    write_matlab(root / f"anno_{split}.mat", {f"anno_{split}_aligned": cells}, compressed=True)


def _rows_of(annotations: Annotations, index: int) -> np.ndarray:
    """int64 (n, 10): the rows of a picture, edges rounded to whole pixels."""
    chosen = np.flatnonzero(annotations.image_index == index)
    rows = np.zeros((len(chosen), 10), np.int64)
    rows[:, 0] = np.where(annotations.ignore[chosen], 0, PEDESTRIAN)
    rows[:, 1:5] = _whole(annotations.boxes[chosen])
    rows[:, 5] = 1000 * (23 + rows[:, 0]) + np.arange(len(chosen))
    rows[:, 6:10] = _whole(annotations.visible[chosen])
    rows[rows[:, 0] == 0, 6:10] = rows[rows[:, 0] == 0, 1:5]
    return rows


def _whole(boxes: np.ndarray) -> np.ndarray:
    start = np.floor(boxes[:, :2] + 0.5)
    end = np.floor(boxes[:, :2] + boxes[:, 2:] + 0.5)
    return np.concatenate([start, np.maximum(end - start, 1)], axis=1).astype(np.int64)


def _object(row: np.ndarray) -> dict[str, object]:
    values = row.tolist()
    return {"instanceId": values[5], "bbox": values[1:5], "bboxVis": values[6:10], "label": NAMES[values[0]]}


def open_citypersons(
    root: Path, split: str, *, annotations: Sequence[str | Path] = (), riders: bool = False
) -> CityPersons:
    """As the registry opens it.

    Raises:
        InputError: as `CityPersons`.
    """
    return CityPersons(root, split, annotations=annotations[0] if annotations else None, riders=riders)


ENTRY = DatasetEntry(
    open=open_citypersons,
    flags=(
        Flag("annotations", "file", many=True),
        Flag("riders", "riders count as people", type=bool, use="training"),
    ),
    validation=lambda options: {"annotations": options["annotations"]},
)
