"""Videos, frame by frame, each with the time at which it is shown.

Time stamps, pixel aspect and rotation are the container's. Its frame count is never believed: frames are read to the
end, and the duration only serves to notice that a file was cut off.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData

from upright.datasets.pictures import is_heic
from upright.detector.input_names import Stream
from upright.errors import InputError

FALLBACK_FPS = 25.0  # where the container names none that can be
MOST_FAILURES = 30  # of the container in a row, until a video is over
PATIENCE = 10.0  # seconds until a server counts as silent
LONGEST_STEP = 10.0  # seconds between two frames; in a broadcast's recording more is a clock that was set anew
MOST_WAITING = 1 << 28  # bytes of undecoded frames that are kept until a wanted one comes
# Codecs of which each packet is one frame and each key frame a place to begin at, by the containers that mark them.
SKIPPED = {"mov,mp4,m4a,3gp,3g2,mj2": {"h264", "hevc", "vp9", "av1"}, "matroska,webm": {"vp9", "av1"}}
DECODING_ORDER = {"avi"}  # containers that number frames in the order of decoding and know no other time


@dataclass(frozen=True)
class VideoFormat:
    """What the copy of a video takes over from it, besides its size.

    Attributes:
        ticks: parts of a second in which it counts time.
        aspect: width of a pixel over its height.
        sound: a file whose sound belongs to the pictures.
        start, end: seconds of that file that the copy shows; None is its end.
    """

    ticks: int
    aspect: Fraction = Fraction(1)
    sound: Path | None = None
    start: float = 0.0
    end: float | None = None

    def beside(self) -> VideoFormat:
        """For a video of the same moments with other pictures."""
        return replace(self, aspect=Fraction(1), sound=None)


class VideoReader:
    """A video's frames: iterate once, uint8 (H, W, 3), RGB, turned as the container says.

    Args:
        path: any video that FFmpeg reads, a file or behind http(s).

    Attributes:
        fps: not rounded (29.97 stays 29.97); the mean where the rate is variable.
        format: what a copy takes over; right after the first frame.
        duration: seconds that the container says it has; None where it does not.
        endless: whether it may be a live stream.
        announced: frames that the container announces, 0 where it does not.
        read: frames read so far, those before a start that were not decoded among them.
        damaged: frames that could not be decoded so far; those at the end of a file that is cut off do not count.

    Raises:
        InputError: it is not a video, or is cut off before its first frame.
    """

    def __init__(self, path: str | Path | Stream) -> None:
        if isinstance(path, Stream):
            self.path: Path | str = path.shown
            self._container = open_container(path.address, path.shown, timeout=(PATIENCE, PATIENCE))
        else:
            self.path = path = Path(path)
            _check_file(path)
            # Absolute: FFmpeg takes "a:b.mp4" for a protocol "a".
            self._container = open_container(str(path.absolute()), path)
        self._stream = best_video(self._container, self.path)
        self._stream.thread_type = "AUTO"
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate and 0 < rate <= 1000 else FALLBACK_FPS
        time_base = self._stream.time_base or Fraction(1, 1000)
        self.format = VideoFormat(
            time_base.denominator,
            self._stream.sample_aspect_ratio or Fraction(1),
            path if isinstance(path, Path) and self._container.streams.audio else None,
        )
        self.duration = _duration(self._container, self._stream, self.fps)
        # Of what has no end known beforehand; a picture has none either.
        self.endless = self.duration is None and not self._container.format.name.endswith("_pipe")
        self._start = (self._container.start_time or 0) / av.time_base
        # A duration of the whole file may be that of the sound.
        self._reaching = None if self._stream.duration is None else self._stream.index
        self.announced = self._stream.frames or round((self.duration or 0) * self.fps)
        self.read = self.damaged = 0
        self._clock = Clock(self._container, self.fps)
        self._ends: dict[int, float] = {}
        self._failed_last = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        return (image for _, image in self.timed())

    def timed(self) -> Generator[tuple[float, np.ndarray], None, None]:
        """Each frame behind the time in seconds at which it is shown."""
        for seconds, frame in self.decoded():
            yield seconds, turned(frame)

    def decoded(self, start: float = 0.0) -> Generator[tuple[float, Any], None, None]:
        """As `timed`, with the decoder's own frames, for `turned`: some are not wanted as pictures.

        What is shown before the last key frame up to second `start` is only counted, where the format allows that.
        """
        packets = self._packets()
        waiting: list[Any] = []
        if start > 0 and self._stream.codec_context.name in SKIPPED.get(self._container.format.name, ()):
            self.read, waiting = _from_key_frame(packets, start)
        first = True
        try:
            for packet in chain(waiting, packets):
                for frame in self._decoded(packet):
                    if first and self.read and frame.pts < waiting[0].pts:
                        continue  # it leads up to the key frame from one that was not decoded
                    if first and _turns(frame)[0]:
                        self.format = replace(self.format, aspect=1 / self.format.aspect)
                    first = False
                    self.read += 1
                    yield self._clock.seconds(frame), frame
        finally:
            self.close()
        if self.read == 0:
            raise InputError(f"the video {self.path} holds no frame that can be decoded: fetch or export it again")
        if not self.cut_off:
            self.damaged += self._failed_last

    def _packets(self) -> Iterator[Any]:
        """Of the video; those of the sound tell how far the file reaches."""
        streams = [self._stream, *self._container.streams.audio[:1]]
        failures = 0
        demuxer = self._container.demux(streams)
        while True:
            try:
                packet = next(demuxer)
            except StopIteration:
                return
            except av.FFmpegError:
                failures += 1
                if failures >= MOST_FAILURES:
                    return
                demuxer = self._container.demux(streams)
                continue
            failures = 0
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is not None:
                end = float((stamp + (packet.duration or 0)) * packet.time_base)
                self._ends[packet.stream_index] = max(end, self._ends.get(packet.stream_index, -math.inf))
            if packet.stream_index == self._stream.index:
                yield packet

    def _decoded(self, packet: Any) -> list[Any]:
        if packet.size == 0 and packet.dts is not None:
            return []  # recorders leave out frames in which nothing moves
        try:
            frames = packet.decode()
        except av.FFmpegError:
            self._failed_last += 1
            return []
        if frames:
            self.damaged, self._failed_last = self.damaged + self._failed_last, 0
        return frames

    @property
    def cut_off(self) -> bool:
        """After the last frame: whether the file ends well before its duration does."""
        if self.duration is None or not self._ends:
            return False
        return self.duration - self.reached > max(2.5 / self.fps, 0.02 * self.duration)

    @property
    def reached(self) -> float:
        """Seconds of the file that were read, decoded or not."""
        end = max(self._ends.values()) if self._reaching is None else self._ends.get(self._reaching, 0.0)
        return end - self._start

    def close(self) -> None:
        self._container.close()


def _from_key_frame(packets: Iterator[Any], start: float) -> tuple[int, list[Any]]:
    """How many frames are shown before the last key frame up to second `start`, and the packets from that one on.

    These are as many as were read until it was sure to be the last. What an edit list leaves out does not count.
    """
    before, size, latest = 0, 0, -math.inf
    waiting: list[Any] = []
    for packet in packets:
        if packet.pts is not None:
            if packet.is_keyframe and latest < packet.pts <= start / packet.time_base:
                before += sum(_is_shown(one) for one in waiting)
                waiting, size = [], 0
            latest = max(latest, packet.pts)
        waiting.append(packet)
        size += packet.size
        if packet.dts is None or packet.dts > start / packet.time_base or size > MOST_WAITING:
            break
    leading = (one for one in waiting if one.pts is not None and one.pts < waiting[0].pts)
    return before and before + sum(map(_is_shown, leading)), waiting


def _is_shown(packet: Any) -> bool:
    return packet.size > 0 and not packet.is_discard


class Clock:
    """Times of decoded frames in seconds, growing from each to the next.

    They are the container's own, as FFmpeg's tools print them. Where those start anywhere (broadcast formats), the
    container's first moment is 0, and a clock that was set anew on the way goes on from the frame before. A frame
    without a time follows the one before by one interval.
    """

    def __init__(self, container: av.container.InputContainer, fps: float) -> None:
        self._interval = 1 / fps
        self._by_decoding = container.format.name in DECODING_ORDER
        self._jumps = starts_anywhere(container)
        self._origin = (container.start_time or 0) / av.time_base if self._jumps else 0.0
        self._last: float | None = None

    def seconds(self, frame: Any) -> float:
        """Of the next frame."""
        stamp = frame.dts if self._by_decoding else frame.pts
        following = 0.0 if self._last is None else self._last + self._interval
        time = following if stamp is None else float(stamp * frame.time_base) - self._origin
        if self._last is not None:
            if self._jumps and not -self._interval < time - self._last < LONGEST_STEP:
                self._origin += time - following
                time = following
            elif time <= self._last:  # two frames for one moment: the second must still come after
                time = self._last + min(self._interval, 0.001)
        self._last = time
        return time


def starts_anywhere(container: av.container.InputContainer) -> bool:
    """Whether the times of a format are those of a clock that runs on, as in broadcasts."""
    discontinuous: Any = av.format.Flags.ts_discont
    return bool(container.format.flags & discontinuous.value)


def open_container(address: str, name: object, **options: Any) -> av.container.InputContainer:
    """Open what FFmpeg reads; `name` is what an error calls it.

    Raises:
        InputError: with FFmpeg's reason.
    """
    try:
        return av.open(address, metadata_errors="replace", **options)
    except av.InvalidDataError:
        raise InputError(f"cannot read the video {name}: it is not a video, or its index was cut off") from None
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"cannot read the video {name} ({reason(error)}): check the address") from None


def best_video(container: av.container.InputContainer, name: object) -> Any:
    """The stream of pictures in a container.

    Raises:
        InputError: there is none.
    """
    stream = container.streams.best("video")
    if stream is None or stream.codec_context is None:
        container.close()
        raise InputError(f"cannot read the video {name}: it holds no pictures that FFmpeg knows to decode")
    return stream


def reason(error: Exception) -> str:
    """FFmpeg's in a few words, without the address, which may hold a password."""
    if isinstance(error, av.error.ExitError | TimeoutError):
        return "nothing came in time"
    return getattr(error, "strerror", None) or str(error)


