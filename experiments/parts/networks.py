"""Networks for fine-grained classes (Jaderberg et al. 2015, section 4.3 and A.6) on torchvision's MobileNetV2.

N transformers in parallel cut N square windows of half the picture's side, a network for each describes what it sees,
and one softmax takes all N descriptions. The paper's are Inception with batch normalisation.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import MobileNetV2

from upright.detector.backbone import fold_batch_norm
from upright.detector.spatial_transformer import Attention, ParallelSpatialTransformers, ThetaRegression

SCALE = 0.5  # of every window, fixed
# Where the windows start: two tile the upright middle of the picture, four the whole of it. x and y, normalised.
TILES = {2: ((0.0, -0.5), (0.0, 0.5)), 4: ((-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5))}

# Transformers, and whether they move.
NETWORKS = {"CNN": (0, False), "2 fixed": (2, False), "2 x ST": (2, True), "4 fixed": (4, False), "4 x ST": (4, True)}

# MobileNetV2 up to stride 16, 96 channels: deeper maps of a crop of 64 pixels would be 2 x 2.
LAYERS, CHANNELS, STRIDE = 14, 96, 16
# Up to stride 4 ImageNet's features stay as they are; their gradients would be a third of a step.
FROZEN = 4


def priors(transformers: int) -> list[Tensor]:
    """Theta of `Attention`, one a transformer: the tiling."""
    return [Attention().window(SCALE, SCALE, x, y) for x, y in TILES[transformers]]


class Localisation(nn.Module):
    """f_loc, one for all N transformers, of the picture at half its size: as the paper's a trained network without its
    head, then a convolution 1 x 1 of 128, fully connected 128 and theta.

    The trained layers stay as they are (the paper's all but do, at 1e-4 of the learning rate). Layer normalisation
    keeps the gradients of theta, which are noisy at first, from driving all rectifiers of the last layer below zero.
    """

    def __init__(self, network: MobileNetV2, transformers: int, side: int) -> None:
        super().__init__()
        self.features = deepcopy(network.features[:LAYERS]).eval()
        fold_batch_norm(self.features)
        self.features.requires_grad_(False)
        grid = -(-(side // 2) // STRIDE)
        self.hidden = nn.Sequential(
            nn.Conv2d(CHANNELS, 128, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(128 * grid**2, 128),
            nn.LayerNorm(128),
            nn.ReLU(),
        )
        self.regression = ThetaRegression(128, Attention(), priors(transformers))

    def forward(self, U: Tensor) -> Tensor:
        """Theta (B, N * 3) of pictures (B, 3, side, side), the scales fixed: `Attention` leaves them free."""
        theta = self.regression(self.hidden(self.features(halved(U)))).unflatten(-1, (-1, 3))
        return torch.cat([torch.full_like(theta[..., :1], SCALE), theta[..., 1:]], dim=-1).flatten(1)


class Still(nn.Module):
    """Theta (B, N * 3) of windows that stay where they start."""

    theta: Tensor  # (N * 3,)

    def __init__(self, transformers: int) -> None:
        super().__init__()
        self.register_buffer("theta", torch.cat(priors(transformers)), persistent=False)

    def forward(self, U: Tensor) -> Tensor:
        return self.theta.expand(len(U), -1)


class PartNetwork(nn.Module):
    """Scores of classes from N windows of a picture, or from the whole of it at the size of a window.

    Args:
        network: torchvision's MobileNetV2 with its weights, which are copied.
        classes: how many.
        transformers: N; 0 sees the whole picture.
        moves: whether the windows move.
        side: of the pictures, in pixels.
    """

    def __init__(self, network: MobileNetV2, classes: int, transformers: int, moves: bool, side: int) -> None:
        super().__init__()
        self.parallel = None
        if transformers:
            localisation: nn.Module = Localisation(network, transformers, side) if moves else Still(transformers)
            size = (side // 2, side // 2)
            self.parallel = ParallelSpatialTransformers(localisation, Attention(), size, combine="stack")
        self.descriptions = nn.ModuleList(description(network) for _ in range(max(1, transformers)))
        self.classifier = nn.Linear(CHANNELS * len(self.descriptions), classes)
        self.to(memory_format=torch.channels_last)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores (B, classes) and theta (B, N, 3) of pictures (B, 3, side, side) as ImageNet's are normalised."""
        if self.parallel is None:
            crops, theta = halved(pictures)[:, None], None
        else:
            crops, theta = self.parallel(pictures, return_theta=True)
        described = [d(fast(crop)).mean((2, 3)) for d, crop in zip(self.descriptions, crops.unbind(1), strict=True)]
        return self.classifier(torch.cat(described, dim=1)), theta

    def groups(self, learning_rate: float, localisation_rate: float) -> list[dict]:
        """Parameter groups: the localisation learns at `localisation_rate` of the learning rate."""
        localisation = list(self.parallel.localisation.parameters()) if self.parallel else []
        apart = {id(p) for p in localisation}
        others = [p for p in self.parameters() if id(p) not in apart]
        rates = ((others, learning_rate), (localisation, learning_rate * localisation_rate))
        groups = [{"params": [p for p in group if p.requires_grad], "lr": rate} for group, rate in rates]
        return [group for group in groups if group["params"]]


def description(network: MobileNetV2) -> nn.Sequential:
    """The trained layers that describe a crop, (B, 3, h, w) to (B, 96, h / 16, w / 16)."""
    features = deepcopy(network.features[:LAYERS])
    frozen = features[:FROZEN].eval()
    fold_batch_norm(frozen)
    features.requires_grad_(True)
    frozen.requires_grad_(False)
    return features


def halved(pictures: Tensor) -> Tensor:
    """Pictures at half their size."""
    return fast(functional.avg_pool2d(pictures, 2))


def fast(pictures: Tensor) -> Tensor:
    """In the layout in which depthwise convolutions are twice as fast on a CPU."""
    return pictures.contiguous(memory_format=torch.channels_last)
