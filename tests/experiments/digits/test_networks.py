"""The networks for digits are as large as the paper's, start at the identity and learn where to look."""

from __future__ import annotations

import pytest
import torch

from upright.experiments.digits import distorted_mnist, mnist_addition
from upright.experiments.digits.distortions import ADDITION, DISTORTIONS, Task
from upright.experiments.digits.networks import build
from upright.experiments.training import parameters

CASES = [(task, name) for task in DISTORTIONS.values() for name in distorted_mnist.PAPER]
CASES += [(ADDITION, name) for name in mnist_addition.PAPER]


@pytest.mark.parametrize(("task", "name"), CASES)
def test_all_networks_have_400_000_parameters(task: Task, name: str) -> None:
    network = build(name, task.size, task.classes)
    assert 395_000 < parameters(network) <= 400_000
    weights = [p for p in network.classifier.parameters() if p.dim() > 1]
    assert len(weights) == 3
    assert network(torch.rand(2, *task.size)).shape == (2, task.classes)


@pytest.mark.parametrize("name", [name for name in distorted_mnist.PAPER if "ST" in name])
def test_transformers_start_at_the_middle_and_get_gradients(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, (1, 42, 42), 10)
    pictures = torch.rand(8, 1, 42, 42)
    torch.testing.assert_close(network.transformer(pictures), pictures[:, :, 7:35, 7:35], atol=1e-4, rtol=0)
    torch.nn.functional.cross_entropy(network(pictures), torch.arange(8)).backward()
    regressions = [m for m in network.transformer.modules() if type(m).__name__ == "ThetaRegression"]
    assert all(regression.linear.weight.grad.abs().max() > 0 for regression in regressions)


def test_two_transformers_get_different_gradients() -> None:
    torch.manual_seed(0)
    network = build("2x ST-FCN Aff", (2, 42, 42), 19)
    torch.nn.functional.cross_entropy(network(torch.rand(8, 2, 42, 42)), torch.arange(8)).backward()
    first, second = (m.linear.bias.grad for m in network.transformer.modules() if type(m).__name__ == "ThetaRegression")
    assert not torch.allclose(first, second)
