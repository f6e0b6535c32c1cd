"""What detectors take for a picture, side by side: `python tools/benchmark.py weights A.safetensors B.safetensors`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from upright.datasets.pictures import read_picture, spread_pictures
from upright.datasets.synthetic import SyntheticPedestrians
from upright.detector.engines.torch_engine import detect_pictures
from upright.detector.weights import load_detector

PICTURES = 24


def some_pictures(folder: Path | None) -> list[np.ndarray]:
    """Pictures uint8 (H, W, 3): of a folder spread over its files, or rendered ones.

    Raises:
        InputError: there is none in the folder, or one cannot be read.
    """
    if folder is None:
        rendered = SyntheticPedestrians("val", PICTURES)
        return [rendered[i].image for i in range(PICTURES)]
    return [read_picture(path) for path in spread_pictures(folder, PICTURES)]


def milliseconds(
    weights: Sequence[Path], pictures: Sequence[np.ndarray], repeats: int, device: str, done: Callable[[], object]
) -> dict[str, float]:
    """Median milliseconds a picture, from uint8 array to detections, by name of the weights file.

    Args:
        weights: files, which take turns on every picture.
        pictures: uint8 (H, W, 3).
        repeats: times that each picture is done.
        device: where the detectors run.
        done: called after every round over the pictures.
    """
    models = {path.stem: load_detector(path, device) for path in weights}
    taken: dict[str, list[float]] = {name: [] for name in models}
    for model in models.values():
        detect_pictures(model, [pictures[0]])
    for _ in range(repeats):
        for picture in pictures:
            for name, model in models.items():
                start = time.perf_counter()
                detect_pictures(model, [picture])
                taken[name].append(1000 * (time.perf_counter() - start))
        done()
    return {name: statistics.median(values) for name, values in taken.items()}
