"""Exported detectors in int8: NNCF quantises the heavy layers, by the values that pictures of their use give."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import openvino
from openvino.passes import ConstantFolding, Manager

from upright.datasets.pictures import read_picture
from upright.detector.engines.openvino_engine import shuffle_by_convolution
from upright.detector.picture_size import reduced, refuse_thin
from upright.detector.settings import Settings
from upright.errors import InputError

os.environ.setdefault("NNCF_CI", "1")  # read by NNCF, which else tells its makers over the network how it is called
import nncf

# With 256 steps a pixel of a wide picture is lost, and an angle of a crop. So only these parts are quantised, by the
# names of their modules.
COARSE = ("backbone/", "/head", "box_head/", "second_look/stages/", "second_look/judge/")


def quantised(model: openvino.Model, settings: Settings, pictures: Sequence[Path]) -> openvino.Model:
    """A detector whose heavy layers compute in int8: ranges by NNCF's post-training quantisation, biases corrected.

    Args:
        model: an exported detector, float32, that takes one picture; it is changed in place.
        settings: of the detector.
        pictures: at least one, read one after the other.

    Raises:
        InputError: a picture that cannot be read, or is too thin for the detector.
    """
    folding = Manager()
    folding.register_pass(ConstantFolding())
    folding.run_passes(model)  # so that NNCF sees which constants are biases, and corrects them
    shuffle_by_convolution(model)  # here, since the engine does not find shuffles with rounding between their layers
    nncf.set_log_level(logging.ERROR)
    others = f"^(?!.*({'|'.join(map(re.escape, COARSE))})).*$"
    return nncf.quantize(
        model,
        nncf.Dataset(list(pictures), partial(_pixels, settings)),
        subset_size=len(pictures),
        ignored_scope=nncf.IgnoredScope(patterns=[others]),
    )


def _pixels(settings: Settings, path: Path) -> np.ndarray:
    image = reduced(read_picture(path))
    height, width = image.shape[:2]
    try:
        refuse_thin(width, height, min_size=settings.min_size, max_size=settings.max_size)
    except InputError as error:
        raise InputError(f"{path}: {error}; take it out of the folder") from None
    return image
