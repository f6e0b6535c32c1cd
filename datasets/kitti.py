"""KITTI's object labels (A. Geiger et al., CVPR 2012): a line an object.

    ROOT/training/image_2/000000.png, ROOT/training/label_2/000000.txt, ROOT/ImageSets/{train,val}.txt

or image_2 and label_2 in ROOT itself; ImageSets, which many copies have, is what splits them. Pedestrians count.
`DontCare`, `Person_sitting`, and pedestrians whom the benchmark's hardest level leaves out (occlusion unknown, or more
than half outside the picture) are ignore regions; other classes are background.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from upright.datasets.annotated import (
    AnnotatedBox,
    AnnotatedPicture,
    AnnotatedPictures,
    collected,
    find_picture,
    named_file,
    numbers,
    text_lines,
)
from upright.datasets.entry import DatasetEntry, Flag, NoSplit
from upright.errors import InputError

CLASSES = {
    *("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc", "DontCare"),
}
IGNORED = {"DontCare", "Person_sitting"}
COLUMNS = 15  # class, truncated, occluded, alpha, x1 y1 x2 y2, 3 dimensions, 3 of location, rotation
MOST_OCCLUDED, MOST_TRUNCATED = 2, 0.5


def open_kitti(root: Path, split: str, *, annotations: Sequence[str | Path] = ()) -> AnnotatedPictures:
    """As the registry opens it; `annotations` are lists of pictures' names in place of those in ImageSets.

    Raises:
        InputError: a list, a label file or a picture that is missing or damaged.
    """
    base = root / "training" if (root / "training" / "label_2").is_dir() else root
    labels = base / "label_2"
    if not labels.is_dir():
        raise InputError(f"{root} has neither training/label_2 nor label_2: check --root")
    lists = [named_file(root, name) for name in annotations]
    sets = next((place for place in (root / "ImageSets", base / "ImageSets") if place.is_dir()), None)
    if not lists and sets is not None:
        lists = [sets / f"{split}.txt"]
        if not lists[0].is_file():
            raise NoSplit(f"{sets} has no {split}.txt: make it, or choose another split")
    if lists:
        files = [_listed(labels, line, where) for path in lists for where, line in text_lines(path)]
    else:
        files = sorted(labels.glob("*.txt"))
    pictures = (AnnotatedPicture(find_picture(base / "image_2", file.stem), (0, 0), _read(file)) for file in files)
    return collected(root, pictures, unsplit=not lists)


def _listed(labels: Path, name: str, where: str) -> Path:
    file = labels / f"{name}.txt"
    if not file.is_file():
        raise InputError(f"{where}: there is no {file}; correct the list, or fetch the file")
    return file


def _read(path: Path) -> list[AnnotatedBox]:
    boxes = []
    for where, line in text_lines(path):
        kind, *words = line.split()
        if kind not in CLASSES:
            raise InputError(f"{where}: '{kind[:40]}' is no class of KITTI ({', '.join(sorted(CLASSES))})")
        if len(words) + 1 != COLUMNS:
            raise InputError(f"{where}: {len(words) + 1} columns instead of {COLUMNS}; fetch the labels again")
        values = numbers(words, where)
        truncated, occluded, _, left, top, right, bottom = values[:7]
        if kind in IGNORED or kind == "Pedestrian":
            boxes.append(
                AnnotatedBox(
                    box=(left, top, right - left, bottom - top),
                    where=where,
                    ignore=kind in IGNORED or occluded > MOST_OCCLUDED or truncated > MOST_TRUNCATED,
                    label=kind,
                )
            )
    return boxes


ENTRY = DatasetEntry(
    open=open_kitti,
    flags=(
        Flag("annotations", "lists of pictures (default ImageSets/SPLIT.txt)", many=True),
        Flag("val_annotations", "lists to validate on (default ImageSets/val.txt)", many=True, use="validation"),
    ),
    validation=lambda options: {"annotations": options["val_annotations"]},
)
