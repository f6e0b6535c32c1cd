"""People in pictures in one call: `upright.detect`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import overload

import numpy as np
import torch

from upright.datasets.pictures import read_picture
from upright.detector.detected import Detected
from upright.detector.inference import batches, choose_device, detect_pictures
from upright.detector.model import Detector
from upright.detector.weights import load_detector
from upright.errors import InputError

Picture = str | os.PathLike | np.ndarray


@overload
def detect(  # type: ignore[overload-overlap]  # a str is an iterable of str, too, and means one picture
    images: Picture,
    model: Detector | None = ...,
    *,
    threshold: float | None = ...,
    device: str | None = ...,
    batch_size: int = ...,
) -> Detected: ...


@overload
def detect(
    images: Iterable[Picture],
    model: Detector | None = ...,
    *,
    threshold: float | None = ...,
    device: str | None = ...,
    batch_size: int = ...,
) -> list[Detected]: ...


def detect(
    images: Picture | Iterable[Picture],
    model: Detector | None = None,
    *,
    threshold: float | None = None,
    device: str | None = None,
    batch_size: int = 1,
) -> Detected | list[Detected]:
    """Find the people in one picture or in many.

    Args:
        images: a picture, or an iterable of them, read one batch after the other. A picture is a path, or an array
            uint8 (H, W, 3), RGB (OpenCV's `imread` gives BGR: turn it by `image[..., ::-1]`).
        model: of `load_detector`; by default the released one, which is loaded once and kept.
        threshold: the lowest score that counts, 0 to 1; by default the one that the model's weights hold.
        device: where the released model runs (default: a GPU where there is one); a `model` runs where it is.
        batch_size: pictures a call of the model.

    Returns:
        For one picture a `Detected` with `boxes`, float64 (n, 4), x1 y1 x2 y2 in pixels, and `scores`, float64 (n,)
        in 0..1, in falling order of the score; where the weights tell how people stand, also `lean`, `whole`, `parts`
        and `seen`. For many pictures a list of them, in their order.

    Raises:
        InputError: a file cannot be read, an array is no picture, a setting is out of its range.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(f"threshold {threshold:g} is not a score: use 0 to 1")
    if batch_size < 1:
        raise InputError(f"batch_size {batch_size} is not a number of pictures: use 1 or more")
    if model is None:
        model = _released(str(choose_device(device)))
    elif device is not None:
        raise InputError("a device is for the released model: move yours by model.to(device) and leave device out")
    threshold = model.settings.threshold if threshold is None else threshold
    one = False
    if isinstance(images, str | os.PathLike) or (isinstance(images, np.ndarray) and images.ndim != 4):
        images, one = [images], True
    place = next(model.parameters()).device
    was_training = model.training
    model.eval()
    found: list[Detected] = []
    try:
        for batch in batches(map(_decoded, images), batch_size, lambda picture: picture.nbytes):
            found += [Detected.of(output).above(threshold) for output in detect_pictures(model, batch, place)]
    finally:
        model.train(was_training)
    return found[0] if one else found


@lru_cache(maxsize=1)
def _released(device: str) -> Detector:
    return load_detector(None, torch.device(device))


def _decoded(picture: Picture) -> np.ndarray:
    """A picture as uint8 (H, W, 3), RGB."""
    if isinstance(picture, str | os.PathLike):
        return read_picture(Path(picture))
    if not isinstance(picture, np.ndarray):
        raise InputError(f"a {type(picture).__name__} is not a picture: give a path or an array uint8 (H, W, 3), RGB")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        shape = ", ".join(map(str, picture.shape))
        raise InputError(f"an array {picture.dtype} ({shape}) is not a picture: give uint8 (H, W, 3), RGB")
    return np.ascontiguousarray(picture)  # torch takes no reversed channels