def turned(frame: Any) -> np.ndarray:
    """A decoded frame as uint8 (H, W, 3), RGB, turned and mirrored as its display matrix says.

    Raises:
        InputError: its format cannot be converted.
    """
    try:
        # One thread: a converter lives for one frame, and would begin and end others for each.
        image = frame.to_ndarray(format="rgb24", threads=1)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"a frame of {frame.format.name} cannot be converted to RGB ({reason(error)})") from None
    transposed, mirrored_x, mirrored_y = _turns(frame)
    if transposed:
        image = image.transpose(1, 0, 2)
    image = image[:: -1 if mirrored_y else 1, :: -1 if mirrored_x else 1]
    return np.ascontiguousarray(image)


def _turns(frame: Any) -> tuple[bool, bool, bool]:
    """Whether x and y change places, and whether x and then y is mirrored, from the container's 3 x 3 matrix."""
    for data in frame.side_data:
        if data.type == SideData.DISPLAYMATRIX:
            a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()  # x' = a x + c y, y' = b x + d y
            return (True, c < 0, b < 0) if abs(b) > abs(a) else (False, a < 0, d < 0)
    return False, False, False


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(32)
    except OSError as error:
        raise InputError(f"cannot read the video {path} ({error.strerror}): check the path") from None
    if not start:
        raise InputError(f"the video {path} is empty: fetch or export it again")
    if is_heic(start):
        raise InputError(f"{path} is a HEIC picture and no video: give it its name back, NAME.heic")


def _duration(container: av.container.InputContainer, stream: Any, fps: float) -> float | None:
    """Seconds that the container says it has; None where it does not."""
    if stream.duration is not None:
        duration = float(stream.duration * stream.time_base)
        start = float((stream.start_time or 0) * stream.time_base) - (container.start_time or 0) / av.time_base
        duration += max(0.0, start)
    elif container.duration is not None:
        duration = container.duration / av.time_base
    else:
        return None
    if container.format.name in DECODING_ORDER:  # FFmpeg shortens it with the file; the header keeps the frames
        duration = max(duration, stream.frames / fps)
    return duration if 0 < duration < 1e7 else None
