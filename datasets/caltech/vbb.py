"""Video bounding boxes, the .vbb files of Caltech's original annotations.

A .vbb is a MATLAB file (version 5) with a number `vers` and a struct `A`: `nFrame`; `objLists`, a cell a frame that
is empty or holds structs `id, pos, posv, occl, lock`; and a row an object: `objLbl`, `objStr`, `objEnd` ... Fields
stand in any order and older versions lack some, so everything here goes by name. Frames and ids count from 1.

A file of two thousand frames holds tens of thousands of small MATLAB arrays, and building those is all the time that
reading takes. So before scipy parses it, the cells of frames that nobody asked for are cut out of the bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from upright.datasets.matlab import parse_matlab, write_matlab
from upright.errors import InputError

VERSION = 1.4
# Types and classes of the elements of a MATLAB file, as "MAT-File Format" numbers them.
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT = 1, 2
TAG = struct.Struct("<II")


@dataclass(frozen=True)
class VideoAnnotation:
    """The boxes of one video in columns, frame after frame, each frame's in the order of the file.

    Attributes:
        frames: how many the video has.
        frame: int64 (n,), the frame of each box, counted from 1.
        object_id: int64 (n,), which person it is, counted from 1; the same in all frames.
        label: str (n,), "person", "people", "person?" ...
        pos: float64 (n, 4), x y w h of the full extent, x and y counted from 1.
        posv: float64 (n, 4), x y w h of the visible part; all zero where the person is not occluded.
        occluded: bool (n,).
    """

    frames: int
    frame: np.ndarray
    object_id: np.ndarray
    label: np.ndarray
    pos: np.ndarray
    posv: np.ndarray
    occluded: np.ndarray


def read_vbb(path: str | Path, every: int = 1) -> VideoAnnotation:
    """Read the annotations of the frames every, 2 every, ... of a video.

    Args:
        path: the .vbb file.
        every: 30 reads frames 30, 60, 90 ..., as the benchmark does.

    Raises:
        InputError: no .vbb file, or one that contradicts itself.
    """
    path = Path(path)
    content, kept = _load(path, every)
    try:
        return _video(path, content.get("A"), every, kept)
    except (ValueError, TypeError, IndexError, OverflowError) as error:  # a field of another size or type
        raise InputError(f"{path} is a damaged .vbb ({error}): unpack the annotations again") from None


def _video(path: Path, annotation: Any, every: int, kept: int | None) -> VideoAnnotation:
    """Of the struct A; `kept` is as `_load` gives it."""
    if annotation is None or annotation.dtype.names is None or "objLists" not in annotation.dtype.names:
        raise InputError(f"{path} is a MATLAB file, but no .vbb: it has no struct A with objLists")
    annotation = annotation.ravel()[0]
    cells = annotation["objLists"].ravel()
    frames = kept if kept is not None else len(cells)
    if "nFrame" in annotation.dtype.names and int(annotation["nFrame"].item()) != frames:
        raise InputError(
            f"{path} contradicts itself: nFrame is {int(annotation['nFrame'].item())}, but objLists has {frames} "
            f"frames; unpack the annotations again"
        )
    if kept is None:
        cells = cells[every - 1 :: every]
    return _columns(path, frames, every, cells, _labels(annotation))


def _load(path: Path, every: int) -> tuple[dict[str, np.ndarray], int | None]:
    """The variables of the file, and how many frames it had where only the wanted ones were left in."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the path") from None
    thinned = _keep_every(data, every) if every > 1 else None
    if thinned is None:
        return parse_matlab(data, path), None
    return parse_matlab(thinned[0], path), thinned[1]


def _labels(annotation: np.void) -> list[str]:
    if "objLbl" not in (annotation.dtype.names or ()):
        return []
    return [str(label.item()) if label.size else "" for label in annotation["objLbl"].ravel()]


def _columns(path: Path, frames: int, every: int, cells: np.ndarray, labels: list[str]) -> VideoAnnotation:
    numbers, ids, full, visible, occluded = [], [], [], [], []
    for number, cell in zip(range(every, frames + 1, every), cells, strict=True):
        if cell.size == 0:
            continue
        names = cell.dtype.names or ()
        if not {"id", "pos"} <= set(names):
            raise InputError(f"{path}, frame {number}: its objects have no id and pos; unpack the annotations again")
        numbers += [number] * cell.size
        ids += [int(value.item()) for value in cell["id"].ravel()]
        full += list(cell["pos"].ravel())
        visible += list(cell["posv"].ravel()) if "posv" in names else [np.zeros(0)] * cell.size
        flags = cell["occl"].ravel() if "occl" in names else [np.zeros(0)] * cell.size
        occluded += [bool(np.any(value)) for value in flags]
    for number, box in zip(numbers, full, strict=True):
        if box.size != 4:
            raise InputError(f"{path}, frame {number}: pos has {box.size} numbers, not 4; unpack the annotations again")
    if ids and not 1 <= min(ids) <= max(ids) <= len(labels):
        raise InputError(
            f"{path} has an object with id {max(ids) if max(ids) > len(labels) else min(ids)}, but labels for ids "
            f"1 to {len(labels)}; unpack the annotations again"
        )
    return VideoAnnotation(
        frames=frames,
        frame=np.array(numbers, np.int64),
        object_id=np.array(ids, np.int64),
        label=np.array([labels[i - 1] for i in ids], dtype=str),
        pos=_boxes(full),
        # Versions before 1.2 have no posv, which the official code takes for all zero; so is an empty one.
        posv=_boxes([box if box.size == 4 else np.zeros(4) for box in visible]),
        occluded=np.array(occluded, bool),
    )


