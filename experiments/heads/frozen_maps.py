"""What region heads see of pictures: the maps and proposals of one detector, computed once and frozen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

from upright.datasets.batches import Pair, to_tensors
from upright.datasets.sample import Annotations, PedestrianDataset
from upright.detector.dense_proposals import Proposals
from upright.detector.model import Detector
from upright.errors import InputError


@dataclass(frozen=True)
class Picture:
    """What a head sees of a picture: maps (C, H, W) in half precision, proposals and target in resized pixels."""

    maps: dict[str, Tensor]
    proposals: Tensor
    target: dict[str, Tensor]
    shape: tuple[int, int]
    original_shape: tuple[int, int]


@dataclass(frozen=True)
class ValidationSet:
    pictures: list[Picture]
    annotations: Annotations


def validation_set(detector: Detector, dataset: PedestrianDataset) -> ValidationSet:
    indices = tqdm(range(len(dataset)), desc="maps to measure on")
    return ValidationSet([seen(detector, to_tensors(dataset[i]), resized=False) for i in indices], dataset.annotations)


@torch.inference_mode()
def seen(detector: Detector, pair: Pair | InputError, resized: bool) -> Picture:
    """What the head sees of a picture, which was `resized` by the augmentation or is resized here."""
    if isinstance(pair, InputError):
        raise pair
    image = pair[0].to(device_of(detector))
    target = {name: v.to(image.device) if isinstance(v, Tensor) else v for name, v in pair[1].items()}
    detector.transform.train(resized)
    images, (target,) = detector.transform([image / 255], [target])
    maps = detector.backbone(images.tensors)
    (proposals,), _ = detector.rpn(images, maps)
    if isinstance(proposals, Proposals):
        raise InputError("region heads are compared on proposals by anchors: pass --weights of the preset mobilenet")
    half = {name: level[0].half().contiguous() for name, level in maps.items()}
    return Picture(half, proposals.clone(), target, images.image_sizes[0], (image.shape[-2], image.shape[-1]))


def device_of(detector: Detector) -> torch.device:
    return next(detector.parameters()).device


def batch(pictures: list[Picture]) -> tuple[dict[str, Tensor], list[Tensor], list[tuple[int, int]]]:
    """Maps of several pictures, padded to the largest, their proposals and shapes."""
    maps = {}
    for name in pictures[0].maps:
        levels = [p.maps[name].float() for p in pictures]
        height, width = (max(level.shape[i] for level in levels) for i in (1, 2))
        maps[name] = torch.stack([pad(m, (0, width - m.shape[2], 0, height - m.shape[1])) for m in levels])
    return maps, [p.proposals.clone() for p in pictures], [p.shape for p in pictures]
