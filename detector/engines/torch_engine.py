"""A detector in torch, for GPUs and for detectors in training."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch
from torchvision.models.detection.transform import resize_boxes

from upright.detector.detected import Detected
from upright.detector.engines.engine import Precision
from upright.detector.model import Detector
from upright.detector.picture_size import reduced
from upright.errors import InputError


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

    def resize(self, side: int) -> None:
        """Look at pictures `side` pixels on their shorter side at most, the longer side's limit in proportion."""
        largest = round(side * self.settings.max_size / self.settings.min_size)
        self.settings = replace(self.settings, min_size=side, max_size=largest)
        self.model.transform.min_size, self.model.transform.max_size = (side,), largest

    def detect(self, images: Sequence[np.ndarray]) -> list[Detected]:
        """As `Engine.detect`, all pictures in one call of the model."""
        device = next((parameter.device for parameter in self.model.parameters()), torch.device("cpu"))
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.autocast(device.type, torch.bfloat16) if self._half else nullcontext():
                return [Detected.of(output) for output in detect_pictures(self.model, images, device)]
        finally:
            self.model.train(was_training)


def choose_device(name: str | None = None) -> torch.device:
    """A device by its name; by default a GPU where there is one.

    Raises:
        InputError: there is no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):  # torch without CUDA asserts
        raise InputError(f"the device {name} cannot be used here: try cpu, or cuda with a GPU and its driver") from None
    return device


def detect_pictures(
    model: torch.nn.Module, images: Sequence[np.ndarray], device: torch.device | str = "cpu"
) -> list[dict[str, torch.Tensor]]:
    """The model's output for pictures as they are decoded.

    A picture of more than `MOST_PIXELS` is made smaller before it becomes float, which would take 12 times its
    pixels in bytes, several times over; the model makes it smaller still.

    Args:
        model: a detector with torchvision's interface, in eval mode, on `device`.
        images: uint8 (H, W, 3), RGB, of any sizes.

    Returns:
        one dict a picture, on the CPU: "boxes" float (n, 4), x1 y1 x2 y2 in pixels, "scores" (n,) in 0..1,
        "labels" (n,), and what else the model gives.
    """
    seen = [reduced(image) for image in images]
    tensors = [torch.from_numpy(image).to(device).permute(2, 0, 1).float().div(255) for image in seen]
    with torch.inference_mode():
        outputs = [{key: value.cpu() for key, value in output.items()} for output in model(tensors)]
    for image, small, output in zip(images, seen, outputs, strict=True):
        if small is not image:
            for key in {"boxes", "proposals"} & output.keys():
                output[key] = resize_boxes(output[key], small.shape[:2], image.shape[:2])
            for key in {"whole", "parts"} & output.keys():
                output[key] = output[key] * output[key].new_tensor(
                    (image.shape[1] / small.shape[1], image.shape[0] / small.shape[0])
                )
    return outputs