def _boxes(rows: list[np.ndarray]) -> np.ndarray:
    # MATLAB keeps whole numbers as bytes or words: as float64 before anything is computed.
    return np.array([row.ravel() for row in rows], np.float64).reshape(-1, 4)


def _keep_every(data: bytes, every: int) -> tuple[bytes, int] | None:
    """Cut the cells of unwanted frames out of a .vbb file.

    Args:
        data: the file's bytes.
        every: frames every, 2 every, ... stay.

    Returns:
        The bytes of a MATLAB file with the other frames left out, and how many frames there were; None where the
        file is not laid out as expected, so that it has to be parsed whole.
    """
    if data[124:128] != b"\x00\x01IM":
        return None
    parts, frames = [data[:128]], None
    try:
        for kind, begin, end in _elements(data, 128, len(data)):
            element = zlib.decompress(data[begin:end]) if kind == COMPRESSED else data[begin - 8 : end]
            cut = _cut_struct(element, every)
            if cut is not None:
                element, frames = cut
            parts.append(element)
    except (struct.error, ValueError, IndexError, zlib.error):
        return None
    return None if frames is None else (b"".join(parts), frames)


def _elements(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Type, begin and end of the content of each element between two places of a MATLAB file."""
    while begin + 8 <= end:
        kind, size = TAG.unpack_from(data, begin)
        if kind >> 16:  # up to four bytes stand in the tag itself
            yield kind & 0xFFFF, begin + 4, begin + 4 + (kind >> 16)
            begin += 8
            continue
        if begin + 8 + size > end:
            raise ValueError("an element that ends beyond its container")
        yield kind, begin + 8, begin + 8 + size
        begin += 8 + (size if kind == COMPRESSED else -(-size // 8) * 8)


def _cut_struct(element: bytes, every: int) -> tuple[bytes, int] | None:
    """The struct `A` without the unwanted cells of `objLists`, and their number; None for any other variable."""
    spans = list(_elements(element, 8, len(element)))
    if element[16] != STRUCT or len(spans) < 5 or element[slice(*spans[2][1:])] != b"A":
        return None
    width = int.from_bytes(element[slice(*spans[3][1:])], "little")
    names = element[slice(*spans[4][1:])]
    fields = [names[i : i + width].rstrip(b"\0") for i in range(0, len(names), width)]
    if len(spans) != 5 + len(fields):
        return None
    _, begin, end = spans[5 + fields.index(b"objLists")]
    inner = list(_elements(element, begin, end))
    frames = len(inner) - 3
    height, count = struct.unpack_from("<2i", element, inner[1][1])
    if element[begin + 8] != CELL or (height, count) != (1, frames) or frames == 0:
        return None
    wanted = inner[3:][every - 1 :: every]
    # Array flags, dimensions and the (empty) name stand before the first cell.
    head = bytearray(element[begin : inner[3][1] - 8])
    struct.pack_into("<2i", head, inner[1][1] - begin, 1, len(wanted))
    lists = bytes(head) + b"".join(element[b - 8 : e] for _, b, e in wanted)
    body = element[8 : begin - 8] + TAG.pack(MATRIX, len(lists)) + lists + element[end:]
    return TAG.pack(MATRIX, len(body)) + body, frames


def write_vbb(path: str | Path, annotation: VideoAnnotation) -> None:
    """Write a .vbb file of version 1.4, as MATLAB's `vbb` reads it; an object has the label of its first box."""
    content = {
        "nFrame": float(annotation.frames),
        "objLists": _cells(annotation),
        **_objects(annotation),
        "altered": False,
        "log": 0.0,
        "logLen": 0.0,
    }
    write_matlab(Path(path), {"A": content, "vers": VERSION})


def _cells(annotation: VideoAnnotation) -> np.ndarray:
    """`objLists`: a cell a frame, each 0 x 0 or a row of structs."""
    kinds = [("id", object), ("pos", object), ("occl", object), ("lock", object), ("posv", object)]
    cells = np.empty((1, annotation.frames), dtype=object)
    for number in range(1, annotation.frames + 1):
        rows = np.flatnonzero(annotation.frame == number)
        cells[0, number - 1] = np.zeros((1, len(rows)), dtype=kinds) if len(rows) else np.zeros((0, 0))
        for place, row in enumerate(rows):
            cells[0, number - 1][0, place] = (
                float(annotation.object_id[row]),
                annotation.pos[row : row + 1],
                float(annotation.occluded[row]),
                0.0,
                annotation.posv[row : row + 1],
            )
    return cells


def _objects(annotation: VideoAnnotation) -> dict[str, object]:
    """The rows with an entry an object; ids that no box has are marked as not in use, as MATLAB's `vbb` does."""
    count = int(annotation.object_id.max(initial=1))
    labels = np.full((1, count), "", dtype=object)
    first, last = -np.ones((1, count)), -np.ones((1, count))
    for place in range(count):
        rows = np.flatnonzero(annotation.object_id == place + 1)
        if len(rows):
            labels[0, place] = str(annotation.label[rows[0]])
            first[0, place], last[0, place] = annotation.frame[rows].min(), annotation.frame[rows].max()
    return {
        "maxObj": float(count),
        "objInit": (first > 0).astype(np.float64),
        "objLbl": labels,
        "objStr": first,
        "objEnd": last,
        "objHide": np.zeros((1, count)),
    }
