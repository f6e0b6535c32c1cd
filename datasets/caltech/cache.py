"""What was parsed once, kept as .npz files, so that the next run does not read the whole data set again.

A file of the cache is used only where its key (sizes and times of what it was made from) is still true; a
damaged, foreign or outdated one is made anew. Nothing is kept where the folder cannot be written.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from upright.errors import InputError
from upright.output import whole_file

FORMAT = 2  # rises with every change of what the files of the cache hold


def cache_folder(root: Path) -> Path:
    """The folder that keeps what was parsed of `root`: ROOT/.upright_cache, or the user's own cache folder."""
    if os.access(root, os.W_OK):
        return root / ".upright_cache"
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "upright" / hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]


def file_key(paths: Iterable[Path], *settings: object) -> str:
    """One string that changes with the name, size or time of any of the files, or with a setting."""
    digest = hashlib.sha256(json.dumps([FORMAT, *map(str, settings)]).encode())
    for path in paths:
        status = path.stat()
        digest.update(f"{path.parent.name}/{path.name}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def load(path: Path, key: str) -> dict[str, np.ndarray] | None:
    """The arrays kept in `path`, or None where there are none that were made with this `key`."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            return {name: stored[name] for name in stored.files if name != "key"}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def save(path: Path, key: str, arrays: dict[str, np.ndarray]) -> None:
    """Keep `arrays` in `path` under `key`; another process that reads or writes it sees all or nothing."""
    with suppress(InputError), whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, key=np.array(key), **arrays)  # type: ignore[arg-type]  # mypy takes them for allow_pickle
