"""Upright finds people in pictures and video.

    import upright
    found = upright.detect("street.jpg")
    print(found.boxes, found.scores)

The names below are fetched when they are first used, so that `import upright` stays light.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from upright.errors import InputError

# Read when torch is first imported. OpenMP's threads wait in a loop otherwise, and beside a process that is busy, or
# beside the threads that decode and draw, torch takes many times as long. Looping for some microseconds, not at all, is
# what a detector of many small layers needs: two thirds of the time on a quiet machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

if TYPE_CHECKING:
    from upright.detector.detect import detect
    from upright.detector.detected import Detected
    from upright.detector.engines.choice import open_engine
    from upright.detector.model import Detector
    from upright.detector.spatial_transformer import (
        Affine,
        Attention,
        BoundedTheta,
        ConvolutionalLocalisation,
        FullyConnectedLocalisation,
        ParallelSpatialTransformers,
        Projective,
        SeparateLocalisations,
        SpatialTransformer,
        ThetaRegression,
        ThinPlateSpline,
        Transformation,
    )
    from upright.detector.weights import load_detector

# Written out for type checkers and editors, which do not look into _HOMES.
__all__ = [
    "Affine",
    "Attention",
    "BoundedTheta",
    "ConvolutionalLocalisation",
    "Detected",
    "Detector",
    "FullyConnectedLocalisation",
    "InputError",
    "ParallelSpatialTransformers",
    "Projective",
    "SeparateLocalisations",
    "SpatialTransformer",
    "ThetaRegression",
    "ThinPlateSpline",
    "Transformation",
    "detect",
    "load_detector",
    "open_engine",
]

_HOMES = {
    "Detected": "upright.detector.detected",
    "Detector": "upright.detector.model",
    "detect": "upright.detector.detect",
    "load_detector": "upright.detector.weights",
    "open_engine": "upright.detector.engines.choice",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'upright' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES.get(name, "upright.detector.spatial_transformer")), name)
    globals()[name] = value  # so that this is not asked again
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
