"""MOTChallenge (A. Milan et al., 2016): a folder a sequence, all its boxes in one file.

    ROOT/train/MOT17-02-FRCNN/{seqinfo.ini, img1/000001.jpg, gt/gt.txt}

or the sequences in ROOT itself. A line of gt.txt is frame, identity, x, y, width, height, whether it counts, class,
visible ratio (in the sets of 2015, which have no classes, three coordinates instead); frames, x and y count from 1.
Pedestrians count. As in the benchmark, people on vehicles, static persons, distractors, reflections and pedestrians
marked as not counting are ignore regions; other classes are background.
"""

from __future__ import annotations

import configparser
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from upright.datasets.annotated import (
    AnnotatedBox,
    AnnotatedPicture,
    AnnotatedPictures,
    collected,
    named_file,
    numbers,
    text_lines,
)
from upright.datasets.entry import DatasetEntry, Flag, NoSplit
from upright.errors import InputError

CLASSES = {
    1: "pedestrian",
    2: "person on vehicle",
    3: "car",
    4: "bicycle",
    5: "motorbike",
    6: "non motorized vehicle",
    7: "static person",
    8: "distractor",
    9: "occluder",
    10: "occluder on the ground",
    11: "occluder full",
    12: "reflection",
    13: "crowd",
}
PEDESTRIAN = 1
IGNORED = {2, 7, 8, 12}
LEAST_COLUMNS, COLUMNS_2015 = 9, 10
DETECTORS = ("-DPM", "-FRCNN", "-SDP")  # MOT17 has each sequence three times, with the same pictures


@dataclass(frozen=True)
class _Sequence:
    """What seqinfo.ini says: the folder of the pictures, their suffix, number and size."""

    pictures: Path
    suffix: str
    length: int
    size: tuple[int, int]


def open_motchallenge(root: Path, split: str, *, annotations: Sequence[str | Path] = ()) -> AnnotatedPictures:
    """As the registry opens it; `annotations` are the names of sequences in place of all.

    Raises:
        InputError: a file or picture that is missing or damaged.
    """
    base = root / split if (root / split).is_dir() else root
    unsplit = False
    if annotations:
        folders = [named_file(base, name) for name in annotations]
    else:
        folders = _once(sorted(path.parent for path in base.glob("*/seqinfo.ini")))
        if not folders and (root / "seqinfo.ini").is_file():
            folders = [root]
        unsplit = base == root
        if not folders and any(root.glob("*/*/seqinfo.ini")):
            raise NoSplit(f"{root} has no sequences of '{split}': choose another split, or name sequences")
    if not folders:
        raise InputError(f"{base} holds no sequences (NAME/seqinfo.ini): check --root")
    pictures = (picture for folder in folders for picture in _read(folder))
    return collected(root, pictures, unsplit=unsplit)


def _once(folders: Sequence[Path]) -> list[Path]:
    """The sequences without those that show the pictures of another one."""
    chosen: dict[str, Path] = {}
    for folder in folders:
        name = next((folder.name.removesuffix(end) for end in DETECTORS if folder.name.endswith(end)), folder.name)
        chosen.setdefault(name, folder)
    if len(chosen) < len(folders):
        print(
            f"warning: {len(folders) - len(chosen)} sequences in {folders[0].parent} show the pictures of others and "
            "are left out",
            file=sys.stderr,
        )
    return list(chosen.values())


def _read(folder: Path) -> Iterator[AnnotatedPicture]:
    info = _seqinfo(folder / "seqinfo.ini")
    boxes: dict[int, list[AnnotatedBox]] = {}  # by frame
    file = folder / "gt" / "gt.txt"
    if not file.is_file():
        raise InputError(f"{folder} has no gt/gt.txt: sequences of the test set have none, choose others")
    for where, line in text_lines(file):
        words = line.rstrip(",").split(",") if "," in line else line.split()
        if len(words) < LEAST_COLUMNS:
            raise InputError(f"{where}: {len(words)} columns instead of {LEAST_COLUMNS} or more; fetch the file again")
        values = numbers(words, where)
        frame = values[0]
        if frame != int(frame) or not 1 <= frame <= info.length:
            raise InputError(f"{where}: frame {frame:g} is not one of 1 to {info.length}, as seqinfo.ini says")
        kind = values[7] if len(values) < COLUMNS_2015 else PEDESTRIAN
        if kind not in CLASSES:
            raise InputError(f"{where}: {kind:g} is no class of MOTChallenge, 1 to {max(CLASSES)}; correct it")
        if kind == PEDESTRIAN or kind in IGNORED:
            boxes.setdefault(int(frame), []).append(_box(values, int(kind), where))
    for number in range(1, info.length + 1):
        path = info.pictures / f"{number:06d}{info.suffix}"
        yield AnnotatedPicture(path, info.size, boxes.get(number, ()))


def _box(values: Sequence[float], kind: int, where: str) -> AnnotatedBox:
    x, y, width, height, counts = values[2:7]
    return AnnotatedBox(
        box=(x - 1, y - 1, width, height),
        where=where,
        ignore=kind in IGNORED or counts == 0,
        visible_ratio=values[8] if len(values) < COLUMNS_2015 else 1.0,
        label=CLASSES[kind],
    )


def _seqinfo(path: Path) -> _Sequence:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(path.read_bytes().decode("utf-8-sig"))
        section = parser["Sequence"]
        length, width, height = (int(section[key]) for key in ("seqLength", "imWidth", "imHeight"))
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}): check the path") from None
    except (configparser.Error, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path} needs [Sequence] with the numbers seqLength, imWidth and imHeight ({reason}): fetch it again"
        ) from None
    if length < 1 or width < 1 or height < 1:
        raise InputError(f"{path}: a sequence of {length} pictures {width} x {height} is not possible; correct it")
    folder = path.parent / section.get("imDir", "img1")
    return _Sequence(folder, section.get("imExt", ".jpg"), length, (width, height))


ENTRY = DatasetEntry(
    open=open_motchallenge,
    flags=(
        Flag("annotations", "sequences (default all)", many=True),
        Flag("val_annotations", "sequences to validate on (default ROOT/val)", many=True, use="validation"),
    ),
    evaluation_split="train",
    validation=lambda options: {"annotations": options["val_annotations"]},
)
