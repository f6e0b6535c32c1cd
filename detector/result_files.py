"""Files of results that grow while a run goes on: nothing of a frame is kept in memory once it is written."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, cast

from upright.detector.events import Event
from upright.detector.recording import FrameRecord
from upright.detector.result_lines import detection_entries, image_entry
from upright.detector.sources import Source
from upright.errors import InputError
from upright.output import whole_file, write_whole, writing


class GrowingFile:
    """A file that is on disk as far as it was written, and forgets a source that failed.

    It stands there from the first source on, in place of what stood there; where all sources failed it goes.

    Args:
        path: where it is.
        head: its first line or lines.
        hidden: it has no name, and goes when it is closed; `path` is what it becomes part of.
    """

    def __init__(self, path: Path, head: str = "", *, hidden: bool = False) -> None:
        self._path = path
        self._head = head
        self._hidden = hidden
        self._file: RawIOBase | None = None
        self._size = self._mark = self._before = self._sources = 0

    def begin(self) -> None:
        """Before a source.

        Raises:
            InputError: it cannot be written.
        """
        if self._file is None:
            with writing(self._path):
                self._file = self._open()
        if not self._size:
            self.append(self._head)
        self._mark = self._size
        self._sources += 1

    def append(self, text: str) -> None:
        """Write at the end, all or nothing; what is written when this returns is with the system, readers see it.

        Raises:
            InputError: it cannot be written.
        """
        if self._file is None:
            raise ValueError("no source has begun")
        # As they are, file names that are no UTF-8.
        data = text.encode("utf-8", "surrogateescape")
        write_whole(self._file, data, self._path)
        self._before, self._size = self._size, self._size + len(data)

    def take_back(self) -> None:
        """Forget what the last `append` wrote."""
        self._cut(self._before)

    def roll_back(self) -> None:
        """Forget what was written since `begin`."""
        if self._file is None:
            return
        self._cut(self._mark)
        self._sources -= 1

    def _cut(self, size: int) -> None:
        assert self._file is not None
        self._file.truncate(size)
        self._file.seek(size)
        self._size = size

    def copy_to(self, other: BinaryIO) -> None:
        """Write all of it into another file."""
        if self._file is not None:
            self._file.seek(0)
            shutil.copyfileobj(cast(BinaryIO, self._file), other, 1 << 16)
            self._file.seek(self._size)

    def close(self) -> None:
        """After the last source."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if not self._hidden and not self._sources:
            self._path.unlink(missing_ok=True)

    def _open(self) -> RawIOBase:
        if self._hidden:
            return cast(RawIOBase, tempfile.TemporaryFile(dir=self._path.parent, buffering=0))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return open(self._path, "wb", buffering=0)


def no_lines(source: Source, events: tuple[Event, ...]) -> Iterable[str]:
    """Nothing is left to say at the end of a source."""
    return ()


class TextOutput:
    """An output into one file for all sources, lines for each frame.

    Args:
        path: of the file.
        lines: gives the lines of a frame, each with its end, and
        last: those after a source.
        head: the first line of the file.
    """

    def __init__(
        self,
        path: Path,
        lines: Callable[[FrameRecord], Iterable[str]],
        last: Callable[[Source, tuple[Event, ...]], Iterable[str]] = no_lines,
        head: str = "",
    ) -> None:
        self._file = GrowingFile(path, head)
        self._lines = lines
        self._last = last
        self._source: Source | None = None

    def begin(self, source: Source) -> None:
        self._source = source
        self._file.begin()

    def add(self, record: FrameRecord) -> None:
        self._file.append("".join(self._lines(record)))

    def finish(self, events: tuple[Event, ...]) -> None:
        if self._source is not None and events:
            self._file.append("".join(self._last(self._source, events)))

    def discard(self) -> None:
        self._file.roll_back()

    def close(self) -> None:
        self._file.close()


class TextPerSource:
    """An output into a file for each source, lines for each frame.

    Args:
        place: gives the path for a source.
        lines: gives the lines of a frame, each with its end.
    """

    def __init__(self, place: Callable[[Source], Path], lines: Callable[[FrameRecord], Iterable[str]]) -> None:
        self._place = place
        self._lines = lines
        self._file: GrowingFile | None = None

    def begin(self, source: Source) -> None:
        self.close()
        self._file = GrowingFile(self._place(source))
        self._file.begin()

    def add(self, record: FrameRecord) -> None:
        if self._file is not None:
            self._file.append("".join(self._lines(record)))

    def finish(self, events: tuple[Event, ...]) -> None:
        """All is written."""

    def discard(self) -> None:
        if self._file is not None:
            self._file.roll_back()
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class DetectionsFile:
    """The output `detections.json`: written whole in the end, and until then on disk without a name.

    Args:
        path: of the file; none is written where no source was read.
        settings: what it says of the run.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self._path = path
        self._settings = settings
        self._images = GrowingFile(path, hidden=True)
        self._detections = GrowingFile(path, hidden=True)
        self._count = self._found = 0  # entries in the two
        self._before = (0, 0)

    def begin(self, source: Source) -> None:
        self._before = (self._count, self._found)
        self._images.begin()
        self._detections.begin()

    def add(self, record: FrameRecord) -> None:
        self.add_entries(image_entry(record.frame), detection_entries(record.found))

    def add_entries(self, image: dict[str, Any], detections: list[dict[str, Any]]) -> None:
        """Add a picture or frame as of `image_entry`, and what was found as of `detection_entries`: both or neither."""
        number = self._count + 1
        self._images.append(self._separated(self._count, json.dumps({"id": number, **image})))
        entries = [json.dumps({"image_id": number, **one}) for one in detections]
        if entries:
            try:
                self._detections.append(self._separated(self._found, ", ".join(entries)))
            except InputError:
                self._images.take_back()
                raise
        self._count += 1
        self._found += len(entries)

    def finish(self, events: tuple[Event, ...]) -> None:
        """All is written."""

    def discard(self) -> None:
        self._count, self._found = self._before
        self._images.roll_back()
        self._detections.roll_back()

    def close(self) -> None:
        """Write the file.

        Raises:
            InputError: that is not possible.
        """
        try:
            if self._count:
                with whole_file(self._path) as temporary, temporary.open("wb") as file:
                    file.write(b'{"images": [')
                    self._images.copy_to(file)
                    file.write(b'], "detections": [')
                    self._detections.copy_to(file)
                    file.write(b'], "settings": ' + json.dumps(self._settings).encode() + b"}")
        finally:
            self._images.close()
            self._detections.close()

    @staticmethod
    def _separated(before: int, text: str) -> str:
        return f", {text}" if before else text
