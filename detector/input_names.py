"""What a user may name besides files and folders: patterns, lists of names, cameras, streams."""

from __future__ import annotations

import glob
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from upright.errors import InputError

LIST_SUFFIX = ".txt"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Stream:
    """A camera, or something on the network.

    Attributes:
        address: what FFmpeg opens.
        shown: the same as users may read it everywhere: without name and password.
        stem: of the names of files that belong to it.
        device: FFmpeg's name of the kind of camera; None on the network.
    """

    address: str
    shown: str
    stem: str
    device: str | None = None

    @classmethod
    def of(cls, name: str) -> Stream | None:
        """None where `name` is a file's, a folder's or nobody's."""
        if match := re.match(r"([a-z][a-z0-9+.-]+)://(?:[^/?#@]*@)?(.*)", name, re.IGNORECASE | re.DOTALL):
            scheme, rest = match.groups()
            stem = re.sub(r"[^A-Za-z0-9.]+", "-", rest.split("?")[0]).strip("-.")[:100]
            return cls(name, f"{scheme}://{rest}", stem or scheme)
        if re.fullmatch(r"\d{1,3}", name) and not os.path.lexists(name):
            if sys.platform == "darwin":
                return cls(name, f"camera {name}", f"camera-{name}", "avfoundation")
            if not sys.platform.startswith("linux"):
                raise InputError(
                    f"camera {name}: numbers name cameras on Linux and macOS alone; give a stream's address"
                )
            return cls(f"/dev/video{name}", f"/dev/video{name}", f"camera-{name}", "v4l2")
        if name.startswith("/dev/video") or _is_device(name):
            return cls(name, name, re.sub(r"[^A-Za-z0-9.]+", "-", name.removeprefix("/dev/")), "v4l2")
        return None

    @property
    def surely_live(self) -> bool:
        """Whether it can be nothing else: behind http there may be a file."""
        return self.device is not None or not re.match("https?:", self.address, re.IGNORECASE)


def _is_device(name: str) -> bool:
    try:
        return stat.S_ISCHR(os.stat(name).st_mode)
    except (OSError, ValueError):
        return False


def expand(inputs: Sequence[str | Path]) -> Iterator[Path | Stream]:
    """Every file, folder and stream that is meant, in order.

    A pattern ("photos/*.jpg", "**" for folders in folders) is one where no file has that name; a text file holds a
    name a line, from where the program runs or from where the file lies.

    Raises:
        InputError: nothing has such a name.
    """
    for one in inputs:
        name = os.fspath(one)
        if (stream := Stream.of(name)) is not None:
            yield stream
        elif name.lower().endswith(LIST_SUFFIX) and os.path.isfile(name):
            yield from _listed(Path(name))
        elif glob.has_magic(name) and not os.path.lexists(name):
            found = sorted(glob.glob(name, recursive=True))
            if not found:
                raise InputError(f"nothing matches the pattern {name}: check it")
            yield from map(Path, found)
        else:
            yield Path(name)


def _listed(path: Path) -> Iterator[Path | Stream]:
    try:
        lines = path.read_bytes().removeprefix(BYTE_ORDER_MARK).splitlines()
    except OSError as error:
        raise InputError(f"cannot read the list {path} ({error.strerror}): check the path") from None
    empty = True
    for number, line in enumerate(lines, 1):
        name = os.fsdecode(line.strip())
        if not name or name.startswith("#"):
            continue
        empty = False
        if "\0" in name:
            raise InputError(f"{path} is no list of names, one a line: it holds binary data")
        if (stream := Stream.of(name)) is not None:
            yield stream
            continue
        beside = path.parent / name
        if not os.path.lexists(name) and not os.path.lexists(beside):
            raise InputError(f"no such picture, video or folder: {name}, line {number} of the list {path}")
        yield Path(name) if os.path.lexists(name) else beside
    if empty:
        raise InputError(f"the list {path} holds no names: write one a line")
