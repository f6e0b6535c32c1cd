"""One detector with several choices at inference: what they share, maps and regions, is computed once a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList
from tqdm import tqdm

from upright.datasets.sample import PedestrianDataset
from upright.detector.dense_proposals import DenseProposals, Proposals
from upright.detector.detected import boxes_xywh
from upright.detector.evaluation import Detections
from upright.detector.model import Detector
from upright.detector.settings import Settings
from upright.errors import InputError


@dataclass(frozen=True)
class Variant:
    """Choices at inference.

    Attributes:
        sides: shortest and longest side of a picture, the limit that wins, in pixels.
        proposals: kept of a picture.
        fusion: of the scores of both stages, see `RegionHeads`.
        share: of the first stage in the product.
        box_share: how far boxes follow the region head.
        suppression: overlap at which of two boxes the one with the lower score goes; or
        decay: of matrix suppression, 0 for the other.
    """

    sides: tuple[int, int]
    proposals: int
    fusion: str
    share: float
    box_share: float
    suppression: float
    decay: float

    @classmethod
    def of(cls, settings: Settings) -> Variant:
        """The choices that weights come with."""
        return cls(
            sides=(settings.min_size, settings.max_size),
            proposals=settings.test_proposals,
            fusion=settings.fusion,
            share=settings.first_stage_share,
            box_share=settings.box_share,
            suppression=settings.nms_threshold,
            decay=settings.decay if settings.suppression == "matrix" else 0.0,
        )

    def apply(self, model: Detector) -> None:
        """Make them the model's, and its scores those before calibration, whose shares can be compared."""
        dense_proposals(model).kept["testing"] = self.proposals
        model.transform.min_size, model.transform.max_size = (self.sides[0],), self.sides[1]
        heads = model.roi_heads
        heads.fusion, heads.first_stage_share = self.fusion, self.share
        heads.box_share, heads.nms_thresh, heads.decay = self.box_share, self.suppression, self.decay or None
        heads.score_scale, heads.score_shift = 1.0, 0.0


def dense_proposals(model: Detector) -> DenseProposals:
    """The first stage of a detector.

    Raises:
        InputError: its proposals have no scores.
    """
    if not isinstance(model.rpn, DenseProposals):
        raise InputError("the weights propose by anchors, which have no scores to choose with: use dense proposals")
    return model.rpn


@torch.inference_mode()
def detect_variants(
    model: Detector, dataset: PedestrianDataset, variants: Mapping[str, Variant]
) -> dict[str, Detections]:
    """What each variant finds, all of the same sides.

    Proposals come in falling order of their score and are judged one by one, so that the first n of many are what a
    variant of n proposals has.

    Args:
        model: in evaluation mode, on the CPU; it is left with the choices of one of the variants.
        dataset: the pictures.
        variants: by name.

    Raises:
        ValueError: their sides differ.
        InputError: the model's proposals have no scores.
    """
    if len({variant.sides for variant in variants.values()}) != 1:
        raise ValueError("variants of different sides share no maps")
    found: dict[str, list[dict[str, Tensor]]] = {name: [] for name in variants}
    most = max(variants.values(), key=lambda variant: variant.proposals)
    for index in tqdm(range(len(dataset)), desc="detecting", leave=False):
        most.apply(model)
        image = as_tensor(dataset[index].image)
        original = [(image.shape[-2], image.shape[-1])]
        images, features, (proposals,) = first_stage(model, image)
        judged = model.roi_heads.judge(features, [proposals], images.image_sizes)
        for name, variant in variants.items():
            variant.apply(model)
            n = variant.proposals
            few = replace(
                judged,
                regions=[judged.regions[0][:n]],
                first=None if judged.first is None else judged.first[:n],
                logits=judged.logits[:n],
                deltas=judged.deltas[:n],
                pose=None if judged.pose is None else judged.pose.rows(torch.arange(len(judged.logits))[:n]),
            )
            result = model.roi_heads.decide(few, images.image_sizes)
            found[name] += model.transform.postprocess(result, images.image_sizes, original)
    return {name: columns([(one["boxes"], one["scores"]) for one in outputs]) for name, outputs in found.items()}


@torch.inference_mode()
def detect_first_stage(
    model: Detector,
    dataset: PedestrianDataset,
    *,
    sides: tuple[int, int],
    stretched: bool,
    threshold: float = 0.001,
    suppression: float = 0.6,
    kept: int = 100,
) -> Detections:
    """What the dense proposals alone find, taken for detections.

    Args:
        model: with dense proposals, in evaluation mode, on the CPU; it is left with these choices.
        dataset: the pictures.
        sides: shortest and longest, as of a `Variant`; `stretched`: height and width that every picture gets,
            multiples of 32.
        stretched: whether the aspect of pictures is lost.
        threshold: detections of lower scores are left out.
        box_share: how far boxes follow the region head.
        suppression: overlap at which of two boxes the one with the lower score goes.
        kept: detections of a picture, at most.
    """
    proposals = dense_proposals(model)
    proposals.nms_threshold, proposals.kept["testing"] = suppression, kept
    model.transform.min_size, model.transform.max_size = (min(sides),), max(sides)
    found = []
    for index in tqdm(range(len(dataset)), desc="detecting", leave=False):
        picture = dataset[index].image
        height, width = picture.shape[:2]
        if stretched:
            picture = cv2.resize(picture, sides[::-1], interpolation=cv2.INTER_LINEAR)
        images, _, (one,) = first_stage(model, as_tensor(picture))
        ratio = [size / resized for size, resized in zip((width, height), images.image_sizes[0][::-1], strict=True)]
        scores = one.logits.sigmoid()
        sure = scores > threshold
        found.append((one.boxes[sure] * one.boxes.new_tensor(ratio * 2), scores[sure]))
    return columns(found)


def first_stage(model: Detector, image: Tensor) -> tuple[ImageList, dict[str, Tensor], list[Proposals]]:
    """The resized picture, its maps and the proposals of one image (3, H, W) in 0..1."""
    images, _ = model.transform([image])
    features = model.backbone(images.tensors)
    return images, features, model.rpn(images, features)[0]


def as_tensor(picture: np.ndarray) -> Tensor:
    """float (3, H, W) in 0..1 of a picture uint8 (H, W, 3)."""
    return torch.from_numpy(picture).permute(2, 0, 1).float().div(255)


def columns(found: list[tuple[Tensor, Tensor]]) -> Detections:
    """Boxes (n, 4), x1 y1 x2 y2 in pixels of the picture, and scores (n,), of each picture, as columns."""
    return Detections(
        image_index=np.repeat(np.arange(len(found)), [len(scores) for _, scores in found]),
        boxes=np.concatenate([np.zeros((0, 4)), *(boxes_xywh(boxes.numpy()) for boxes, _ in found)]),
        scores=np.concatenate([np.zeros(0), *(scores.numpy().astype(np.float64) for _, scores in found)]),
    )
