"""Detections in Caltech's official layout: one text file a video, `setNN/VNNN.txt`, one row a detection."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np

from upright.datasets.sample import Annotations
from upright.detector.evaluation.detections import Detections
from upright.errors import InputError
from upright.output import whole_file

_NAME = re.compile(r"^.*set(\d\d)_V(\d\d\d)_I(\d{5,})", re.MULTILINE)
_FILES = "set[0-9][0-9]/V[0-9][0-9][0-9].txt"
_ROW = "frame, x, y, width, height, score"


def caltech_frames(annotations: Annotations) -> list[tuple[int, int, int]] | None:
    """Set, video and frame (counted from 0) of each picture, or None where the pictures are not Caltech's.

    They stand in the names: `set06_V000_I00029.jpg`.
    """
    for names in (annotations.file_names, annotations.image_ids):
        # One search through all names, each on its line: thousands of single ones take longer than the matching.
        found = _NAME.findall("\n".join(map(str, names)))
        if len(found) == len(names):
            return [(int(part), int(video), int(frame)) for part, video, frame in found]
    return None


def _videos(annotations: Annotations, folder: Path) -> dict[str, dict[int, int]]:
    """Path of each video's file below the folder -> frame counted from 1 -> row of the annotations."""
    frames = caltech_frames(annotations)
    if frames is None:
        raise InputError(
            f"{folder}: a folder of setNN/VNNN.txt needs pictures that are named like set06_V000_I00029.jpg; "
            "give the detections as a JSON file"
        )
    videos: dict[str, dict[int, int]] = {}
    for row, (part, video, frame) in enumerate(frames):
        videos.setdefault(f"set{part:02d}/V{video:03d}.txt", {})[frame + 1] = row
    return videos


def result_folders(folder: Path) -> list[Path]:
    """The folders of detectors in `folder`, where it holds some, `NAME/setNN/VNNN.txt`, and no results itself."""
    if any(True for _ in folder.glob(_FILES)):
        return []
    return sorted({path.parents[1] for path in folder.glob(f"*/{_FILES}")})


def read_caltech_results(folder: Path, annotations: Annotations) -> Detections:
    """Read `folder/setNN/VNNN.txt`: rows `frame, x, y, width, height, score`, frames counted from 1.

    Numbers stand apart by commas or spaces. Rows of frames that are not evaluated are passed over. An empty file means
    that nothing was found in the video; so does a missing one, but a warning counts these.

    Raises:
        InputError: a row is not six numbers, or its frame is not a whole number from 1 on.
    """
    tables, rows = [np.zeros((0, 6))], [np.zeros(0, np.int64)]
    read, seen = 0, 0
    videos = _videos(annotations, folder)
    unknown = sorted(
        name for name in (p.relative_to(folder).as_posix() for p in folder.glob(_FILES)) if name not in videos
    )
    if unknown:
        print(
            f"warning: {folder}: {len(unknown)} files are of no evaluated video and passed over, first {unknown[0]}",
            file=sys.stderr,
        )
    missing = [name for name in videos if not (folder / name).exists()]
    for name, pictures in videos.items():
        path = folder / name
        if name in missing:
            continue
        table = _read_table(path)
        read += 1
        seen += len(table)
        row = np.array([pictures.get(frame, -1) for frame in table[:, 0].astype(np.int64).tolist()], np.int64)
        tables.append(table[row >= 0])
        rows.append(row[row >= 0])
    table, row = np.concatenate(tables), np.concatenate(rows)
    if not read:
        nested = result_folders(folder)
        if nested:
            raise InputError(f"{folder}: holds no setNN/VNNN.txt itself; give one detector's folder, {nested[0]}")
        print(f"warning: {folder}: no setNN/VNNN.txt of the evaluated videos; nothing counts as found", file=sys.stderr)
    elif missing:
        print(
            f"warning: {folder}: {len(missing)} of the {len(videos)} evaluated videos have no file, and everybody in "
            f"them counts as missed; first {missing[0]}",
            file=sys.stderr,
        )
    if seen and not len(row):
        print(
            f"warning: {folder}: none of the {seen} rows is of an evaluated frame; "
            "frames are counted from 1 (30, 60, ...)",
            file=sys.stderr,
        )
    return Detections(row, table[:, 1:5], table[:, 5])


def _read_table(path: Path) -> np.ndarray:
    """float64 (r, 6) of a file."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give rows of {_ROW}") from None
    try:
        rows = [fields for line in lines if (fields := line.replace(",", " ").split())]
        table = np.array(rows, np.float64).reshape(len(rows), 6)
        frames = table[:, 0]
        sound = np.isfinite(table).all(axis=1) & (frames >= 1) & (frames == np.floor(frames))
        sound &= (table[:, 3:5] >= 0).all(axis=1)
    except ValueError:
        sound = None
    if sound is None or not sound.all():
        raise InputError(f"{path}: {_first_fault(lines)}")
    return table


def _first_fault(lines: list[str]) -> str:
    for number, line in enumerate(lines, start=1):
        fields = line.replace(",", " ").split()
        if not fields:
            continue
        try:
            values = [float(field) for field in fields]
        except ValueError:
            values = []
        if len(values) != 6 or not np.isfinite(values).all():
            return f"line {number} is not six numbers ({_ROW}): {line.strip()[:60]!r}"
        if values[0] < 1 or values[0] != int(values[0]):
            return f"line {number} has frame {fields[0]}; frames are whole numbers, counted from 1"
        if values[3] < 0 or values[4] < 0:
            return f"line {number} has a box of negative size; a row is {_ROW}"
    return f"cannot be read as rows of {_ROW}"


def write_caltech_detections(folder: str | os.PathLike[str], annotations: Annotations, detections: Detections) -> None:
    """Write detections as `folder/setNN/VNNN.txt`, a file for each video, empty where nothing was found.

    Args:
        folder: is made where it is missing; each file is replaced whole or not at all.
        annotations: of the data set; its pictures are named like `set06_V000_I00029.jpg`.
        detections: of that data set; the order within a video is kept.

    Raises:
        InputError: the pictures are not Caltech's, or nothing can be written there.
    """
    folder = Path(folder)
    for name, pictures in _videos(annotations, folder).items():
        frame_of = np.zeros(len(annotations.image_ids), np.int64)
        frame_of[list(pictures.values())] = list(pictures)
        frames = frame_of[detections.image_index]
        lines = [
            ",".join(map(repr, (int(frame), *map(float, box), float(score)))) + "\n"
            for frame, box, score in zip(frames, detections.boxes, detections.scores, strict=True)
            if frame
        ]
        with whole_file(folder / name) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")
