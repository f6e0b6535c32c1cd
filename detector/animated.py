"""Animated GIF and WebP as video, by Pillow: FFmpeg knows no animated WebP."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from upright.errors import InputError

SHORTEST = 0.010  # seconds of a frame; what claims less is shown for the usual time, as browsers do
USUAL = 0.100


def is_animated(path: Path) -> bool:
    """Whether a file is a GIF or WebP of several frames."""
    try:
        with path.open("rb") as file:
            start = file.read(12)
        if not (start.startswith(b"GIF8") or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")):
            return False
        with _opened(path) as picture:
            return getattr(picture, "n_frames", 1) > 1
    except Exception:  # what is wrong with it is said when it is read
        return False


def animated_frames(path: Path) -> Generator[tuple[float, np.ndarray], None, None]:
    """Each frame uint8 (H, W, 3), RGB, behind the time in seconds at which it is shown; once, also where it repeats.

    Raises:
        InputError: it is damaged; the frames before are given.
    """
    seconds = 0.0
    number = 0
    try:
        with _opened(path) as picture:
            for number in range(picture.n_frames):
                picture.seek(number)
                image = np.asarray(picture.convert("RGB"))
                yield seconds, image
                seconds += _shown(picture)
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise InputError(f"cannot decode frame {number} of {path} ({error}): fetch or export it again") from None


def animated_length(path: Path) -> tuple[int, float]:
    """Frames, and how many there are a second in the mean."""
    with _opened(path) as picture:
        count, seconds = picture.n_frames, 0.0
        for number in range(count):
            picture.seek(number)
            seconds += _shown(picture)
    return count, count / seconds


def _shown(picture: Any) -> float:
    """Seconds for which the frame in hand is shown."""
    duration = float(picture.info.get("duration") or 0) / 1000
    return duration if duration > SHORTEST else USUAL


def _opened(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of many pixels
        return Image.open(path)
