"""The frames of a source, one after the other, whatever it is: picture, video, animation or live stream."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace

from upright.datasets.pictures import read_picture
from upright.detector.animated import animated_frames, animated_length, is_animated
from upright.detector.live import LiveReader
from upright.detector.selection import Chooser, Selection
from upright.detector.sources import Frame, Source
from upright.detector.video_reader import VideoFormat, VideoReader, turned
from upright.errors import InputError

LIVE_TICKS = 1000  # a second, in copies of what has no clock of its own


def read_frames(
    source: Source, notes: list[str], selection: Selection | None = None, stop: threading.Event | None = None
) -> Generator[Frame, None, None]:
    """The frames of a source, one for a picture.

    Args:
        source: of `find_sources`.
        notes: gets one line where a picture is odd, where a video turns out to be cut off or damaged, and for what a
            live source dropped.
        selection: which frames of a video count, by default all; a picture always does.
        stop: ends a live source.

    Raises:
        InputError: nothing can be decoded.
    """
    selection = Selection() if selection is None else selection
    if not source.is_video:
        yield Frame(source, read_picture(source.path, notes))
    elif source.live:
        yield from _live(source, notes, selection, threading.Event() if stop is None else stop)
    elif source.stream is None and is_animated(source.path):
        yield from _animated(source, selection)
    else:
        yield from _video(source, notes, selection)


def _video(source: Source, notes: list[str], selection: Selection) -> Iterator[Frame]:
    reader = VideoReader(source.path if source.stream is None else source.stream)
    chooser, chosen = Chooser(selection), 0
    sizes = set()
    with closing(reader.decoded(selection.start)) as frames:
        for seconds, frame in frames:
            if chooser.wants(seconds):
                chosen += 1
                sizes.add((frame.width, frame.height))
                form = replace(reader.format, start=selection.start, end=selection.until)
                yield Frame(source, turned(frame), reader.read - 1, reader.fps, seconds, form)
            if chooser.over:
                break
    if chosen == 0:
        raise InputError(f"{source.name} has no frame from {selection.start:g} s on: it ends before")
    if len(sizes) > 1:
        notes.append(f"{source.name}: its pictures are not all of one size; its annotated copy keeps that of the first")
    if reader.damaged:
        notes.append(
            f"{source.name}: {reader.damaged} frame{'s' * (reader.damaged != 1)} could not be decoded; the copy goes "
            "on without. Fetch it again for the rest"
        )
    if not chooser.over and reader.cut_off:
        notes.append(
            f"{source.name}: {reader.read} frames could be read, up to {reader.reached:.1f} s of the "
            f"{reader.duration:.1f} s that its header announces; it may be cut off. They are kept: fetch it again for "
            "the rest"
        )


def _animated(source: Source, selection: Selection) -> Iterator[Frame]:
    _, fps = animated_length(source.path)
    chooser = Chooser(selection)
    form = VideoFormat(LIVE_TICKS, start=selection.start)
    with closing(animated_frames(source.path)) as frames:
        for number, (seconds, image) in enumerate(frames):
            if chooser.wants(seconds):
                yield Frame(source, image, number, fps, seconds, form)
            if chooser.over:
                return


def _live(source: Source, notes: list[str], selection: Selection, stop: threading.Event) -> Iterator[Frame]:
    assert source.stream is not None
    reader = LiveReader(source.stream, stop, selection.until)
    chooser, chosen = Chooser(selection), 0
    form = VideoFormat(LIVE_TICKS, start=selection.start)
    with closing(iter(reader)) as frames:
        for number, seconds, frame in frames:
            if chooser.wants(seconds):
                chosen += 1
                yield Frame(source, turned(frame), number, reader.fps, seconds, form)
            if chooser.over:
                break
    if reader.failure is not None:
        notes.append(f"{source.name} was given up, {reader.failure}; what came until then is kept")
    if chosen == 0 and not stop.is_set():
        raise InputError(f"{source.name}: no picture came" + (f", {reader.failure}" if reader.failure else ""))
    if reader.dropped:
        notes.append(f"{source.name}: of {reader.came} frames that came {reader.dropped} were dropped, to keep up")
