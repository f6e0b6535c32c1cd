"""Pictures, folders, videos and streams, as a user names them."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from upright.datasets.pictures import PICTURE_SUFFIXES, is_heic
from upright.detector.animated import is_animated
from upright.detector.input_names import Stream, expand
from upright.detector.video_reader import VideoFormat, VideoReader
from upright.errors import InputError

VIDEO_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv"),
    *(".3gp", ".ogv"),
}
RESULTS = "detections.json"  # names a folder that an earlier run wrote into


@dataclass(frozen=True)
class Source:
    """A picture or a video to be read.

    Attributes:
        path: the file, as the user named it.
        output: where its annotated copy goes.
        is_video: whether it holds frames.
        frames: how many it probably holds, for a progress bar.
        stream: where it is read from instead of `path`, if from a camera or the network.
        live: whether its frames come by themselves, and are lost when nobody looks.
    """

    path: Path
    output: Path
    is_video: bool
    frames: int
    stream: Stream | None = None
    live: bool = False

    @property
    def name(self) -> str:
        """What results and messages call it: the path as it was given, or the address without its password."""
        return str(self.path) if self.stream is None else self.stream.shown


@dataclass(frozen=True)
class Frame:
    """One decoded picture.

    Attributes:
        source: where it is from.
        image: uint8 (H, W, 3), RGB.
        number: of a video's frame, from 0; None of a picture, as the next three.
        fps: the video's, the mean where its rate is variable.
        seconds: when the frame is shown, by the container's time stamps.
        video: what a copy of the video takes over.
    """

    source: Source
    image: np.ndarray
    number: int | None = None
    fps: float | None = None
    seconds: float | None = None
    video: VideoFormat | None = None


def find_sources(inputs: Sequence[str | Path], output: str | Path, notes: list[str] | None = None) -> list[Source]:
    """The pictures and videos that `inputs` name, and where their annotated copies go.

    Folders are searched with all folders in them, in the order of names; hidden files and the results of earlier
    runs are passed over. A copy keeps its name (below `output`, with its path inside a folder that was named); a
    name that is taken gets `-2`, `-3` ... JPEGs stay JPEGs, other pictures become PNGs. What the files hold is seen
    only when they are read.

    Args:
        inputs: pictures, videos, folders, patterns, lists of names, cameras and streams, see `input_names`.
        output: the folder for the copies; it may hold the inputs.
        notes: gets one line for each reason for which files in the folders were passed over.

    Raises:
        InputError: an input is missing or would be overwritten by its copy; a folder holds neither pictures nor
            videos; there are several live sources, of which all but the first would wait for ever.
    """
    output = Path(output)
    taken: set[str] = set()
    sources = []
    passed = PassedOver()
    for path, name, stream in _files(list(expand(inputs)), output.resolve(), passed):
        video = stream is not None or _is_video(path)
        suffix = ".mp4" if video else path.suffix.lower() if path.suffix.lower() in (".jpg", ".jpeg") else ".png"
        stem, count = name.with_suffix(""), 1
        while taken & {str(stem), f"{stem}-crops"}:
            count += 1
            stem = name.with_name(f"{name.stem}-{count}")
        taken |= {str(stem), f"{stem}-crops"}
        target = output / stem.with_name(stem.name + suffix)
        frames, live = _frames(stream or path) if video else (1, False)
        sources.append(Source(path, target, video, frames, stream, live))
    originals = {source.path.resolve(): source.path for source in sources if source.stream is None}
    endless = [source.name for source in sources if source.live]
    if len(endless) > 1:
        raise InputError(f"{endless[1]} would wait until {endless[0]} ends: start a run for each live source")
    for source in sources:
        for copy in (source.output, crops_name(source.output)):
            if copy.resolve() in originals:
                raise InputError(
                    f"the output would overwrite the input {originals[copy.resolve()]}: give another folder as --output"
                )
    if notes is not None:
        notes += passed.lines()
    return sources


def crops_name(output: Path) -> Path:
    """Where the canonical crops go that belong to an annotated copy."""
    return output.with_name(f"{output.stem}-crops{output.suffix}")


@dataclass
class PassedOver:
    """What was found in the folders and is not searched, by the reason."""

    paths: dict[str, list[Path]] = field(default_factory=dict)

    def add(self, reason: str, path: Path) -> None:
        self.paths.setdefault(reason, []).append(path)

    def lines(self) -> list[str]:
        """One for each reason, with how many there are and one of them."""
        return [f"{len(paths)} passed over: {reason} ({paths[0]})" for reason, paths in self.paths.items()]


@dataclass(frozen=True)
class EarlierRun:
    """A folder with the results of an earlier run, and the inputs that its `detections.json` names."""

    folder: Path
    inputs: set[Path]
    stems: set[str]

    @classmethod
    def of(cls, folder: Path) -> EarlierRun | None:
        """None where the folder's `detections.json` is not one of ours."""
        try:
            content = json.loads((folder / RESULTS).read_bytes())
            if not {"images", "detections", "settings"} <= content.keys():
                return None
            inputs = {Path(image["file_name"]) for image in content["images"]}
            return cls(folder, {path.resolve() for path in inputs}, {path.stem for path in inputs})
        except (OSError, ValueError, TypeError, AttributeError, KeyError, RuntimeError):
            return None

    def wrote(self, file: Path) -> bool:
        """Whether a file is called like one of the inputs, lies in the folder, and is none of them."""
        names = {file.stem, re.sub(r"(-\d+)?(-crops)?$", "", file.stem)}
        return self.folder in file.parents and bool(names & self.stems) and file.resolve() not in self.inputs


