"""The networks of Jaderberg et al. 2015, appendix A.4, for pictures of digits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from upright.detector.spatial_transformer import (
    Affine,
    ParallelSpatialTransformers,
    Projective,
    SeparateLocalisations,
    ThetaRegression,
    ThinPlateSpline,
    Transformation,
)
from upright.experiments.digits.mnist import SIDE
from upright.experiments.training import parameters

# Numbers that a network may learn, its localisation networks among them (appendix A.4: all networks have as many).
PARAMETERS = 400_000

# Channels of the CNN's first convolution; the second takes the parameters that are left.
FIRST_CHANNELS = 32

TRANSFORMATIONS: dict[str, type[Transformation]] = {"Aff": Affine, "Proj": Projective, "TPS": ThinPlateSpline}

# Mean and standard deviation of MNIST's pixels.
MEAN, STD = 0.13, 0.31


class Standardise(nn.Module):
    """Pictures in 0..1 to mean 0 and deviation 1; behind a sampler, so that what lies off a picture stays black."""

    def forward(self, U: Tensor) -> Tensor:
        return (U - MEAN) / STD


class Network(nn.Module):
    """A classifier with a spatial transformer before it, or none; the classifier computes in bfloat16."""

    def __init__(self, classifier: nn.Module, transformer: nn.Module | None = None) -> None:
        super().__init__()
        self.transformer = transformer or nn.Identity()
        self.classifier = classifier

    def forward(self, U: Tensor) -> Tensor:
        """Scores (B, classes), float32, of pictures (B, C, H, W) in 0..1."""
        V = self.transformer(U)
        with torch.autocast(U.device.type, torch.bfloat16):
            return self.classifier(V).float()


def fully_connected(size: tuple[int, int, int], classes: int, parameters: int) -> nn.Sequential:
    """Three fully connected layers, the hidden ones of one width, for maps of `size` (C, H, W)."""
    inputs = size[0] * size[1] * size[2]
    width = most(lambda n: (inputs + 3) * n + (n + 3) * n + (n + 1) * classes, parameters)
    layers: list[nn.Module] = [Standardise(), nn.Flatten()]
    for number in (inputs, width):
        layers += [nn.Linear(number, width), nn.BatchNorm1d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, classes))


def convolutional(size: tuple[int, int, int], classes: int, parameters: int) -> nn.Sequential:
    """Convolution 9 x 9, max pooling, convolution 7 x 7, max pooling, fully connected, for maps of `size` (C, H, W)."""
    channels, height, width = size
    first, cells = FIRST_CHANNELS, after(height, 9, 7) * after(width, 9, 7)
    start = (81 * channels + 3) * first + classes
    second = most(lambda n: start + (49 * first + 3) * n + cells * n * classes, parameters)
    layers: list[nn.Module] = [Standardise()]
    for number, following, kernel in ((channels, first, 9), (first, second, 7)):
        layers += [nn.Conv2d(number, following, kernel), nn.MaxPool2d(2), nn.BatchNorm2d(following), nn.ReLU()]
    classifier = nn.Sequential(*layers, nn.Flatten(), nn.Linear(cells * second, classes))
    return classifier.to(memory_format=torch.channels_last)


def after(side: int, *kernels: int) -> int:
    """Side of a map after convolutions without padding, each of which is followed by pooling by 2."""
    for kernel in kernels:
        side = (side - kernel + 1) // 2
    return side


def most(parameters: Callable[[int], int], limit: int) -> int:
    """The greatest width with no more than `limit` parameters."""
    width = 1
    while parameters(width + 1) <= limit:
        width += 1
    return width


def fully_connected_localisation(size: tuple[int, int, int], transformation: Transformation) -> nn.Sequential:
    """Localisation of the ST-FCN: three fully connected layers of 32.

    Unlike `FullyConnectedLocalisation` it has batch normalisation, as all networks here have. Pictures of several
    channels are halved first: two such networks would otherwise take more than half of the parameters.
    """
    channels, height, width = size
    layers: list[nn.Module] = [Standardise()]
    if channels > 1:
        layers.append(nn.AvgPool2d(2))
        height, width = height // 2, width // 2
    layers.append(nn.Flatten())
    for number in (channels * height * width, 32, 32):
        layers += [nn.Linear(number, 32), nn.BatchNorm1d(32), nn.ReLU()]
    return nn.Sequential(*layers, ThetaRegression(32, transformation, [middle(size, transformation)]))


def convolutional_localisation(size: tuple[int, int, int], transformation: Transformation) -> nn.Sequential:
    """Localisation of the ST-CNN: on the picture halved, two convolutions 5 x 5 of 20, fully connected 20."""
    channels, height, width = size
    cells = (after(height // 2, 5) - 4) * (after(width // 2, 5) - 4)
    layers = [Standardise(), nn.AvgPool2d(2)]
    layers += [nn.Conv2d(channels, 20, 5), nn.MaxPool2d(2), nn.BatchNorm2d(20), nn.ReLU()]
    layers += [nn.Conv2d(20, 20, 5), nn.BatchNorm2d(20), nn.ReLU(), nn.Flatten()]
    layers += [nn.Linear(20 * cells, 20), nn.BatchNorm1d(20), nn.ReLU()]
    return nn.Sequential(*layers, ThetaRegression(20, transformation, [middle(size, transformation)]))


def middle(size: tuple[int, int, int], transformation: Transformation) -> Tensor:
    """Theta that reads the middle 28 x 28 pixels as they are: the identity where a picture of `size` has no more.

    From the identity on 42 x 42 the transformer would begin by shrinking digits, and stay there.
    """
    return transformation.window(SIDE / size[2], SIDE / size[1], 0.0, 0.0)


def build(name: str, size: tuple[int, int, int], classes: int) -> Network:
    """A network by its name in the paper's tables, with `PARAMETERS` parameters or a few less.

    Args:
        name: "FCN", "CNN", "ST-FCN Aff", "ST-CNN TPS", "2x ST-FCN Proj" ...: the transformers stand side by side at
            the input, each with a localisation network of its own, and read 28 x 28 from the picture, at first its
            middle.
        size: (C, H, W) of the pictures.
        classes: to tell apart.
    """
    count = 2 if name.startswith("2x ") else 1
    kind, _, family = name.removeprefix("2x ").partition(" ")
    classifier, localisation = KINDS[kind.removeprefix("ST-")]
    if not family:
        return Network(classifier(size, classes, PARAMETERS))
    transformation = TRANSFORMATIONS[family]()
    localisations = SeparateLocalisations([localisation(size, transformation) for _ in range(count)])
    transformer = ParallelSpatialTransformers(localisations, transformation, (SIDE, SIDE), padding="zeros")
    left = PARAMETERS - parameters(transformer)
    return Network(classifier((count * size[0], SIDE, SIDE), classes, left), transformer)


KINDS = {
    "FCN": (fully_connected, fully_connected_localisation),
    "CNN": (convolutional, convolutional_localisation),
}
