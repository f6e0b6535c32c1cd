"""`--page`: one HTML file beside the results that shows them, with no network and nothing to install."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from upright.detector.events import Event, Fallen, Line, Zone
from upright.detector.page.gathering import (
    MOST_BOXES,
    MOST_TRACKS,
    BoxList,
    TrackList,
    VideoPage,
    jpeg_uri,
    smaller,
)
from upright.detector.page.html import data_block, page_end, page_start, printable, relative_link, short_name
from upright.errors import InputError
from upright.output import whole_file, write_whole, writing

if TYPE_CHECKING:
    from upright.detector.recording import FrameRecord
    from upright.detector.sources import Source

PAGE_NAME = "page.html"
PLAYED = {".mp4", ".m4v", ".mov", ".webm"}  # by browsers, if they know the codec; else the copy is shown
THUMBNAIL = (320, 240)  # pixels of a picture in the gallery at most
# Nothing of a page comes from elsewhere: it is read from a folder, and so are the videos and pictures beside it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src * data:; media-src *"
SCRIPTS = ("chart.js", "elements.js", "viewer.js", "page.js")


class Page:
    """An output of `upright.detector.recording.Recorder`: gathers while the run goes on, and writes source by source.

    Args:
        folder: where the page goes, `page.html`.
        settings: of the run, shown as they are.
        watched: lines and zones, drawn over the video; crossings of the lines are among the figures.
        copies: whether annotated copies are written beside it, by an output before this one.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(
        self, folder: Path, settings: dict[str, Any], watched: Sequence[Line | Zone | Fallen] = (), copies: bool = True
    ) -> None:
        self.path = folder / PAGE_NAME
        self._settings = settings
        self._watched = watched
        self._copies = copies
        self._boxes, self._tracks = MOST_BOXES, MOST_TRACKS  # room that is left
        self._current: _Current | None = None
        self._before: _Written | None = None  # how far the file was before the last source
        self._written = _Written()
        self._started = perf_counter()
        self._file = ExitStack()
        temporary = self._file.enter_context(whole_file(self.path))
        with writing(self.path):
            self._stream = self._file.enter_context(temporary.open("wb", buffering=0))
        self._write(page_start("Upright: people found", "page.html", POLICY))

    def begin(self, source: Source) -> None:
        """A source is about to come."""
        self._current, self._before = _Current(source), None

    def add(self, record: FrameRecord) -> None:
        """Gather a frame."""
        current, image = self._current, record.frame.image
        if current is None:
            return
        if record.frame.number is not None:
            if current.video is None:
                room = self._written
                current.video = VideoPage(TrackList(MOST_TRACKS - room.tracks), BoxList(MOST_BOXES - room.boxes))
            current.video.add(record)
            return
        current.picture = {
            "people": len(record.found.scores),
            "width": image.shape[1],
            "height": image.shape[0],
            "thumbnail": jpeg_uri(smaller(image, *THUMBNAIL)),
            "boxes": (record.found.boxes / np.tile(image.shape[1::-1], 2)).round(4).tolist(),
        }

    def finish(self, events: tuple[Event, ...]) -> None:
        """The source is over: it goes into the file."""
        current, self._current, before = self._current, None, self._written
        if current is None or (current.video is None and current.picture is None):
            return
        source, folder = current.source, self.path.parent
        value: dict[str, Any] = {
            "original": relative_link(source.path, folder) if source.stream is None and source.path.is_file() else None,
            "copy": relative_link(source.output, folder) if self._copies and source.output.is_file() else None,
        }
        if current.video is not None:
            video = current.video
            video.add_events(events)
            if source.path.suffix.lower() not in PLAYED:
                value["original"] = None
            lines = [f"{one.name} {way}" for one in self._watched if isinstance(one, Line) for way in one.directions]
            value["crossings"] = {name: video.counts[name] for name in lines}
            value["shapes"] = shapes(self._watched)
            value |= video.as_json()
            tracks = len(value["tracks"])
            self._written = before.more(video.frames, video.people, video.boxes.count, tracks)
        elif current.picture is not None:
            value |= current.picture
            self._written = before.more(1, current.picture["people"])
        self._before = before
        kind = "picture" if current.video is None else "video"
        try:
            self._write(data_block(kind, short_name(source), value))
        except InputError:  # it counts no source that it does not hold
            self.discard()
            raise

    def discard(self) -> None:
        """Forget the source, even one that was finished."""
        if self._before is not None:
            self._written = self._before
            self._stream.seek(self._written.length)
            self._stream.truncate()
        self._current = self._before = None

    def close(self) -> None:
        """After the last source: the file gets its name; without a single source there is none."""
        written = self._written
        if not written.sources:
            with suppress(_Empty), self._file:
                raise _Empty
            return
        seconds = perf_counter() - self._started
        run = {
            "settings": {name: printable(str(value)) for name, value in self._settings.items()},
            "figures": {
                "sources": written.sources,
                "frames": written.frames,
                "detections": written.people,
                "seconds": round(seconds, 1),
                "frames a second": round(written.frames / max(seconds, 1e-9), 1),
            },
        }
        with self._file:
            self._write(data_block("run", "run", run) + page_end(SCRIPTS))

    def _write(self, text: str) -> None:
        data = text.encode("utf-8")
        write_whole(self._stream, data, self.path)
        self._written = replace(self._written, length=self._written.length + len(data))


def shapes(watched: Sequence[Line | Zone | Fallen]) -> list[dict[str, Any]]:
    """Lines and zones with their names and points in pixels."""
    return [
        {"name": one.name, "points": one.corners if isinstance(one, Zone) else (one.start, one.end)}
        for one in watched
        if not isinstance(one, Fallen)
    ]


class _Empty(Exception):
    """Leaves `whole_file` without a file."""


@dataclass
class _Current:
    """The source that is being read: a video, or a picture."""

    source: Source
    video: VideoPage | None = None
    picture: dict[str, Any] | None = None


@dataclass(frozen=True)
class _Written:
    """What stands in the file: its bytes, and the sums over the sources."""

    length: int = 0
    sources: int = 0
    frames: int = 0
    people: int = 0
    boxes: int = 0
    tracks: int = 0

    def more(self, frames: int, people: int, boxes: int = 0, tracks: int = 0) -> _Written:
        """With one source more."""
        return _Written(
            self.length,
            self.sources + 1,
            self.frames + frames,
            self.people + people,
            self.boxes + boxes,
            self.tracks + tracks,
        )
