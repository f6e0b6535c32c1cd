"""An untrained MobileNetV2 that is good enough to build networks from."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v2


@pytest.fixture(scope="package")
def backbone() -> nn.Module:
    """Random weights; statistics that keep activations from vanishing."""
    torch.manual_seed(0)
    network = mobilenet_v2(weights=None)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    network.train()(torch.rand(8, 3, 64, 64))
    return network
