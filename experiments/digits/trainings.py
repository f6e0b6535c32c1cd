"""Trainings of the networks for pictures of digits: one training, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from upright.experiments.digits.distortions import Task
from upright.experiments.digits.mnist import Digits
from upright.experiments.digits.networks import Network, build
from upright.experiments.harness import found, kept
from upright.experiments.training import cosine, fit, load_weights, parameters
from upright.output import whole_file

BATCH = 64

# AdamW without decay: warm-up, then half a cosine down to 0. The paper's SGD took 9 to 100 times the steps.
LEARNING_RATE = 4e-3
LOCALISATION_RATE = 1.5  # of the learning rate
WARMUP = 100


@dataclass(frozen=True)
class Training:
    """One training of one network.

    Attributes:
        task: what it learns.
        name: of the network, see `build`.
        seed: of its first weights and of its pictures.
        steps: in all.
        growth: share of the training in which the distortions grow from nothing to the paper's, for all networks. From
            the full distortion on, the classifier learns to do without the transformer before that has learnt to undo
            anything: in so few steps it stays at a shear, whereas it follows distortions that grow.
        folder: where results are kept.
        prefix: of the files there.
        device: to train on.
    """

    task: Task
    name: str
    seed: int
    steps: int
    growth: float
    folder: Path
    prefix: str
    device: str = "cpu"

    @property
    def words(self) -> str:
        return f"{self.prefix} {self.name} {self.seed}"

    @property
    def conditions(self) -> dict[str, float | str]:
        return {
            "steps": self.steps,
            "batch": BATCH,
            "growth": self.growth,
            "learning_rate": LEARNING_RATE,
            "localisation_rate": LOCALISATION_RATE,
            "device": self.device,
        }

    def file(self, ending: str) -> Path:
        return self.folder / f"{self.words.replace(' ', '-')}.{ending}"

    def result(self) -> dict[str, Any] | None:
        """What is kept of it: test error in percent, parameters, seconds by the clock and of the processor."""
        return found(self.file("json"), self.conditions)

    def run(self, digits: Digits, test: tuple[Tensor, Tensor], keep_weights: bool = False) -> None:
        """Train it, unless it is done.

        Args:
            digits: to train on.
            test: pictures and classes.
            keep_weights: for `network`.
        """

        def work() -> dict[str, Any]:
            torch.manual_seed(self.seed)
            network = build(self.name, self.task.size, self.task.classes).to(self.device)
            times = self.fit(network, digits)
            if keep_weights:
                with whole_file(self.file("pt")) as temporary:
                    torch.save(network.state_dict(), temporary)
            return {"error": error(network, *test), "parameters": parameters(network)} | times

        kept(self.file("json"), self.conditions, work)

    def fit(self, network: Network, digits: Digits) -> dict[str, float]:
        """Train a network to the last step; the seconds of `training.fit`."""
        groups = [
            {"params": list(network.classifier.parameters()), "lr": LEARNING_RATE},
            {"params": list(network.transformer.parameters()), "lr": LEARNING_RATE * LOCALISATION_RATE},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=0, fused=True)

        def loss(step: int) -> Tensor:
            strength = min(1.0, step / (self.growth * self.steps))
            pictures, classes = self.task.batch(digits, BATCH, self.seed, step, strength)
            return functional.cross_entropy(network(pictures.to(self.device)), classes.to(self.device))

        return fit(
            network,
            loss,
            optimizer,
            self.steps,
            rate=lambda step: cosine(step, self.steps, min(WARMUP, self.steps // 10)),
            checkpoint=self.file("checkpoint.pt"),
            conditions=self.conditions,
            words=self.words,
        )

    def network(self) -> Network | None:
        """The trained network, for inference on the CPU, where it was trained; its weights must have been kept."""
        if self.result() is None:
            return None
        network = build(self.name, self.task.size, self.task.classes)
        return load_weights(network, self.file("pt"), "cpu")


@torch.inference_mode()
def error(network: Network, pictures: Tensor, classes: Tensor) -> float:
    """Share of pictures (N, C, H, W) that are not given their class (N,), in percent."""
    network.eval()
    device = next(network.parameters()).device
    wrong = sum(
        (network(some.to(device)).argmax(1).cpu() != true).sum().item()
        for some, true in zip(pictures.split(500), classes.split(500), strict=True)
    )
    return 100 * wrong / len(classes)
