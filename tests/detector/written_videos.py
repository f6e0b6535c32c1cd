"""Pictures, and videos that tests of reading write, by OpenCV, which the program does not write with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def textured(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """A smooth picture, so that lossy codecs keep it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def street(seed: int = 0, size: tuple[int, int] = (96, 72)) -> np.ndarray:
    """As `textured`, finer and small."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def write_video(path: Path, frames: int = 10, size: tuple[int, int] = (64, 48), rate: float = 25.0) -> Path:
    code = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}[path.suffix]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), rate, size)
    for seed in range(frames):
        writer.write(textured(size, seed)[..., ::-1].copy())
    writer.release()
    return path
