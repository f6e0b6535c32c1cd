"""The interface of all engines: pictures in, detections out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np

from upright.detector.detected import Detected
from upright.detector.settings import Settings

EngineName = Literal["auto", "torch", "openvino", "onnxruntime"]
Precision = Literal["auto", "float32", "bfloat16"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@runtime_checkable
class Engine(Protocol):
    """A detector that is ready to run.

    Attributes:
        name: of engine and precision, for people.
        settings: of the detector.
    """

    name: str
    settings: Settings

    def detect(self, images: Sequence[np.ndarray]) -> list[Detected]:
        """Everything that is found in each picture, whatever its score.

        Args:
            images: uint8 (H, W, 3), RGB, of any sizes.

        Raises:
            InputError: a picture that is too thin.
        """
        ...
