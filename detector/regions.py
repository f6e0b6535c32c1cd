"""The proposal network and the region heads: torchvision's, with ignore regions left out of every loss.

An anchor or proposal that is not a positive and lies mostly inside an ignore region (intersection over its own area
at least 0.5) is neither positive nor negative: nobody can say what it shows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import boxes as box_ops

from upright.detector.backbone import PICTURE
from upright.detector.evaluation.calibration import SCORE_MARGIN
from upright.detector.picture_crops import PictureCrops
from upright.detector.pose_pool import PoseNormalisingPool, RoIAlignPool

IGNORE_OVERLAP = 0.5


def inside_ignored(boxes: Tensor, target: dict[str, Tensor]) -> Tensor:
    """Which boxes lie mostly inside one of the target's ignore regions.

    Args:
        boxes: (n, 4), x1 y1 x2 y2.
        target: with "boxes" (m, 4) and "ignore" bool (m,).

    Returns:
        bool (n,).
    """
    regions = target["boxes"][target["ignore"]].to(boxes.dtype)
    if len(regions) == 0:
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    left_top = torch.max(boxes[:, None, :2], regions[:, :2])
    right_bottom = torch.min(boxes[:, None, 2:], regions[:, 2:])
    intersection = (right_bottom - left_top).clamp(min=0).prod(dim=2)  # (n, m)
    area = box_ops.box_area(boxes)[:, None]
    return (intersection >= IGNORE_OVERLAP * area).any(dim=1) & (area[:, 0] > 0)


def people(target: dict[str, Tensor]) -> dict[str, Tensor]:
    """The target without its ignore regions: "boxes" (n, 4) and "labels" (n,)."""
    keep = ~target["ignore"]
    return {"boxes": target["boxes"][keep], "labels": target["labels"][keep]}


class ProposalNetwork(RegionProposalNetwork):
    """torchvision's region proposal network; anchors on ignore regions are not learnt from."""

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        maps = {name: level for name, level in features.items() if name != PICTURE}
        return super().forward(images, maps, targets)

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        labels, matched = super().assign_targets_to_anchors(anchors, [people(target) for target in targets])
        for label, anchor, target in zip(labels, anchors, targets, strict=True):
            label[(label == 0) & inside_ignored(anchor, target)] = -1  # -1 is torchvision's "not sampled"
        return labels, matched

    def compute_loss(
        self, objectness: Tensor, pred_bbox_deltas: Tensor, labels: list[Tensor], regression_targets: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        if all((label < 0).all() for label in labels):  # the mean over no anchor is not a number
            return 0 * objectness.sum(), 0 * pred_bbox_deltas.sum()
        return super().compute_loss(objectness, pred_bbox_deltas, labels, regression_targets)


class RegionHead(nn.Module):
    """Two fully connected layers over a region's crops, then its score and its box.

    The second layer is also told theta: a canonical crop has lost where in the region the person stood, and the
    box is regressed in the region's frame.

    Args:
        in_features: D, numbers that a region's crops give.
        width: of both layers.
        theta_features: numbers of theta a region, N P; 0 without transformers.
    """

    def __init__(self, in_features: int, width: int, theta_features: int) -> None:
        super().__init__()
        self.first = nn.Linear(in_features, width)
        self.second = nn.Linear(width + theta_features, width)
        self.score = nn.Linear(width, 2)
        self.box = nn.Linear(width, 4)
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.zeros_(self.score.bias)
        nn.init.normal_(self.box.weight, std=0.001)
        nn.init.zeros_(self.box.bias)

    def forward(self, crops: Tensor, theta: Tensor | None) -> tuple[Tensor, Tensor]:
        """
        Args:
            crops: (R, D).
            theta: (R, N, P), or None without transformers.

        Returns:
            Logits (R, 2) of background and person, and box deltas (R, 4) in torchvision's coding.
        """
        hidden = self.first(crops).relu()
        if theta is not None:
            hidden = torch.cat([hidden, theta.flatten(1).to(hidden.dtype)], dim=1)
        hidden = self.second(hidden).relu()
        return self.score(hidden), self.box(hidden)


def calibrated(scores: Tensor, scale: float, shift: float) -> Tensor:
    """sigmoid(scale logit(score) + shift) of scores (n,) in 0..1; not touched by scale 1 and shift 0."""
    if (scale, shift) == (1.0, 0.0):
        return scores
    return torch.sigmoid(scale * torch.logit(scores, eps=SCORE_MARGIN) + shift)


class RegionHeads(RoIHeads):
    """torchvision's region heads for one class, with the crops of a `PoseNormalisingPool` or a `RoIAlignPool`.

    Args:
        pool: the crops and their theta, called as `pool.crop(features, boxes, image_shapes)`.
        head: a `RegionHead`.
        picture_crops: what is read of the picture itself, given among `features`; None: nothing.
        batch_size_per_image: regions a picture that are learnt from, at most a quarter of them people.
        score_threshold, nms_threshold, detections: what is kept of a picture's regions.
        score_scale, score_shift: the calibration of the scores, see `calibrated`; it comes before all else.
    """

    def __init__(
        self,
        pool: PoseNormalisingPool | RoIAlignPool,
        head: RegionHead,
        *,
        picture_crops: PictureCrops | None = None,
        batch_size_per_image: int,
        score_threshold: float,
        nms_threshold: float,
        detections: int,
        score_scale: float = 1.0,
        score_shift: float = 0.0,
    ) -> None:
        super().__init__(
            box_roi_pool=pool,
            box_head=head,
            box_predictor=None,
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=batch_size_per_image,
            positive_fraction=0.25,
            bbox_reg_weights=None,
            score_thresh=score_threshold,
            nms_thresh=nms_threshold,
            detections_per_img=detections,
        )
        self.picture_crops = picture_crops
        self.score_scale = score_scale
        self.score_shift = score_shift
        self.return_theta = False

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """As torchvision's: detections (empty in training) and losses (empty otherwise)."""
        if self.training:
            assert targets is not None, "training needs targets"
            proposals, _, labels, box_targets = self.select_training_samples(proposals, targets)
        crops, theta = self._crop(features, proposals, image_shapes)
        logits, deltas = self.box_head(crops, theta)
        if self.training and len(logits) == 0:  # every proposal lies on ignore regions
            return [], {"loss_classifier": logits.sum(), "loss_box_reg": deltas.sum()}
        if self.training:
            # torchvision's loss wants a box for each class; background has none, so both columns are the person's.
            both = deltas.repeat(1, 2)
            loss_classifier, loss_box = fastrcnn_loss(logits.float(), both.float(), labels, box_targets)
            return [], {"loss_classifier": loss_classifier, "loss_box_reg": loss_box}
        return self._detections(logits.float(), deltas.float(), theta, proposals, image_shapes), {}

    def _crop(
        self, features: dict[str, Tensor], proposals: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> tuple[Tensor, Tensor | None]:
        """What the head judges, (R, D), and theta (R, N, P) or None."""
        crops, theta = self.box_roi_pool.crop(features, proposals, image_shapes)
        if self.picture_crops is None or theta is None:
            return crops.flatten(1), theta
        seen = self.picture_crops(features[PICTURE], proposals, theta)
        return torch.cat([crops.flatten(1), seen.to(crops.dtype)], dim=1), theta

    def select_training_samples(
        self, proposals: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        known, certain = [], []
        for boxes, target in zip(proposals, targets, strict=True):
            persons = people(target)
            unclear = inside_ignored(boxes, target)
            if len(persons["boxes"]):
                overlap = box_ops.box_iou(boxes, persons["boxes"].to(boxes.dtype)).amax(dim=1)
                unclear &= overlap < self.proposal_matcher.high_threshold
            known.append(persons)
            certain.append(boxes[~unclear])
        return super().select_training_samples(certain, known)

    def _detections(
        self,
        logits: Tensor,
        deltas: Tensor,
        theta: Tensor | None,
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> list[dict[str, Tensor]]:
        counts = [len(boxes) for boxes in proposals]
        scores = calibrated(logits.softmax(dim=1)[:, 1], self.score_scale, self.score_shift).split(counts)
        boxes = self.box_coder.decode(deltas, proposals).reshape(-1, 4).split(counts)
        theta = logits.new_zeros(len(logits), 0, 0) if theta is None else theta
        thetas = theta.split(counts)
        results = []
        for score, box, region, own, shape in zip(scores, boxes, proposals, thetas, image_shapes, strict=True):
            box = box_ops.clip_boxes_to_image(box, shape)
            keep = torch.nonzero(score > self.score_thresh)[:, 0]
            keep = keep[box_ops.remove_small_boxes(box[keep], min_size=1)]
            keep = keep[box_ops.nms(box[keep], score[keep], self.nms_thresh)][: self.detections_per_img]
            result = {"boxes": box[keep], "labels": torch.ones_like(keep), "scores": score[keep]}
            if self.return_theta:
                result["proposals"] = region[keep]
                result["theta"] = own[keep]
            results.append(result)
        return results
