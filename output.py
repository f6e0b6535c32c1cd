"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path
from tempfile import TemporaryFile

from upright.errors import DiskFull, InputError

LONGEST_NAME = 255  # bytes, of nearly every file system
FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EFBIG: "a file may not become larger there",
}


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a temporary name beside `path`, with its ending, that takes its place when all went well.

    Args:
        path: the final name; folders above it are made.

    Raises:
        InputError: nothing can be written there.
    """
    path = _file(path)
    temporary = _temporary_name(path)
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # whatever keeps it from being written keeps it from being there
            temporary.unlink(missing_ok=True)


def refuse_unwritable(path: str | os.PathLike[str]) -> None:
    """Check that a file can be written there, before work that would be lost; nothing is left behind.

    Raises:
        InputError: it cannot.
    """
    path = _file(path)
    with writing(path):
        folder = next(parent for parent in path.parents if parent.exists())
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """What goes wrong inside while `path` is written says so by its name.

    Raises:
        InputError: instead of an OSError; `DiskFull` where it takes no more.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from None


def _file(path: str | os.PathLike[str]) -> Path:
    """The path of a file that is there or may be made; of a link, of what it leads to."""
    try:
        path = Path(path).resolve()
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: cannot be written, since it is not a file; choose another place")
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise cannot_write(path, error) from None
    return path


def _temporary_name(path: Path) -> Path:
    """Beside `path`, hidden, with its ending; a name near the limit of file systems is shortened."""
    name = f".{path.stem}.{os.getpid()}.tmp{path.suffix}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        digest = hashlib.sha256(os.fsencode(path.stem)).hexdigest()[:16]
        name = f".{digest}.{os.getpid()}.tmp{path.suffix}"
    return path.with_name(name)


def write_whole(file: RawIOBase, data: bytes, path: str | os.PathLike[str]) -> None:
    """Write at the end of a file without a buffer, all or nothing; when this returns readers see it.

    Args:
        file: stands at its end.
        data: what to write.
        path: what an error calls the file.

    Raises:
        InputError: as of `writing`.
    """
    end, rest = file.tell(), memoryview(data)
    with writing(path):
        try:
            while rest:
                rest = rest[file.write(rest) or 0 :]
        except OSError:
            file.truncate(end)
            file.seek(end)
            raise


def cannot_write(path: str | os.PathLike[str], error: Exception) -> InputError:
    """What to raise for an error of the system, or of FFmpeg with its number, met while `path` was written."""
    number = getattr(error, "errno", None)
    if number in FULL:
        full = FULL[number]
        return DiskFull(f"{os.fspath(path)}: cannot be written, {full}; make room or choose another place")
    reason = getattr(error, "strerror", None) or error
    return InputError(f"{os.fspath(path)}: cannot be written ({reason}); choose another place")
