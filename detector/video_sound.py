"""The sound of a video, carried over into its annotated copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from upright.detector.video_reader import starts_anywhere

# What MP4 holds and browsers and phones play; other sound becomes AAC.
COPIED = {"aac", "mp3", "opus", "flac"}


class Sound:
    """Sound of a video file on its way into another, which is being written.

    Args:
        path: where it comes from.
        output: where it goes, before its header is written.
        start, end: seconds of the source that are wanted; `start` becomes 0.

    Raises:
        av.FFmpegError: it cannot be read, or not be written.
        LookupError: there is none.
    """

    def __init__(self, path: Path, output: Any, start: float = 0.0, end: float | None = None) -> None:
        self._output = output
        self._start, self._end = start, end
        self._input = av.open(str(path.absolute()), metadata_errors="replace")
        try:
            stream: Any = self._input.streams.best("audio")
            if stream is None or stream.codec_context is None:
                raise LookupError(f"{path} has no sound")
            self._copied = stream.codec_context.name.removesuffix("float") in COPIED
            if self._copied:
                self._stream = output.add_stream_from_template(stream)
            else:
                layout = "mono" if stream.codec_context.channels == 1 else "stereo"
                self._stream = output.add_stream("aac", rate=stream.codec_context.sample_rate, layout=layout)
        except BaseException:
            self._input.close()
            raise
        if starts_anywhere(self._input):  # as the frames' clock has it
            self._start += (self._input.start_time or 0) / av.time_base
            self._end = None if end is None else end + self._start - start
        self._packets = self._wanted(stream)
        self._waiting: Any = next(self._packets, None)

    def up_to(self, seconds: float) -> None:
        """Write what is heard before a time of the copy."""
        while self._waiting is not None and self._time(self._waiting) < seconds:
            self._write(self._waiting)
            self._waiting = next(self._packets, None)

    def rest(self) -> None:
        """Write all that is left, and end."""
        self.up_to(float("inf"))
        if not self._copied:
            self._output.mux(self._stream.encode(None))
        self.close()

    def close(self) -> None:
        self._input.close()

    def _time(self, one: Any) -> float:
        """Of a packet, or of a decoded stretch, in the copy."""
        return float(one.pts * one.time_base) - self._start

    def _wanted(self, stream: Any) -> Iterator[Any]:
        """Packets as they are, or decoded where another codec is needed."""
        for packet in self._input.demux(stream):
            if packet.size == 0 or (self._copied and packet.pts is None and packet.dts is None):
                continue
            for one in [packet] if self._copied else _decoded(packet):
                if one.pts is None:
                    one.pts = one.dts
                time = self._time(one)
                if self._end is not None and time >= self._end - self._start:
                    return
                if self._start == 0 or time >= 0:
                    yield one

    def _write(self, one: Any) -> None:
        shift = round(self._start / one.time_base)
        one.pts -= shift
        if self._copied:
            one.dts = one.pts if one.dts is None else one.dts - shift
            one.stream = self._stream
            self._output.mux(one)
        else:
            self._output.mux(self._stream.encode(one))


def _decoded(packet: Any) -> list[Any]:
    try:
        return [frame for frame in packet.decode() if frame.pts is not None]
    except av.FFmpegError:
        return []  # a stretch that is damaged
