"""Backbones: folding changes nothing, strides are what they say."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from upright.detector.backbone import ARCHITECTURES, PyramidBackbone, fold_batch_norm, imagenet_network
from upright.detector.option_fields import option_fields
from upright.detector.settings import Settings


def stirred(name: str) -> nn.Module:
    """A network whose batch normalisation has something to normalise."""
    torch.manual_seed(0)
    network = imagenet_network(name).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    return network


def test_every_backbone_that_settings_may_name_is_there() -> None:
    (names,) = (field.names for field in option_fields(Settings) if field.name == "backbone")
    assert set(names) == {*ARCHITECTURES, "shufflenet_v2"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_folding_keeps_the_function(name: str) -> None:
    network = stirred(name)
    folded = copy.deepcopy(network)
    fold_batch_norm(folded)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    pictures = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = network(pictures)
        torch.testing.assert_close(folded(pictures), expected, atol=1e-4 * expected.abs().max().item(), rtol=1e-3)


@pytest.mark.parametrize(("name", "strides"), [("mobilenet_v2", (8, 16, 32, 64)), ("resnet50", (4, 8, 16, 32, 64))])
def test_maps_have_the_strides_and_channels_that_are_stated(name: str, strides: tuple[int, ...]) -> None:
    backbone = PyramidBackbone(name, channels=32)
    pictures = torch.randn(1, 3, 128, 192)
    maps = backbone(pictures)
    assert maps.pop("picture") is pictures
    assert backbone.strides == strides
    assert [tuple(m.shape) for m in maps.values()] == [(1, 32, 128 // s, 192 // s) for s in strides]


def test_stem_and_batch_norm_are_frozen_and_the_rest_learns() -> None:
    backbone = PyramidBackbone("mobilenet_v2", channels=32)
    sum(m.square().sum() for m in backbone(torch.randn(1, 3, 64, 64)).values()).backward()
    learnt = {name for name, parameter in backbone.stages.named_parameters() if parameter.grad is not None}
    # A bias of the backbone is what batch normalisation adds, and that is frozen.
    assert learnt == {
        name for name, _ in backbone.stages.named_parameters() if name.endswith("weight") and not name.startswith("0.")
    }
