"""What the engines that run exported files share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from upright.detector.detected import Detected
from upright.detector.exported_file import ExportedFile
from upright.detector.picture_size import reduced, refuse_thin

IN_PIXELS = ("boxes", "whole", "parts")


class ExportedEngine(ABC):
    """An `Engine` of an exported file.

    Args:
        file: that it runs.
        name: of engine and precision.
    """

    def __init__(self, file: ExportedFile, name: str) -> None:
        self.name = name
        self.settings = file.settings
        self._outputs = file.outputs

    def detect(self, images: Sequence[np.ndarray]) -> list[Detected]:
        """As `Engine.detect`."""
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> Detected:
        small = np.ascontiguousarray(reduced(image))
        height, width = small.shape[:2]
        refuse_thin(width, height, min_size=self.settings.min_size, max_size=self.settings.max_size)
        found = dict(zip(self._outputs, self.run(small), strict=True))
        if small is not image:
            ratio = np.array(image.shape[1::-1]) / np.array(small.shape[1::-1])
            for name in found.keys() & set(IN_PIXELS):
                found[name] = (found[name].reshape(-1, 2) * ratio).reshape(found[name].shape)
        return Detected.of(found)

    @abstractmethod
    def run(self, image: np.ndarray) -> Sequence[np.ndarray]:
        """The file's outputs for a picture uint8 (H, W, 3)."""