def _files(
    inputs: Sequence[Path | Stream], output: Path, passed: PassedOver
) -> Iterator[tuple[Path, Path, Stream | None]]:
    """Each file or stream with the name of its copy, relative to the output folder."""
    for path in inputs:
        if isinstance(path, Stream):
            yield Path(path.shown), Path(path.stem + ".mp4"), path
            continue
        try:
            is_file, is_folder = path.is_file(), path.is_dir()
        except OSError as error:
            raise InputError(f"cannot read {path} ({error.strerror}): check the path") from None
        if is_file:
            yield path, Path(path.name), None
        elif is_folder:
            before = sum(map(len, passed.paths.values()))
            found = sorted(_in_folder(path, output, passed))
            if not found:
                more = f" ({'; '.join(passed.lines())})" if sum(map(len, passed.paths.values())) > before else ""
                raise InputError(f"the folder {path} holds no pictures and no videos{more}: name the files themselves")
            yield from ((file, file.relative_to(path), None) for file in found)
        else:
            raise InputError(f"no such picture, video or folder: {path}; check the path")


def _in_folder(top: Path, output: Path, passed: PassedOver) -> Iterator[Path]:
    """The pictures and videos in a folder and those in it."""

    def unreadable(error: OSError) -> None:
        passed.add(f"folders that cannot be read, {error.strerror}", Path(os.fsdecode(error.filename)))

    inside = top.resolve() in output.parents
    runs: list[EarlierRun] = []
    for name, folders, files in os.walk(top, onerror=unreadable):
        folder = Path(name)
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for one in [one for one in folders if (folder / one).is_symlink()]:
            folders.remove(one)
            passed.add("links to folders are not followed; name the folder itself", folder / one)
        if RESULTS in files and (run := EarlierRun.of(folder)) is not None:
            runs.append(run)
        for file in (folder / one for one in sorted(files) if not one.startswith(".")):
            if file.name == RESULTS:
                continue
            if file.suffix.lower() not in PICTURE_SUFFIXES | VIDEO_SUFFIXES:
                passed.add("neither pictures nor videos by the ends of their names", file)
            elif _leads_nowhere(file):
                passed.add("links in a circle", file)
            elif inside and output in file.resolve().parents:
                passed.add("results in the output folder", file)
            elif any(run.wrote(file) for run in runs):
                passed.add("results of an earlier run", file)
            elif file.exists() and not file.is_file():
                passed.add("neither files nor folders", file)
            else:
                yield file


def _leads_nowhere(file: Path) -> bool:
    try:
        os.stat(file)
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _is_video(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in PICTURE_SUFFIXES or suffix in VIDEO_SUFFIXES:
        return suffix in VIDEO_SUFFIXES or (suffix in (".gif", ".webp") and is_animated(path))
    try:
        with path.open("rb") as file:
            start = file.read(1 << 16)
    except OSError:
        return False  # what is wrong is said when it is read
    if is_animated(path):
        return True
    return not is_heic(start) and not cv2.haveImageReader(os.fsencode(path))  # type: ignore[arg-type]  # names need not be UTF-8


def _frames(video: Path | Stream) -> tuple[int, bool]:
    """How many frames a video announces, and whether it is live; 0 where it cannot be opened, which is said when it
    is read.
    """
    if isinstance(video, Stream) and video.surely_live:
        return 0, True
    if isinstance(video, Path) and is_animated(video):
        return 0, False
    try:
        reader = VideoReader(video)
    except InputError:
        return 0, False
    reader.close()
    return reader.announced, isinstance(video, Stream) and reader.endless
