"""A training keeps what it measured, under its conditions only, and measures what it should."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from upright.experiments.digits.distortions import DISTORTIONS
from upright.experiments.digits.mnist import Digits
from upright.experiments.digits.networks import Network
from upright.experiments.digits.trainings import Training, error


def test_error_counts_wrong_pictures_in_percent() -> None:
    class Darkest(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sign = nn.Parameter(torch.tensor(-1.0))

        def forward(self, V: torch.Tensor) -> torch.Tensor:
            return self.sign * V.flatten(1)

    pictures = torch.ones(600, 1, 2, 5)  # more than one batch
    classes = torch.arange(600) % 10
    pictures.flatten(1)[torch.arange(600), classes] = 0
    classes[:45] += 1
    assert error(Network(Darkest()), pictures, classes) == pytest.approx(7.5)


def test_a_training_is_kept_and_gives_its_network_again(tmp_path: Path, few_digits: Digits) -> None:
    task = DISTORTIONS["E"]
    training = Training(task, "ST-CNN TPS", seed=1, steps=3, growth=0.5, folder=tmp_path, prefix="E")
    assert training.result() is None
    assert training.network() is None
    test = task.test(few_digits)
    training.run(few_digits, test, keep_weights=True)
    result = training.result()
    assert result is not None
    assert result["error"] == error(training.network(), *test)
    assert replace(training, steps=4).result() is None
    assert replace(training, device="cuda").result() is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["E-ST-CNN-TPS-1.json", "E-ST-CNN-TPS-1.pt"]

    kept = training.file("json")
    kept.write_text(json.dumps(result | {"error": 12.0}))
    training.run(few_digits, test)
    assert training.result()["error"] == 12.0


def test_distortions_grow_in_the_first_part_of_a_training(tmp_path: Path, few_digits: Digits) -> None:
    strengths = []
    task = DISTORTIONS["R"]

    def distort(pictures, draw, strength):
        strengths.append(strength)
        return task.distort(pictures, draw, strength)

    training = Training(replace(task, distort=distort), "FCN", 0, steps=8, growth=0.25, folder=tmp_path, prefix="R")
    training.run(few_digits, task.test(few_digits))
    assert strengths == [0, 0.5, 1, 1, 1, 1, 1, 1]
