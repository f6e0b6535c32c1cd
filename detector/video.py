"""Videos, frame by frame, and annotated pictures and videos on disk.

A container's frame count is never believed: frames are read to the end, and the count only serves to notice that a
file was cut off.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import cv2
import numpy as np

from upright.datasets.pictures import is_heic
from upright.errors import InputError
from upright.output import whole_file

# Read at the first video: FFmpeg's own words would stand between our one-line messages.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

COUNTING_SUFFIXES = {".mp4", ".m4v", ".mov", ".avi"}  # their headers count frames; others only tell a duration
FALLBACK_FPS = 25.0  # where the container names none that can be
MOST_FAILURES = 30  # in a row, until a video is over: a damaged frame is no end
WIDEST_MPEG4 = 8191  # its headers have 13 bits for a side, and FFmpeg crashes beyond
WIDEST_JPEG = 65500
FINEST_MPEG4 = 65535  # ticks a second


class VideoReader:
    """A video's frames: iterate once, uint8 (H, W, 3), RGB, turned as the container says.

    Args:
        path: any video that FFmpeg reads.

    Attributes:
        fps: not rounded (29.97 stays 29.97).
        announced: frames that the container announces, 0 where it does not.
        read: frames read so far.
        damaged: frames before the last one that could not be decoded, so far.

    Raises:
        InputError: it is not a video, or is cut off before its first frame.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                start = file.read(32)
        except OSError as error:
            raise InputError(f"cannot read the video {path} ({error.strerror}): check the path") from None
        if not start:
            raise InputError(f"the video {path} is empty: fetch or export it again")
        if is_heic(start):
            raise InputError(f"{path} is a HEIC picture, which OpenCV does not read: export it as JPEG")
        self._capture = _open(self.path)
        if not self._capture.isOpened():
            raise InputError(f"cannot read the video {path}: it is not a video, or its index was cut off")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if math.isfinite(fps) and 0 < fps <= 1000 else FALLBACK_FPS
        self.announced = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.read = self.damaged = 0
        self._milliseconds = 0.0

    def __iter__(self) -> Iterator[np.ndarray]:
        try:
            failures = 0
            while failures < MOST_FAILURES:
                decoded, image = self._capture.read()
                if not decoded:
                    failures += 1
                    continue
                self.read, self.damaged, failures = self.read + 1, self.damaged + failures, 0
                self._milliseconds = self._capture.get(cv2.CAP_PROP_POS_MSEC)
                yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        except cv2.error as error:
            reason = error.err or f"OpenCV's error {error.code}"
            raise InputError(f"cannot decode the video {self.path} after {self.read} frames ({reason})") from None
        finally:
            self.close()
        if self.read == 0:
            raise InputError(f"the video {self.path} holds no frame that can be decoded: fetch or export it again")

    @property
    def cut_off(self) -> bool:
        """After the last frame: whether frames are missing that the header announces."""
        spare = 0 if self.path.suffix.lower() in COUNTING_SUFFIXES else max(1, self.announced // 50)
        needed = self.announced - spare
        if self.read + self.damaged >= needed or self._milliseconds / 1000 * self.fps + 1.5 >= needed:
            return False  # recorders leave out frames in which nothing moves
        return count_packets(self.path) < needed  # an edited video may hold frames that it does not show

    def close(self) -> None:
        self._capture.release()


def _open(path: Path) -> cv2.VideoCapture:
    # Absolute: FFmpeg takes "a:b.mp4" for a protocol "a". Bytes: a name need not be UTF-8.
    return cv2.VideoCapture(os.fsencode(path.absolute()), cv2.CAP_FFMPEG)  # type: ignore[call-overload]


def count_packets(path: Path) -> int:
    """Frames that a video file holds, whether they can be decoded or not; 0 where it is no video."""
    capture = _open(path)
    capture.set(cv2.CAP_PROP_FORMAT, -1)  # packets as they are, undecoded
    count = 0
    while capture.isOpened() and capture.grab():
        count += 1
    capture.release()
    return count


class _Discarded(Exception):
    """Leaves `whole_file` without a file."""


class VideoWriter:
    """Writes a video that appears under its name only when `close` is called.

    Args:
        path: its suffix becomes `.mp4` (MPEG-4), or `.avi` (Motion JPEG) where a side is odd, since OpenCV cuts
            MPEG-4 down to even sides, or larger than MPEG-4 knows.
        fps: frames a second.
        size: (width, height) in pixels.

    Attributes:
        path: with the suffix that was chosen.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, path: str | Path, fps: float, size: tuple[int, int]) -> None:
        if max(size) > WIDEST_JPEG:
            raise InputError(f"cannot write the video {path}: {size[0]} x {size[1]} is more than any format here holds")
        even = size[0] % 2 == 0 and size[1] % 2 == 0 and max(size) <= WIDEST_MPEG4
        # OpenCV writes the rate as a fraction of up to three digits after the point; MPEG-4 has no room for it above.
        fps = round(fps, 3 if fps * 1000 <= FINEST_MPEG4 else 2 if fps * 100 <= FINEST_MPEG4 else 1)
        self.path = Path(path).with_suffix(".mp4" if even else ".avi")
        self._size = size
        self._written = 0
        self._file = ExitStack()
        self._temporary = self._file.enter_context(whole_file(self.path))
        # OpenCV's own Motion JPEG writer rounds the fps and overruns memory at odd sizes; FFmpeg's packs our JPEGs.
        self._packs_jpegs = not even
        self._writer = cv2.VideoWriter(  # type: ignore[call-overload]
            os.fsencode(self._temporary.absolute()),
            cv2.CAP_FFMPEG,
            cv2.VideoWriter.fourcc(*("mp4v" if even else "MJPG")),
            fps,
            size,
            [] if even else [cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1, cv2.VIDEOWRITER_PROP_KEY_INTERVAL, 1],
        )
        if not self._writer.isOpened():
            self.discard()
            raise InputError(
                f"cannot write the video {self.path} ({size[0]} x {size[1]}, {fps:g} fps): "
                "check the folder and the free space"
            )

    def write(self, image: np.ndarray) -> None:
        """Append a frame, uint8 (H, W, 3), RGB; one of another size is resized, since OpenCV would drop it."""
        if image.shape[1::-1] != self._size:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        self._writer.write(cv2.imencode(".jpg", image)[1].reshape(1, -1) if self._packs_jpegs else image)
        self._written += 1

    def close(self) -> None:
        """Finish the file and give it its name.

        Raises:
            InputError: it does not hold all frames; then it is gone.
        """
        self._writer.release()
        held = count_packets(self._temporary)  # OpenCV's writer reports no error of its own
        if held < self._written:
            free = shutil.disk_usage(self.path.parent).free
            self.discard()
            raise InputError(
                f"cannot finish the video {self.path}: the file took {held} of {self._written} frames "
                f"({free / 1e6:.0f} MB are free there, or a limit on file sizes was met); make room or choose another"
            )
        self._file.close()

    def discard(self) -> None:
        """Leave nothing behind; after `close` without effect."""
        self._writer.release()
        with suppress(_Discarded), self._file:
            raise _Discarded


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
