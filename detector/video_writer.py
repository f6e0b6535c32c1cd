"""Annotated pictures and videos on disk, whole or not at all."""

from __future__ import annotations

import shutil
import warnings
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from upright.detector.video_reader import VideoFormat, reason
from upright.detector.video_sound import Sound
from upright.errors import DiskFull, InputError, InputWarning
from upright.output import FULL, cannot_write, whole_file

WIDEST = 16384  # pixels a side that x264 takes
MOST_TICKS = 1_000_000  # a second; finer time stamps are rounded
QUALITY = {"preset": "veryfast", "crf": "20"}


class _Discarded(Exception):
    """Leaves `whole_file` without a file."""


class VideoWriter:
    """Writes a video that appears under its name only when `close` is called: H.264 in MP4, its index in front.

    Browsers and phones play 4:2:0 alone, and H.264 knows it at even sides alone. A picture with an odd side is
    encoded with its last column or row twice, and the container tells its true size: FFmpeg, and so OpenCV, cuts the
    picture to it.

    An MP4 cannot be played without its index, which is written last: of a copy that met a full disk nothing is left.

    Args:
        path: its suffix becomes `.mp4`.
        fps: frames a second, where `write` is given no times; else the mean.
        size: (width, height) in pixels.
        like: the video that is copied: its times and pixels, and its sound. Its `start` is 0 in the copy. Where the
            sound cannot be kept the copy is silent, with an `InputWarning`.

    Attributes:
        path: with the suffix.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, path: str | Path, fps: float, size: tuple[int, int], like: VideoFormat | None = None) -> None:
        self.path = Path(path).with_suffix(".mp4")
        if max(size) > WIDEST:
            raise InputError(
                f"cannot write the video {self.path}: {size[0]} x {size[1]} is more than H.264 holds, "
                f"{WIDEST} pixels a side; make the video smaller"
            )
        rate = Fraction(fps).limit_denominator(1001) or Fraction(fps)
        self._rate, self._size = rate, size
        self._format = VideoFormat(rate.numerator) if like is None else like
        ticks = self._format.ticks
        while ticks < 10_000:  # so that a variable rate keeps its milliseconds
            ticks *= 10
        self._ticks = min(ticks, MOST_TICKS)
        self._written, self._last = 0, -1
        self._waiting: tuple[np.ndarray, int] | None = None
        self._file = ExitStack()
        self._temporary = self._file.enter_context(whole_file(self.path))
        self._sound: Sound | None = None
        try:
            self._container, self._stream = self._open(self._format.sound)
        except (av.FFmpegError, OSError, ValueError) as error:
            self._fail(error)

    def write(self, image: np.ndarray, seconds: float | None = None) -> None:
        """Append a frame.

        Args:
            image: uint8 (H, W, 3), RGB; one of another size is resized.
            seconds: when it is shown, in the source's time; by default after one interval of `fps`.

        Raises:
            InputError: it cannot be written, `DiskFull` where that is why; then nothing is left.
        """
        if image.shape[1::-1] != self._size:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        time = self._written / self._rate if seconds is None else seconds - self._format.start
        stamp = max(round(time * self._ticks), self._last + 1)
        # A frame's duration is known when the next one comes.
        self._encode(stamp)
        self._waiting, self._last = (image, stamp), stamp
        self._written += 1

    def _encode(self, following: int) -> None:
        """Encode the frame that waits, which is shown until `following`."""
        if self._waiting is None:
            return
        image, stamp = self._waiting
        frame = av.VideoFrame.from_ndarray(_even(image), format="rgb24").reformat(format="yuv420p", threads=1)
        frame.pts, frame.time_base = stamp, self._encoder.time_base
        frame.duration = following - stamp
        try:
            self._mux(self._encoder.encode(frame))
            if self._sound is not None:
                self._sound.up_to(following / self._ticks)
        except (av.FFmpegError, OSError) as error:
            self._fail(error)

    def close(self) -> None:
        """Finish the file and give it its name.

        Raises:
            InputError: as of `write`, or it does not hold all frames; then it is gone.
        """
        self._encode(self._last + round(self._ticks / self._rate))
        try:
            self._mux(self._encoder.encode(None))
            if self._sound is not None:
                self._sound.rest()
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            self._fail(error)
        held = count_packets(self._temporary)  # not every error of writing is reported
        if held < self._written:
            free = shutil.disk_usage(self.path.parent).free
            self.discard()
            raise DiskFull(
                f"cannot finish the video {self.path}: the file took {held} of {self._written} frames "
                f"({free / 1e6:.0f} MB are free there, or a limit on file sizes was met); make room or choose another"
            )
        self._file.close()

    def discard(self) -> None:
        """Leave nothing behind; after `close` without effect."""
        if self._sound is not None:
            self._sound.close()
        with suppress(av.FFmpegError, OSError):
            self._container.close()
        with suppress(_Discarded), self._file:
            raise _Discarded

    def _fail(self, error: Exception) -> None:
        width, height = self._size
        free = shutil.disk_usage(self._temporary.parent).free
        if hasattr(self, "_container"):
            self.discard()
        else:
            with suppress(_Discarded), self._file:
                raise _Discarded
        if getattr(error, "errno", None) in FULL:
            raise cannot_write(self.path, error) from None
        raise InputError(
            f"cannot write the video {self.path} ({width} x {height}, {float(self._rate):g} fps): {reason(error)}; "
            f"{free / 1e6:.0f} MB are free there"
        ) from None

    def _open(self, sound: Path | None) -> tuple[Any, Any]:
        container = av.open(
            str(self._temporary),
            "w",
            format="mp4",
            options={"movflags": "+faststart", "video_track_timescale": str(self._ticks)},
        )
        width, height = self._size
        aspect = self._format.aspect.limit_denominator(10_000)
        self._encoder = av.CodecContext.create("libx264", "w")
        self._encoder.width, self._encoder.height = width + width % 2, height + height % 2
        self._encoder.pix_fmt = "yuv420p"
        self._encoder.time_base = Fraction(1, self._ticks)
        self._encoder.framerate = self._rate
        self._encoder.sample_aspect_ratio = aspect
        self._encoder.colorspace = self._encoder.color_primaries = self._encoder.color_trc = 6  # BT.601, as converted
        self._encoder.max_b_frames = 0  # each frame is then decoded when it is shown, and variable rates stay exact
        self._encoder.gop_size = max(12, min(250, round(4 * self._rate)))  # so that a click finds its place at once
        self._encoder.options = QUALITY
        # Not the encoder's own stream, so that the container may tell another size than the encoder.
        stream: Any = container.add_mux_stream("h264", rate=self._rate, width=width, height=height)
        stream.sample_aspect_ratio = aspect
        try:
            if sound is not None:
                with suppress(LookupError):
                    self._sound = Sound(sound, container, self._format.start, self._format.end)
            container.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            if sound is None:
                raise
            text = f"the copy of {sound} is silent, its sound cannot be kept ({reason(error)})"
            warnings.warn(text, InputWarning, stacklevel=2)
            if self._sound is not None:
                self._sound.close()
                self._sound = None
            return self._open(None)
        return container, stream

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.stream = self._stream
            self._container.mux(packet)


def _even(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        return cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(image)


def count_packets(path: Path) -> int:
    """Frames that a video file holds, whether they can be decoded or not; 0 where it is no video."""
    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            stream = container.streams.video[0]
            return sum(packet.size > 0 for packet in container.demux(stream))
    except (av.FFmpegError, OSError, IndexError):
        return 0


def write_picture(path: str | Path, image: np.ndarray) -> None:
    """Write a picture whole or not at all.

    Args:
        path: its suffix is the format.
        image: uint8 (H, W, 3), RGB.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    try:
        encoded, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error:
        encoded = False
    if not encoded:
        raise InputError(f"cannot write the picture {path}: OpenCV does not write this format at this size")
    with whole_file(path) as temporary:
        temporary.write_bytes(data.tobytes())
