"""Pictures, folders and videos as one stream of frames, and annotated pictures and videos on disk.

A container's frame count is never believed: frames are read to the end, and the count only serves to notice that a
file was cut off.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from upright.datasets.pictures import PICTURE_SUFFIXES, read_picture
from upright.errors import InputError
from upright.output import whole_file

# Read at the first video: FFmpeg's own words would stand between our one-line messages.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

VIDEO_SUFFIXES = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".flv"}
COUNTING_SUFFIXES = {".mp4", ".m4v", ".mov", ".avi"}  # their headers count frames; others only tell a duration
FALLBACK_FPS = 25.0  # where the container names none that can be


@dataclass(frozen=True)
class Source:
    """A picture or a video to be read.

    Attributes:
        path: the file, as the user named it.
        output: where its annotated copy goes.
        is_video: whether it holds frames.
        frames: how many it probably holds, for a progress bar.
    """

    path: Path
    output: Path
    is_video: bool
    frames: int


@dataclass(frozen=True)
class Frame:
    """One decoded picture: uint8 (H, W, 3), RGB; of a video also its number from 0 and its fps."""

    source: Source
    image: np.ndarray
    number: int | None = None
    fps: float | None = None

    @property
    def seconds(self) -> float | None:
        """Time in the annotated video. Containers' own time stamps are missing or shifted too often."""
        return None if self.number is None or self.fps is None else self.number / self.fps


