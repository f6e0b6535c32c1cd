"""Trainings of the networks that find parts: pictures in memory, one training, what it classifies, its times."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from upright.errors import InputError
from upright.experiments.harness import step_and_inference
from upright.experiments.parts.birds import Birds
from upright.experiments.parts.networks import PartNetwork
from upright.experiments.training import cosine, fit

WARMUP = 20  # steps
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


@dataclass(frozen=True)
class Pictures:
    """Square pictures in memory.

    Attributes:
        images: uint8 (n, 3, side, side), RGB.
        labels: int64 (n,).
        boxes: (n, parts, 4), x1, y1, x2, y2 of `PARTS`, normalised; NaN where a part cannot be seen.
    """

    images: Tensor
    labels: Tensor
    boxes: Tensor


def load(birds: Birds, indices: np.ndarray, side: int, words: str, least: int = 1) -> Pictures:
    """Pictures of a split, made square.

    Raises:
        InputError: there are fewer than `least`.
    """
    if len(indices) < least:
        raise InputError(f"{birds.folder}: {len(indices)} {words}, at least {least} are needed; use more pictures")
    images, boxes = zip(*(birds.square(int(i), side) for i in tqdm(indices, desc=words)), strict=True)
    return Pictures(
        images=torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
        labels=torch.from_numpy(birds.labels[indices]),
        boxes=torch.from_numpy(np.stack(boxes)).float(),
    )


def normalised(images: Tensor, device: str) -> Tensor:
    """Images (n, 3, h, w) uint8 as ImageNet's networks take them."""
    mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (MEAN, STD))
    return (images.to(device).float() / 255 - mean) / std


def batch_loss(model: nn.Module, pictures: Pictures, seed: int, step: int, batch: int, device: str) -> Tensor:
    """Cross-entropy of a batch that follows from seed and step, each picture mirrored or not."""
    rng = np.random.default_rng([seed, step])
    chosen = torch.from_numpy(rng.choice(len(pictures.labels), batch, replace=False))
    mirrored = torch.from_numpy(rng.random(batch) < 0.5)
    images = pictures.images[chosen]
    images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)
    scores, _ = model(normalised(images, device))
    return functional.cross_entropy(scores, pictures.labels[chosen].to(device))


@dataclass(frozen=True)
class Training:
    """How all networks are trained: the flags of finding_parts.py that have these names say more.

    Attributes:
        localisation_rate: of the learning rate.
        conditions: under which results are kept.
    """

    steps: int
    batch: int
    learning_rate: float
    localisation_rate: float
    device: str
    conditions: dict[str, Any]

    def optimizer(self, model: PartNetwork) -> torch.optim.Optimizer:
        groups = model.groups(self.learning_rate, self.localisation_rate)
        return torch.optim.AdamW(groups, weight_decay=0.01)

    def fit(self, model: PartNetwork, train: Pictures, seed: int, checkpoint: Path) -> dict[str, float]:
        """Train a network to its last step; the seconds of `training.fit`."""
        return fit(
            model,
            lambda step: batch_loss(model, train, seed, step, self.batch, self.device),
            self.optimizer(model),
            self.steps,
            rate=lambda step: cosine(step, self.steps, WARMUP),
            checkpoint=checkpoint,
            conditions=self.conditions,
            words=checkpoint.name.partition(".")[0],
        )

    def times(self, models: dict[str, PartNetwork], train: Pictures, rounds: int) -> dict[str, Any]:
        """Milliseconds of a training step and of inference for a batch, medians of rounds; networks take turns."""
        images = normalised(train.images[: self.batch], self.device)
        seconds = step_and_inference(
            models,
            {name: self.optimizer(model) for name, model in models.items()},
            lambda model: batch_loss(model, train, 0, 0, self.batch, self.device),
            lambda model: model(images),
            rounds,
            self.device,
        )
        return {what: {name: 1000 * value for name, value in times.items()} for what, times in seconds.items()}


@torch.inference_mode()
def predict(model: PartNetwork, pictures: Pictures, device: str) -> tuple[Tensor, Tensor | None]:
    """The class (n,) of each picture and, where there are windows, theta (n, N, 3)."""
    model.eval()
    classes, thetas = [], []
    for images in pictures.images.split(100):
        scores, theta = model(normalised(images, device))
        classes.append(scores.argmax(1).cpu())
        if theta is not None:
            thetas.append(theta.cpu())
    return torch.cat(classes), torch.cat(thetas) if thetas else None
