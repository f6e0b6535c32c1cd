"""A detector in torch, for GPUs and for detectors in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from upright.detector.detected import Detected
from upright.detector.engines.engine import Precision
from upright.detector.inference import detect_pictures
from upright.detector.model import Detector


class TorchEngine:
    """An `Engine` of a model, which is put into eval mode while it looks and comes back in the mode that it had.

    Args:
        model: it runs where it is.
        precision: "auto" is float32.
    """

    def __init__(self, model: Detector, precision: Precision = "auto") -> None:
        self.model = model
        self.settings = model.settings
        self._half = precision == "bfloat16"
        self.name = f"torch {'bfloat16' if self._half else 'float32'}"

    def detect(self, images: Sequence[np.ndarray]) -> list[Detected]:
        """As `Engine.detect`, all pictures in one call of the model."""
        device = next(self.model.parameters()).device
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.autocast(device.type, torch.bfloat16, enabled=self._half):
                return [Detected.of(output) for output in detect_pictures(self.model, images, device)]
        finally:
            self.model.train(was_training)
