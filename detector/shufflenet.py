"""ShuffleNetV2 with the ghost pyramid of NanoDet-Plus: a small backbone that has seen COCO.

Ma et al. 2018 (ShuffleNetV2, section 3.2); Han et al. 2020 (GhostNet, section 3.1) for the cheap halves of the
pyramid. Modules carry the names of the published weights, batch normalisation folded into the convolutions, so that a
file of them is loaded as it stands.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from upright.detector.region_reading import PICTURE

SLOPE = 0.1  # of every LeakyReLU
STAGES = {"stage2": (24, 58, 4), "stage3": (116, 116, 8), "stage4": (232, 232, 4)}  # channels in, h, blocks


def convolution(in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2)


class Depthwise(nn.Conv2d):
    """A depthwise convolution; with a stride its gradients are computed in float32.

    On a CPU the gradient of the input of one with a stride takes six times as long in bfloat16 (oneDNN).
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(channels, channels, kernel, stride, kernel // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H / stride, W / stride)."""
        if self.stride[0] == 1 or not torch.is_grad_enabled() or x.is_cuda:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


def activation() -> nn.LeakyReLU:
    return nn.LeakyReLU(SLOPE, inplace=True)


class Learnt(nn.Module):
    """A part of a detector that may come with weights which have learnt already.

    Attributes:
        pretrained: the parts with such weights, which learn on at a rate of their own: this one, or none.
    """

    pretrained: tuple[nn.Module, ...] = ()

    def keep_learnt(self) -> None:
        """Say that the weights have learnt already. Wide depthwise kernels, which mix no channels, stay as they are.

        On a CPU their gradient takes ten times as long as that of their input: 280 against 24 ms for 8 maps of 192 x
        52 x 68 in float32, three times as long again in bfloat16.
        """
        self.pretrained = (self,)
        for module in self.modules():
            if isinstance(module, Depthwise) and module.kernel_size[0] > 3:
                module.requires_grad_(False)  # the gradient of the bias alone would take as long


class ShuffleUnit(nn.Module):
    """One block: half of the channels pass (or, where the map shrinks, take a branch of their own), half are convolved.

    Args:
        in_channels: of the map.
        half: h; the result has 2 h channels.
        stride: 1, or 2 in the first block of a stage.
    """

    def __init__(self, in_channels: int, half: int, stride: int) -> None:
        super().__init__()
        self.width = half
        # The indices are torchvision's, which count batch normalisation and activation as modules of their own.
        self.branch1 = None
        if stride > 1:
            layers = {"0": Depthwise(in_channels, 3, stride), "2": convolution(in_channels, half), "4": activation()}
            self.branch1 = nn.Sequential(OrderedDict(layers))
        self.branch2 = nn.Sequential(
            OrderedDict(
                {
                    "0": convolution(in_channels if stride > 1 else half, half),
                    "2": activation(),
                    "3": Depthwise(half, 3, stride),
                    "5": convolution(half, half),
                    "7": activation(),
                }
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, 2 h, H / stride, W / stride)."""
        if self.branch1 is None:
            passed, rest = x.split(self.width, dim=1)
        else:
            passed, rest = self.branch1(x), x
        if torch.onnx.is_in_onnx_export():  # so that engines know the pattern, which they have a layer for
            both = torch.cat([passed, self.branch2(rest)], dim=1)
            parts = both.reshape(-1, 2, self.width, both.shape[2], both.shape[3])
            return parts.transpose(1, 2).reshape(-1, 2 * self.width, both.shape[2], both.shape[3])
        # Channel 2 j is channel j of the first half, 2 j + 1 of the second: concatenation and shuffle in one, where
        # channels are last, since the next convolution wants them there.
        halves = [half.permute(0, 2, 3, 1) for half in (passed, self.branch2(rest))]
        return torch.stack(halves, dim=4).flatten(3).permute(0, 3, 1, 2)


class ShuffleNet(nn.Module):
    """ShuffleNetV2 1.0x without its last convolution and classifier: maps of 116, 232, 464 channels, stride 8 to 32.

    Args:
        stages: of `STAGES`, from the first on.
    """

    def __init__(self, stages: Sequence[str] = tuple(STAGES)) -> None:
        super().__init__()
        self.names = tuple(stages)
        self.conv1 = nn.Sequential(convolution(3, STAGES["stage2"][0], 3, 2), activation())
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for name in self.names:
            in_channels, half, blocks = STAGES[name]
            units = [ShuffleUnit(in_channels if i == 0 else 2 * half, half, 2 if i == 0 else 1) for i in range(blocks)]
            self.add_module(name, nn.Sequential(*units))

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to the maps of the stages, finest first."""
        maps = [self.maxpool(self.conv1(images))]
        for name in self.names:
            maps.append(self.get_submodule(name)(maps[-1]))
        return maps[1:]


class Separable(nn.Module):
    """A depthwise 5 x 5 and a pointwise convolution, each with its activation."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = Depthwise(channels, 5, stride)
        self.pointwise = convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H / stride, W / stride)."""
        x = leaky_relu(self.depthwise(x), SLOPE, inplace=True)
        return leaky_relu(self.pointwise(x), SLOPE, inplace=True)


class Ghost(nn.Module):
    """Half of the channels by a pointwise convolution, the other half cheaply from these by a depthwise one."""

    def __init__(self, in_channels: int, out_channels: int, activated: bool) -> None:
        super().__init__()
        self.primary = convolution(in_channels, out_channels // 2)
        self.cheap = Depthwise(out_channels // 2, 3)
        self.activated = activated

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H, W)."""
        x = self.primary(x)
        if not self.activated:
            return torch.cat([x, self.cheap(x)], dim=1)
        x = leaky_relu(x, SLOPE, inplace=True)
        return torch.cat([x, leaky_relu(self.cheap(x), SLOPE, inplace=True)], dim=1)


class Shortcut(nn.Module):
    """A depthwise 5 x 5 and a pointwise convolution without activations."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = Depthwise(in_channels, 5)
        self.pointwise = convolution(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class GhostBottleneck(nn.Module):
    """Two ghost modules beside a separable shortcut: (B, 2 C, H, W) to (B, C, H, W), signed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand = Ghost(2 * channels, channels, activated=True)
        self.project = Ghost(channels, channels, activated=False)
        self.shortcut = Shortcut(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.expand(x)) + self.shortcut(x)


class GhostPyramid(nn.Module):
    """Coarse maps told to fine ones, then fine to coarse; one level more than there are maps.

    Args:
        in_channels: of the maps, finest first, each half as wide and high as the one before.
        channels: of every level.
    """

    def __init__(self, in_channels: list[int], channels: int) -> None:
        super().__init__()
        steps = len(in_channels) - 1
        self.reduce = nn.ModuleList(convolution(width, channels) for width in in_channels)
        self.top_down = nn.ModuleList(GhostBottleneck(channels) for _ in range(steps))
        self.down = nn.ModuleList(Separable(channels, 2) for _ in range(steps))
        self.bottom_up = nn.ModuleList(GhostBottleneck(channels) for _ in range(steps))
        self.extra_in = Separable(channels, 2)
        self.extra_out = Separable(channels, 2)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of sides that are whole multiples of one another to levels (B, channels, ., .), finest first."""
        reduced = [leaky_relu(reduce(m), SLOPE, inplace=True) for reduce, m in zip(self.reduce, maps, strict=True)]
        inner = [reduced[-1]]  # coarsest first
        for bottleneck, finer in zip(self.top_down, reduced[-2::-1], strict=True):
            up = interpolate(inner[-1], scale_factor=2, mode="bilinear", align_corners=False)
            inner.append(bottleneck(torch.cat([up, finer], dim=1)))
        levels = [inner.pop()]
        for down, bottleneck, coarser in zip(self.down, self.bottom_up, inner[::-1], strict=True):
            levels.append(bottleneck(torch.cat([down(levels[-1]), coarser], dim=1)))
        return [*levels, self.extra_in(reduced[-1]) + self.extra_out(levels[-1])]


class ShuffleNetPyramid(Learnt):
    """The body: images to four levels of 96 channels at strides 8, 16, 32 and 64. Sides are multiples of 32."""

    strides = (8, 16, 32, 64)
    out_channels = 96

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ShuffleNet()
        self.pyramid = GhostPyramid([2 * half for _, half, _ in STAGES.values()], self.out_channels)

    def keep_learnt(self) -> None:
        super().keep_learnt()
        # Edges and corners are learnt well enough, and these are the largest maps to go back through.
        for part in (self.backbone.conv1, self.backbone.stage2):
            part.requires_grad_(False)

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """
        Args:
            images: (B, 3, H, W), normalised; H and W multiples of 32.

        Returns:
            Maps (B, 96, H / stride, W / stride) named "0", "1", "2" and "pool", and the images as "picture".
        """
        levels = self.pyramid(self.backbone(images.contiguous(memory_format=torch.channels_last)))
        return OrderedDict(zip(("0", "1", "2", "pool", PICTURE), [*levels, images], strict=True))
