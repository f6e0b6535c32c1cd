"""The networks that read house numbers (Jaderberg et al. 2015, appendix A.5), their loss and their optimiser."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from upright.detector.spatial_transformer import Affine, FullyConnectedLocalisation, SpatialTransformer
from upright.experiments.house_numbers.crops import LONGEST, NONE, SIDE

Network = TypeVar("Network", bound=nn.Module)

# Appendix A.5: convolutions of 5 x 5, and after which of them the sides are halved by max pooling.
CHANNELS = (48, 64, 128, 160, 192, 192, 192, 192)
POOLED = (True, False, True, False, True, False, True, False)
HIDDEN = 3072
# Channels of the two convolutions of the single transformer's localisation network.
LOCALISATION = 32
# Of the learning rate, on crops of `SIDE`: see `localisation_rate`.
LOCALISATION_RATE = 0.1

NETWORKS = ("CNN", "ST single", "ST multi")


def build(name: str, size: int, width: float = 1.0) -> nn.Sequential:
    """A network from pictures (B, 3, size, size) to the scores (B, 5, 11) of the classes of five places.

    Args:
        name: of `NETWORKS`.
        size: side of the pictures in pixels, a multiple of 16.
        width: share of the paper's channels and hidden numbers; channels are multiples of 8.
    """
    layers: list[nn.Module] = []
    affine = Affine()
    channels, side = 3, size
    for index, (full, pooled) in enumerate(zip(CHANNELS, POOLED, strict=True)):
        if name == "ST single" and index == 0:
            localisation = convolutional_localisation(size, scaled(LOCALISATION, width), affine)
            layers.append(SpatialTransformer(localisation, affine))
        if name == "ST multi" and index < 4:
            localisation = FullyConnectedLocalisation((channels, side, side), affine, hidden=(32, 32))
            layers.append(SpatialTransformer(localisation, affine))
        wide = scaled(full, width)
        layers += [nn.Conv2d(channels, wide, 5, padding=2, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
        if pooled:
            layers.append(nn.MaxPool2d(2))
            side //= 2
        channels = wide
    layers.append(nn.Flatten())
    numbers = channels * side**2
    for _ in range(3):
        wide = scaled(HIDDEN, width)
        layers += [nn.Linear(numbers, wide, bias=False), nn.BatchNorm1d(wide), nn.ReLU()]
        numbers = wide
    return nn.Sequential(*layers, nn.Linear(numbers, LONGEST * (NONE + 1)), nn.Unflatten(1, (LONGEST, NONE + 1)))


def convolutional_localisation(size: int, channels: int, affine: Affine) -> nn.Sequential:
    """The single transformer's: two convolutions and two fully connected layers before the regression of theta."""
    return nn.Sequential(
        nn.Conv2d(3, channels, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, channels, 5, padding=2),
        nn.ReLU(),
        FullyConnectedLocalisation((channels, size // 2, size // 2), affine, hidden=(32, 32)),
    )


def scaled(count: int, width: float) -> int:
    return max(1, round(count * width / 8)) * 8


def localisation_rate(size: int) -> float:
    """Share of the learning rate that localisation networks learn at, by the side of the crops in pixels.

    AdamW moves all weights by as much, so a layer's output moves by as much more as it has more inputs. With four times
    the inputs at the same rate theta leaves the picture within the first steps and does not come back.
    """
    return LOCALISATION_RATE * (SIDE / size) ** 2


def build_optimizer(model: nn.Module, learning_rate: float, size: int) -> torch.optim.Optimizer:
    """AdamW with a group of its own for the localisation networks.

    Args:
        model: as `build` made it.
        learning_rate: of all other weights.
        size: side of the crops in pixels, see `localisation_rate`.
    """
    transformers = [module for module in model.modules() if isinstance(module, SpatialTransformer)]
    localisation = [parameter for one in transformers for parameter in one.localisation.parameters()]
    theirs = {id(parameter) for parameter in localisation}
    others = [parameter for parameter in model.parameters() if id(parameter) not in theirs]
    groups: list[dict[str, Any]] = [{"params": others}]
    if localisation:
        groups.append({"params": localisation, "lr": learning_rate * localisation_rate(size)})
    return torch.optim.AdamW(groups, lr=learning_rate, weight_decay=5e-4)


def scores_of(model: nn.Module, pictures: Tensor, precision: str) -> Tensor:
    """Scores (B, 5, 11), float32; theta is computed in float32 in either precision."""
    half = torch.autocast(pictures.device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()
    with half:
        return model(pictures).float()


def sequence_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """The sum of the five classifiers' cross-entropies, mean of the batch: minus the log-probability of the number."""
    return LONGEST * functional.cross_entropy(scores.flatten(0, 1), labels.flatten())


def sequence_wrong(scores: Tensor, labels: Tensor) -> Tensor:
    """Which numbers (B,) have any of their five places wrong."""
    return (scores.argmax(-1) != labels).any(1)


def placed(model: Network, device: str) -> Network:
    """On its device, with channels last, in which convolutions are faster on processors and tensor cores alike."""
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's types lack it
