"""Trainings of the networks that read house numbers: one training, and what is kept of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from upright.detector.spatial_transformer import SpatialTransformer
from upright.experiments.harness import found, kept
from upright.experiments.house_numbers.crops import Crops
from upright.experiments.house_numbers.networks import (
    build,
    build_optimizer,
    localisation_rate,
    placed,
    scores_of,
    sequence_loss,
    sequence_wrong,
)
from upright.experiments.training import cosine, fit, load_weights
from upright.output import whole_file

SOME = 500  # test crops that `share_read` looks at


@dataclass(frozen=True)
class Schedule:
    """How all networks are trained; the flags of svhn.py that have these names say more."""

    width: float
    steps: int
    batch: int
    learning_rate: float
    precision: str
    device: str


@dataclass(frozen=True)
class Training:
    """One training of one network on crops of one size.

    Attributes:
        schedule: of all trainings.
        folder: where results are kept.
        data: which pictures these are; results of others are not taken for these.
        name: of the network, see `build`.
        size: side of the crops in pixels.
        seed: of its first weights and of the order of the crops.
        train: the crops to train on.
        test: those to measure the error on.
    """

    schedule: Schedule
    folder: Path
    data: str
    name: str
    size: int
    seed: int
    train: Crops
    test: Crops

    @property
    def conditions(self) -> dict[str, Any]:
        counts = {"train": len(self.train.labels), "test": len(self.test.labels)}
        own = {"size": self.size, "data": self.data, "localisation_rate": localisation_rate(self.size)}
        return asdict(self.schedule) | own | counts

    def file(self, ending: str) -> Path:
        return self.folder / f"{self.name.replace(' ', '-')}-{self.size}-{self.seed}.{ending}"

    def result(self) -> dict[str, Any] | None:
        """What is kept of it: sequence error in percent, `share_read`, seconds by the clock and of the processor."""
        return found(self.file("json"), self.conditions)

    def run(self) -> None:
        """Train the network to its last step, unless it is done; its weights are kept."""

        def work() -> dict[str, Any]:
            torch.manual_seed(self.seed)
            network = self.build()
            spent = self.fit(network)
            with whole_file(self.file("pt")) as temporary:
                torch.save(network.state_dict(), temporary)
            measured = {
                "error": error(network, self.test, self.schedule),
                "share_read": share_read(network, self.test, self.schedule.device),
            }
            return measured | spent

        kept(self.file("json"), self.conditions, work)

    def build(self) -> nn.Sequential:
        return placed(build(self.name, self.size, self.schedule.width), self.schedule.device)

    def fit(self, network: nn.Module) -> dict[str, float]:
        """Train a network to the last step; the seconds of `training.fit`."""
        schedule = self.schedule

        def loss(step: int) -> Tensor:
            chosen = np.random.default_rng([self.seed, step]).integers(0, len(self.train.labels), schedule.batch)
            pictures, labels = self.train.batch(chosen, schedule.device)
            return sequence_loss(scores_of(network, pictures, schedule.precision), labels)

        return fit(
            network,
            loss,
            build_optimizer(network, schedule.learning_rate, self.size),
            schedule.steps,
            rate=lambda step: cosine(step, schedule.steps, warmup=min(50, schedule.steps // 10)),
            checkpoint=self.file("checkpoint.pt"),
            conditions=self.conditions,
            words=f"{self.name}, {self.size} px, seed {self.seed}",
        )

    def network(self) -> nn.Sequential | None:
        """The trained network, for inference, where it was trained."""
        if self.result() is None:
            return None
        return load_weights(self.build(), self.file("pt"), self.schedule.device)


@torch.inference_mode()
def error(network: nn.Module, test: Crops, schedule: Schedule) -> float:
    """Sequence error in percent: share of the numbers of which any place is wrong."""
    network.eval()
    wrong = 0
    for pictures, labels in test.batches(len(test.labels), schedule.device):
        wrong += int(sequence_wrong(scores_of(network, pictures, schedule.precision), labels).sum())
    return 100 * wrong / len(test.labels)


@torch.inference_mode()
def share_read(network: nn.Sequential, test: Crops, device: str) -> float:
    """How much of the crops a network's affine transformers read in the end: 1 is all, less is magnified.

    Of the side, the geometric mean of width and height, times over the transformers; mean of the first `SOME` crops.
    """
    network.eval()
    shares = []
    for maps, _ in test.batches(SOME, device):
        share = torch.ones(len(maps), device=device)
        for layer in network:
            if isinstance(layer, SpatialTransformer):
                a, b, _, c, d, _ = layer.localisation(maps).unbind(1)
                share *= (a * d - b * c).abs().sqrt()
            maps = layer(maps)
        shares.append(share)
    return torch.cat(shares).mean().item()
