"""Backbones with a feature pyramid: MobileNetV2 from stride 8, ResNet-50 from stride 4, both up to 64.

Batch normalisation is frozen, as usual in detectors whose batches are small, and folded into the convolutions
when the backbone is built: the same function without a pass over every map (2 cores, MobileNetV2, eight pictures
of 384 x 512: forward 0.3 s, with `FrozenBatchNorm2d` 0.8 s), and nothing that half precision could spoil.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import mobilenet_v2, resnet50
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from upright.detector.region_reading import PICTURE


@dataclass(frozen=True)
class Architecture:
    """How a classifier of torchvision becomes the stages of a pyramid.

    Attributes:
        network: makes the classifier.
        stages: its layers, in parts that each end at a map.
        widths: channels of these maps, finest first; None for a map that the pyramid does not read.
        strides: of the maps that it reads, and of the one that it makes from the last of them.
    """

    network: Callable[..., nn.Module]
    stages: Callable[[Any], list[nn.Module]]
    widths: tuple[int | None, ...]
    strides: tuple[int, ...]


# The names are those of torchvision's classifiers and of `Settings.backbone`.
ARCHITECTURES = {
    "mobilenet_v2": Architecture(
        mobilenet_v2,
        lambda n: [n.features[:4], n.features[4:7], n.features[7:14], n.features[14:18]],
        widths=(None, 32, 96, 320),
        strides=(8, 16, 32, 64),
    ),
    "resnet50": Architecture(
        resnet50,
        lambda n: [nn.Sequential(n.conv1, n.relu, n.maxpool), n.layer1, n.layer2, n.layer3, n.layer4],
        widths=(None, 256, 512, 1024, 2048),
        strides=(4, 8, 16, 32, 64),
    ),
}


def imagenet_network(name: str) -> nn.Module:
    """A torchvision classifier with random weights whose parameters can be loaded from a file of ImageNet weights."""
    return ARCHITECTURES[name].network(weights=None)


class PyramidBackbone(nn.Module):
    """Picture to feature maps, finest first.

    Args:
        name: of an architecture.
        channels: of every map.
        network: the classifier to take the layers of, with its weights; random ones by default.
    """

    def __init__(self, name: str, channels: int, network: nn.Module | None = None) -> None:
        super().__init__()
        network = imagenet_network(name) if network is None else network
        fold_batch_norm(network.eval())
        architecture = ARCHITECTURES[name]
        self.strides = architecture.strides
        self.stages = nn.ModuleList(architecture.stages(network))
        self.gives_map = [width is not None for width in architecture.widths]
        widths = [width for width in architecture.widths if width is not None]
        self.pyramid = FeaturePyramidNetwork(widths, channels, extra_blocks=LastLevelMaxPool())
        self.out_channels = channels
        # Biases are frozen too (folding leaves them so): they are what batch normalisation adds. Edges and corners
        # are learnt well enough from ImageNet, and these are the largest maps to go back through.
        self.stages[0].requires_grad_(False)

    @property
    def pretrained(self) -> tuple[nn.Module, ...]:
        """The parts whose weights come from ImageNet."""
        return (self.stages,)

    def forward(self, pictures: Tensor) -> OrderedDict[str, Tensor]:
        """
        Args:
            pictures: (B, 3, H, W), normalised.

        Returns:
            Maps (B, channels, H / stride, W / stride) named "0", "1" ... from the finest, the last one "pool"; and
            the pictures as "picture", since torchvision hands the region heads nothing but what a backbone gives.
        """
        # Depthwise convolutions on a CPU are twice as fast in this layout, and tensor cores want it.
        current = pictures.contiguous(memory_format=torch.channels_last)
        maps: OrderedDict[str, Tensor] = OrderedDict()
        for stage, gives_map in zip(self.stages, self.gives_map, strict=True):
            current = stage(current)
            if gives_map:
                maps[str(len(maps))] = current
        return OrderedDict(self.pyramid(maps), **{PICTURE: pictures})


def fold_batch_norm(module: nn.Module) -> None:
    """Replace, in place, each convolution that a batch normalisation follows by one convolution that does both.

    "Follows" means: is registered right after it in the same parent, which is how torchvision writes both networks.
    """
    previous_name, previous = "", None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and isinstance(previous, nn.Conv2d):
            setattr(module, previous_name, fuse_conv_bn_eval(previous, child))
            setattr(module, name, nn.Identity())
        else:
            fold_batch_norm(child)
        previous_name, previous = name, child
