"""`--page`: one HTML file beside the results that shows them, with no network and nothing to install."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import IO, TYPE_CHECKING, Any

from upright.detector.page.gathering import (
    MOST_BOXES,
    MOST_TRACKS,
    BoxList,
    TrackList,
    VideoPage,
    jpeg_uri,
    smaller,
)
from upright.detector.page.html import data_block, page_end, page_start, printable, relative_link
from upright.output import whole_file

if TYPE_CHECKING:
    from upright.detector.recording import Event, FrameRecord
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
        copies: whether annotated copies are written beside it.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], copies: bool = True) -> None:
        self.path = folder / PAGE_NAME
        self._settings = settings
        self._copies = copies
        self._boxes, self._tracks = MOST_BOXES, MOST_TRACKS  # room that is left
        self._current: _Current | None = None
        self._frames = self._people = self._sources = 0
        self._started = perf_counter()
        self._file = ExitStack()
        temporary = self._file.enter_context(whole_file(self.path))
        self._stream: IO[str] = self._file.enter_context(temporary.open("w", encoding="utf-8", errors="replace"))
        self._stream.write(page_start("Upright: people found", "page.html", POLICY))

    def add(self, record: FrameRecord) -> None:
        """Gather a frame."""
        if self._current is None:
            video = None
            if record.frame.number is not None:
                video = VideoPage(TrackList(self._tracks), BoxList(self._boxes))
            self._current = _Current(record.frame.source, video)
        current = self._current
        if current.video is not None:
            current.video.add(record)
            return
        image = record.frame.image
        current.picture = {
            "people": len(record.found.scores),
            "width": image.shape[1],
            "height": image.shape[0],
            "thumbnail": jpeg_uri(smaller(image, *THUMBNAIL)),
            "boxes": (record.found.boxes / [*image.shape[1::-1], *image.shape[1::-1]]).round(4).tolist(),
        }

    def end(self, events: tuple[Event, ...]) -> None:
        """The last events of the source."""
        if self._current is not None and self._current.video is not None:
            self._current.video.add_events(events)

    def finish(self) -> None:
        """The source was read to its end: it goes into the file."""
        self._write(broken_off=False)

    def stop(self) -> None:
        """It was broken off: what there is goes into the file."""
        self._write(broken_off=True)

    def discard(self) -> None:
        """Forget the source."""
        self._current = None

    def _write(self, broken_off: bool) -> None:
        current, self._current = self._current, None
        if current is None:
            return
        source, folder = current.source, self.path.parent
        value: dict[str, Any] = {
            "original": relative_link(source.path, folder) if source.path.is_file() else None,
            "copy": relative_link(source.output, folder) if self._copies else None,
            "broken_off": broken_off,
        }
        if current.video is not None:
            if source.path.suffix.lower() not in PLAYED:
                value["original"] = None
            value |= current.video.as_json()
            self._boxes -= current.video.boxes.count
            self._tracks -= len(value["tracks"])
            self._frames += current.video.frames
            self._people += current.video.people
        else:
            value |= current.picture
            self._frames += 1
            self._people += current.picture["people"]
        self._sources += 1
        kind = "picture" if current.video is None else "video"
        self._stream.write(data_block(kind, source.path.name or str(source.path), value))

    def close(self) -> None:
        """After the last source: the file gets its name; without a single source there is none."""
        if not self._sources:
            with suppress(_Empty), self._file:
                raise _Empty
            return
        seconds = perf_counter() - self._started
        run = {
            "settings": {name: printable(str(value)) for name, value in self._settings.items()},
            "figures": {
                "sources": self._sources,
                "frames": self._frames,
                "detections": self._people,
                "seconds": round(seconds, 1),
                "frames a second": round(self._frames / max(seconds, 1e-9), 1),
            },
        }
        with self._file:
            self._stream.write(data_block("run", "run", run) + page_end(SCRIPTS))


class _Empty(Exception):
    """Leaves `whole_file` without a file."""


@dataclass
class _Current:
    """The source that is being read: a video, or a picture once it was seen."""

    source: Source
    video: VideoPage | None
    picture: dict[str, Any] = field(default_factory=dict)