class VideoReader:
    """A video's frames: iterate once, uint8 (H, W, 3), RGB, turned as the container says.

    Args:
        path: any video that FFmpeg reads.

    Attributes:
        fps: not rounded (29.97 stays 29.97).
        announced: frames that the container announces, 0 where it does not.
        read: frames read so far.

    Raises:
        InputError: it is not a video, or is cut off before its first frame.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        # Absolute: FFmpeg takes "a:b.mp4" for a protocol "a".
        self._capture = cv2.VideoCapture(str(self.path.absolute()), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise InputError(f"cannot read the video {path}: it is not a video, or its index was cut off")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if math.isfinite(fps) and 0 < fps <= 1000 else FALLBACK_FPS
        self.announced = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.read = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        try:
            while True:
                decoded, image = self._capture.read()
                if not decoded:
                    break
                self.read += 1
                yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        finally:
            self.close()
        if self.read == 0:
            raise InputError(f"the video {self.path} holds no frame that can be decoded: fetch or export it again")

    @property
    def cut_off(self) -> bool:
        """After the last frame: whether frames are missing that the header announces."""
        spare = 0 if self.path.suffix.lower() in COUNTING_SUFFIXES else max(1, self.announced // 50)
        return self.announced - self.read > spare

    def close(self) -> None:
        self._capture.release()


class _Discarded(Exception):
    """Leaves `whole_file` without a file."""


class VideoWriter:
    """Writes a video that appears under its name only when `close` is called.

    Args:
        path: its suffix becomes `.mp4` (MPEG-4), or `.avi` (Motion JPEG) where a side is odd: OpenCV cuts MPEG-4
            down to even sides.
        fps: frames a second.
        size: (width, height) in pixels.

    Attributes:
        path: with the suffix that was chosen.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, path: str | Path, fps: float, size: tuple[int, int]) -> None:
        even = size[0] % 2 == 0 and size[1] % 2 == 0
        self.path = Path(path).with_suffix(".mp4" if even else ".avi")
        self._size = size
        self._file = ExitStack()
        self._temporary = self._file.enter_context(whole_file(self.path))
        # OpenCV's own Motion JPEG writer rounds the fps and overruns memory at odd sizes; FFmpeg's packs our JPEGs.
        self._packs_jpegs = not even
        self._writer = cv2.VideoWriter(
            str(self._temporary.absolute()),
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

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._writer.release()
        check = cv2.VideoCapture(str(self._temporary.absolute()))  # OpenCV's writer reports no error of its own
        whole = check.isOpened()
        check.release()
        if not whole:
            self.discard()
            raise InputError(f"cannot finish the video {self.path}: check the free space")
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
    encoded, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not encoded:
        raise InputError(f"cannot write the picture {path}: OpenCV does not write this format at this size")
    with whole_file(path) as temporary:
        temporary.write_bytes(data.tobytes())


def find_sources(inputs: Sequence[str | Path], output: str | Path) -> list[Source]:
    """The pictures and videos that `inputs` name, and where their annotated copies go.

    Folders are searched with all folders in them, in the order of names; hidden files and the output folder are
    passed over. A copy keeps its name (below `output`, with its path inside a folder that was named); a name that
    is taken gets `-2`, `-3` ... JPEGs stay JPEGs, other pictures become PNGs.

    Raises:
        InputError: an input is missing, empty, neither picture nor video, or would be overwritten by its copy; a
            folder holds neither.
    """
    output = Path(output)
    taken: set[str] = set()
    sources = []
    for path, name in _files([Path(one) for one in inputs], output.resolve()):
        video = _is_video(path)
        if video:
            reader = VideoReader(path)
            frames = reader.announced
            reader.close()
        else:
            frames = 1
        suffix = ".mp4" if video else path.suffix.lower() if path.suffix.lower() in (".jpg", ".jpeg") else ".png"
        stem, count = name.with_suffix(""), 1
        while taken & {str(stem), f"{stem}-crops"}:
            count += 1
            stem = name.with_name(f"{name.stem}-{count}")
        taken |= {str(stem), f"{stem}-crops"}
        target = output / stem.with_name(stem.name + suffix)
        sources.append(Source(path, target, video, frames))
    originals = {source.path.resolve(): source.path for source in sources}
    for source in sources:
        for copy in (source.output, source.output.with_suffix(".avi"), crops_name(source.output)):
            if copy.resolve() in originals:
                raise InputError(
                    f"the output would overwrite the input {originals[copy.resolve()]}: give another folder as --output"
                )
    return sources


def crops_name(output: Path) -> Path:
    """Where the canonical crops go that belong to an annotated copy."""
    return output.with_name(f"{output.stem}-crops{output.suffix}")


def _files(inputs: list[Path], output: Path) -> Iterator[tuple[Path, Path]]:
    """Each file with the name of its copy, relative to the output folder."""
    for path in inputs:
        if path.is_file():
            if path.stat().st_size == 0:
                raise InputError(f"{path} is empty: fetch or export it again")
            yield path, Path(path.name)
        elif path.is_dir():
            found = [
                file
                for file in sorted(path.rglob("*"))
                if file.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES
                and not any(part.startswith(".") for part in file.relative_to(path).parts)
                and output not in file.resolve().parents
                and file.is_file()
            ]
            if not found:
                raise InputError(f"the folder {path} holds no pictures and no videos: name the files themselves")
            yield from ((file, file.relative_to(path)) for file in found)
        else:
            raise InputError(f"no such picture, video or folder: {path}; check the path")


def _is_video(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in PICTURE_SUFFIXES or suffix in VIDEO_SUFFIXES:
        return suffix in VIDEO_SUFFIXES
    return not cv2.haveImageReader(str(path))


def read_frames(source: Source, notes: list[str]) -> Iterator[Frame]:
    """The frames of a source, one for a picture.

    Args:
        source: of `find_sources`.
        notes: gets one line where the source turns out to be cut off.

    Raises:
        InputError: nothing can be decoded.
    """
    if not source.is_video:
        yield Frame(source, read_picture(source.path))
        return
    reader = VideoReader(source.path)
    for number, image in enumerate(reader):
        yield Frame(source, image, number, reader.fps)
    if reader.cut_off:
        notes.append(
            f"{source.path}: {reader.read} frames could be read of the {reader.announced} that its header announces; "
            "it may be cut off. They are kept: fetch it again for the rest"
        )
