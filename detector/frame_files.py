"""Outputs of a file or more a frame: YOLO's labels, and pictures of the people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from upright.detector.events import Event
from upright.detector.recording import FrameRecord
from upright.detector.result_lines import track_numbers, yolo_lines
from upright.detector.sources import Source
from upright.detector.video_writer import write_picture
from upright.output import whole_file, writing

NUMBERED = re.compile(r"(\d{6,})[-.]")


class FrameFiles:
    """An output of files a frame: `NAME...` of a picture, `NAME/000012...` of the frames of a video.

    Args:
        place: gives the path for a source, without an ending.
        write: writes the files of a frame that begin with that path, whole; gives each when it is written.
    """

    def __init__(self, place: Callable[[Source], Path], write: Callable[[FrameRecord, Path], Iterator[Path]]) -> None:
        self._place = place
        self._write = write
        self._written: list[Path] = []  # of a picture
        self._folder: Path | None = None  # of a video, which may have any number of them
        self._last = -1  # the number of its last frame

    def begin(self, source: Source) -> None:
        self._written, self._folder, self._last = [], None, -1

    def add(self, record: FrameRecord) -> None:
        place, number = self._place(record.frame.source), record.frame.number
        if number is None:
            with writing(place):
                place.parent.mkdir(parents=True, exist_ok=True)
            for path in self._write(record, place):
                self._written.append(path)
            return
        if self._folder is None:
            with writing(place):
                place.mkdir(parents=True, exist_ok=True)
        self._folder, self._last = place, number
        for _ in self._write(record, place / f"{number:06d}"):
            pass

    def finish(self, events: tuple[Event, ...]) -> None:
        """All is written."""

    def discard(self) -> None:
        for path in self._written:
            path.unlink(missing_ok=True)
        if self._folder is not None:
            for path in self._folder.iterdir():
                numbered = NUMBERED.match(path.name)
                if numbered and int(numbered[1]) <= self._last:
                    path.unlink()
            if not any(self._folder.iterdir()):
                self._folder.rmdir()
        self._written, self._folder = [], None

    def close(self) -> None:
        pass


def write_labels(record: FrameRecord, place: Path) -> Iterator[Path]:
    """YOLO's labels of a frame; an empty file where nobody was found."""
    path = place.with_name(f"{place.name}.txt")
    with whole_file(path) as temporary:
        temporary.write_text("".join(yolo_lines(record)), encoding="ascii")
    yield path


def write_people(record: FrameRecord, place: Path) -> Iterator[Path]:
    """Each person cut out of the frame as JPEG, `-3` the third surest, with `-track7` where it has the number 7."""
    image, found = record.frame.image, record.found
    height, width = image.shape[:2]
    corners = np.concatenate([np.floor(found.boxes[:, :2]), np.ceil(found.boxes[:, 2:])], axis=1).reshape(-1, 4)
    corners = np.clip(corners, 0, (width, height, width, height)).astype(int)
    for row, ((x1, y1, x2, y2), track) in enumerate(zip(corners.tolist(), track_numbers(found), strict=True), 1):
        if x2 > x1 and y2 > y1:
            ending = "" if track is None else f"-track{track}"
            path = place.with_name(f"{place.name}-{row}{ending}.jpg")
            write_picture(path, np.ascontiguousarray(image[y1:y2, x1:x2]))
            yield path
