"""Where the pictures of a Caltech folder lie: in .seq videos, or extracted to files by one of the known scripts."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import numpy as np

from upright.datasets.caltech.seq import SeqReader
from upright.datasets.pictures import read_picture
from upright.errors import InputError

VIDEOS = ("set{0:02d}/V{1:03d}.seq", "set{0:02d}/set{0:02d}/V{1:03d}.seq", "videos/set{0:02d}/V{1:03d}.seq")
IMAGES = (
    "images/set{0:02d}_V{1:03d}_I{2:05d}",
    "images/set{0:02d}/V{1:03d}/I{2:05d}",
    "images/set{0:02d}/V{1:03d}/set{0:02d}_V{1:03d}_I{2:05d}",
    "images/set{0:02d}_V{1:03d}_{2}",
    "set{0:02d}/V{1:03d}/images/I{2:05d}",
    "set{0:02d}/V{1:03d}/I{2:05d}",
    "train/images/set{0:02d}_V{1:03d}_I{2:05d}",
    "test/images/set{0:02d}_V{1:03d}_I{2:05d}",
    "frame/set{0:02d}_V{1:03d}_I{2:05d}",
    "set{0:02d}_V{1:03d}_I{2:05d}",
)
SUFFIXES = (".jpg", ".png", ".jpeg")

# Threads that load pictures ahead open each video once; a lock of the source itself could not go to other processes.
OPENING = Lock()


class FrameSource:
    """The pictures of a Caltech folder by set, video and frame counted from 0.

    Args:
        root: the folder.
        cache_dir: where the indexes of .seq files are kept, or None.
    """

    def __init__(self, root: Path, cache_dir: Path | None = None) -> None:
        self.root = root
        self.cache_dir = cache_dir
        self._videos: dict[tuple[int, int], SeqReader | None] = {}
        self._layouts = [place + suffix for place in IMAGES for suffix in SUFFIXES]

    def video(self, part: int, number: int) -> SeqReader | None:
        """The .seq file of a video, or None where there is none."""
        with OPENING:
            if (part, number) not in self._videos:
                paths = (self.root / place.format(part, number) for place in VIDEOS)
                path = next((path for path in paths if path.is_file()), None)
                self._videos[part, number] = SeqReader(path, self.cache_dir) if path else None
            return self._videos[part, number]

    def read(self, part: int, number: int, frame: int) -> tuple[np.ndarray, str]:
        """A picture, uint8 (H, W, 3) RGB, and the file that it came from.

        Raises:
            InputError: the picture is not there, or cannot be read.
        """
        video = self.video(part, number)
        if video is not None:
            return video[frame], str(video.path)
        layouts = self._layouts
        for layout in layouts:
            path = self.root / layout.format(part, number, frame)
            if path.is_file():
                # One script extracted them all: the next picture is found at the first try. A new list, since other
                # threads may be walking along the old one.
                if layout != layouts[0]:
                    self._layouts = [layout, *(other for other in layouts if other != layout)]
                return read_picture(path), str(path)
        name = f"set{part:02d}_V{number:03d}_I{frame:05d}"
        raise InputError(
            f"{self.root} has annotations of {name} but no picture: neither set{part:02d}/V{number:03d}.seq nor "
            f"images/{name}.jpg is there; without pictures only --detections can be evaluated"
        )

    def videos(self) -> list[tuple[int, int]]:
        """Set and number of every .seq file there is."""
        found = {
            (int(path.parent.name[3:]), int(path.stem[1:]))
            for place in ("set[0-9][0-9]", "set[0-9][0-9]/set[0-9][0-9]", "videos/set[0-9][0-9]")
            for path in self.root.glob(f"{place}/V[0-9][0-9][0-9].seq")
        }
        return sorted(found)
