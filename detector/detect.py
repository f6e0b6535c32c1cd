"""People in pictures in one call: `upright.detect`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast, overload

import numpy as np

from upright.datasets.pictures import read_picture
from upright.detector.detected import Detected
from upright.detector.engines.choice import open_engine
from upright.detector.engines.engine import Engine, EngineName, Precision
from upright.detector.inference import batches
from upright.errors import InputError

if TYPE_CHECKING:
    from upright.detector.model import Detector

Picture = str | os.PathLike | np.ndarray


@overload
def detect(  # type: ignore[overload-overlap]  # a str is an iterable of str, too, and means one picture
    images: Picture,
    model: Detector | Engine | None = ...,
    *,
    threshold: float | None = ...,
    device: str | None = ...,
    engine: EngineName = ...,
    precision: Precision = ...,
    batch_size: int = ...,
) -> Detected: ...


@overload
def detect(
    images: Iterable[Picture],
    model: Detector | Engine | None = ...,
    *,
    threshold: float | None = ...,
    device: str | None = ...,
    engine: EngineName = ...,
    precision: Precision = ...,
    batch_size: int = ...,
) -> list[Detected]: ...


def detect(
    images: Picture | Iterable[Picture],
    model: Detector | Engine | None = None,
    *,
    threshold: float | None = None,
    device: str | None = None,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    batch_size: int = 1,
) -> Detected | list[Detected]:
    """Find the people in one picture or in many.

    Args:
        images: a picture, or an iterable of them, read one batch after the other. A picture is a path, or an array
            uint8 (H, W, 3), RGB (OpenCV's `imread` gives BGR: turn it by `image[..., ::-1]`).
        model: of `open_engine` or `load_detector`; by default the released one, which is opened once and kept.
        threshold: the lowest score that counts, 0 to 1; by default the one that the model's weights hold.
        device, engine, precision: of the released model, see `open_engine`; a `model` runs where and as it is.
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
        model = _released(engine, device, precision)
    elif (engine, device, precision) != ("auto", None, "auto"):
        raise InputError("engine, device and precision are the released model's: leave them out beside a model")
    opened = _as_engine(model)
    threshold = opened.settings.threshold if threshold is None else threshold
    one = False
    if isinstance(images, str | os.PathLike) or (isinstance(images, np.ndarray) and images.ndim != 4):
        images, one = [images], True
    found: list[Detected] = []
    for batch in batches(map(_decoded, images), batch_size, lambda picture: picture.nbytes):
        found += [people.above(threshold) for people in opened.detect(batch)]
    return found[0] if one else found


@lru_cache(maxsize=1)
def _released(engine: EngineName, device: str | None, precision: Precision) -> Engine:
    return open_engine(None, engine, device=device, precision=precision)


def _as_engine(model: Detector | Engine) -> Engine:
    """What finds people: an engine as it is, or a model in torch, which has been imported by whoever has one."""
    if isinstance(model, Engine):
        return model
    from upright.detector.engines.torch_engine import TorchEngine

    return TorchEngine(cast("Detector", model))


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
