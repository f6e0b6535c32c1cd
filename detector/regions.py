"""The region heads: torchvision's, with ignore regions left out of every loss.

A proposal that is not a positive and lies mostly inside an ignore region (intersection over its own area
at least 0.5) is neither positive nor negative: nobody can say what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.ops import boxes as box_ops

from upright.datasets.part_frames import PARTS
from upright.detector.dense_proposals import Proposals
from upright.detector.evaluation.calibration import SCORE_MARGIN
from upright.detector.ignored import inside_ignored, people
from upright.detector.person_priors import PersonPart
from upright.detector.pose import Pose, told
from upright.detector.pose_pool import PoseNormalisingPool, RoIAlignPool
from upright.detector.region_head import RegionHead
from upright.detector.suppression import matrix_suppression
from upright.detector.teaching import lessons, taught_losses


def paired_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union (n,) of boxes (n, 4) and others (n, 4), row by row."""
    sides = torch.min(boxes[:, 2:], others[:, 2:]) - torch.max(boxes[:, :2], others[:, :2])
    intersection = sides.clamp(min=0).prod(dim=1)
    return intersection / (box_ops.box_area(boxes) + box_ops.box_area(others) - intersection).clamp(min=1e-6)


def calibrated(scores: Tensor, scale: float, shift: float) -> Tensor:
    """sigmoid(scale logit(score) + shift) of scores (n,) in 0..1; not touched by scale 1 and shift 0."""
    if (scale, shift) == (1.0, 0.0):
        return scores
    return torch.sigmoid(scale * torch.logit(scores, eps=SCORE_MARGIN) + shift)


def region_boxes(proposals: list[Tensor] | list[Proposals]) -> list[Tensor]:
    """The boxes (n, 4) of each image's proposals, with or without scores."""
    return [p.boxes if isinstance(p, Proposals) else p for p in proposals]


@dataclass(frozen=True)
class Judged:
    """What is known of the regions of a batch before any of them is left out; R is their number.

    Attributes:
        regions: (n, 4) of each image, x1 y1 x2 y2 in pixels of the resized image.
        first: (R,) logits of the first stage; None where proposals have none.
        logits: (R, 2) of the regions, background and person.
        deltas: (R, 4), from a region to its box, in torchvision's coding.
        pose: of the regions, or None without transformers.
    """

    regions: list[Tensor]
    first: Tensor | None
    logits: Tensor
    deltas: Tensor
    pose: Pose | None


def person_logit(logits: Tensor) -> Tensor:
    """Logit (R,) of a person, float32, of the head's logits (R, 2) of background and person."""
    return logits[:, 1].float() - logits[:, 0].float()


class RegionHeads(RoIHeads):
    """torchvision's region heads for one class, with the crops of a `PoseNormalisingPool` or a `RoIAlignPool`.

    Args:
        pool: the crops and their pose, called as `pool.crop(features, boxes, image_shapes)`.
        head: a `RegionHead`.
        parts: of the pool's transformers.
        teach: weight of what teaches the transformers, see `upright.detector.teaching`; 0: nobody does.
        taught: the parts that are taught.
        batch_size_per_image: regions a picture that are learnt from, at most a quarter of them people.
        score_target: what a score is learnt as: "class", person or not, or "overlap", that of the refined box with the
            person, 0 for background (Li et al. 2020, *Generalized focal loss*, section 3).
        fusion: what a final score is: "region", the region's alone; "product", first^s region^(1 - s), where first is
            the proposal's (Zhou et al. 2021, *Probabilistic two-stage detection*, section 4); "sum", that of the sum of
            both logits, which is what is learnt then: the region tells what the proposal did not know.
        first_stage_share: s.
        box_share: of the way from a proposal's box to the region's, for the final box.
        gradient: what the losses of scores and boxes reach: "maps", or "head", the pool and the head alone. What
            teaches the transformers reaches the maps, always.
        decay: of `matrix_suppression`, which leaves all boxes; None: hard suppression at `nms_threshold`.
        score_threshold, nms_threshold, detections: what is kept of a picture's regions.
        score_scale, score_shift: the calibration of the scores, see `calibrated`; it comes after the suppression.
    """

    def __init__(
        self,
        pool: PoseNormalisingPool | RoIAlignPool,
        head: RegionHead,
        *,
        parts: tuple[PersonPart, ...] = (),
        teach: float = 0.0,
        taught: tuple[PersonPart, ...] = (),
        batch_size_per_image: int,
        score_target: str = "class",
        fusion: str = "region",
        first_stage_share: float = 0.5,
        box_share: float = 1.0,
        gradient: str = "maps",
        decay: float | None = None,
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
        self.parts = parts
        self.teach = teach
        self.taught = taught
        self.score_target = score_target
        self.fusion = fusion
        self.box_share = box_share
        self.gradient = gradient
        self.decay = decay
        self.first_stage_share = first_stage_share
        self.score_scale = score_scale
        self.score_shift = score_shift
        self.return_theta = False

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor] | list[Proposals],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """As torchvision's: detections (empty in training) and losses (empty otherwise)."""
        if not self.training:
            return self.decide(self.judge(features, proposals, image_shapes), image_shapes), {}
        assert targets is not None, "training needs targets"
        boxes, first, labels, box_targets, matched = self.select_samples(proposals, targets)
        maps = features
        if self.gradient == "head":
            maps = {name: level.detach() for name, level in features.items()}
        glanced = features if self.teach else maps
        logits, deltas, pose = self._look(maps, boxes, image_shapes, glanced)
        losses = {"loss_classifier": logits.sum(), "loss_box_reg": deltas.sum()}
        if self.teach:
            losses |= self._teach(pose, labels, matched, targets)
        if len(logits) == 0:  # every proposal lies on ignore regions
            return [], losses
        # torchvision's loss wants a box for each class; background has none, so both columns are the person's.
        both = deltas.repeat(1, 2)
        loss_classifier, loss_box = fastrcnn_loss(logits.float(), both.float(), labels, box_targets)
        if self.score_target == "overlap" or self.fusion == "sum":
            person = torch.cat(labels) > 0
            truth = person.float()
            if self.score_target == "overlap":
                truth = self._overlaps(deltas.detach().float(), boxes, box_targets).where(person, 0.0)
            logit = person_logit(logits) if first is None else person_logit(logits) + first
            loss_classifier = binary_cross_entropy_with_logits(logit, truth)
        return [], losses | {"loss_classifier": loss_classifier, "loss_box_reg": loss_box}

    def _look(
        self,
        features: dict[str, Tensor],
        boxes: list[Tensor],
        image_shapes: list[tuple[int, int]],
        glanced: dict[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor, Pose | None]:
        """What the head says of regions, (R, 2) and (R, 4), and their pose, or None without transformers."""
        crops, pose = self.box_roi_pool.crop(features, boxes, image_shapes, glanced)
        # Who is taught learns from the teacher alone.
        known = None if pose is None else (pose.detached() if self.teach else pose).features()
        logits, deltas = self.box_head(crops.flatten(1), known)
        return logits, deltas, pose

    def _teach(
        self, pose: Pose, labels: list[Tensor], matched: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """The losses of theta, of the regions that belong to people; `matched` are rows of these."""
        people_rows = [rows[label > 0] for rows, label in zip(matched, labels, strict=True)]
        found = lessons(targets)
        lesson = {
            name: torch.cat([one[name][r] for one, r in zip(found, people_rows, strict=True)]) for name in found[0]
        }
        losses = taught_losses(
            pose.rows(torch.cat(labels) > 0), self.box_roi_pool.transformation, self.parts, self.taught, lesson
        )
        return {name: self.teach * loss for name, loss in losses.items()}

    @property
    def tells_pose(self) -> bool:
        """Whether detections say how people are turned, and where their parts are: all parts were taught."""
        return self.teach > 0 and set(PARTS) <= set(self.parts) & set(self.taught)

    def judge(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor] | list[Proposals],
        image_shapes: list[tuple[int, int]],
    ) -> Judged:
        """What the head says of every proposal."""
        boxes = region_boxes(proposals)
        logits, deltas, pose = self._look(features, boxes, image_shapes)
        first = [p.logits for p in proposals if isinstance(p, Proposals)]
        return Judged(boxes, torch.cat(first) if first else None, logits.float(), deltas.float(), pose)

    def decide(self, judged: Judged, image_shapes: list[tuple[int, int]]) -> list[dict[str, Tensor]]:
        """The detections of each image: both stages' scores as one, after suppression, calibrated."""
        return self._detections(self._scores(judged), judged, image_shapes)

    def _scores(self, judged: Judged) -> Tensor:
        """Scores (R,) in 0..1 of both stages, before calibration."""
        if self.fusion == "region":
            return judged.logits.softmax(dim=1)[:, 1]
        assert judged.first is not None, "settings refuse to fuse scores without dense proposals"
        if self.fusion == "sum":
            return (person_logit(judged.logits) + judged.first).sigmoid()
        share = self.first_stage_share
        return judged.first.sigmoid() ** share * person_logit(judged.logits).sigmoid() ** (1 - share)

    def _overlaps(self, deltas: Tensor, regions: list[Tensor], box_targets: list[Tensor]) -> Tensor:
        """Overlap (R,) of each refined box with the box it is learnt from; anything where there is none."""
        refined, truths = (
            self.box_coder.decode(coded, regions).reshape(-1, 4) for coded in (deltas, torch.cat(box_targets))
        )
        return paired_iou(refined, truths)

    def select_samples(
        self, proposals: Sequence[Tensor | Proposals], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], Tensor | None, list[Tensor], list[Tensor], list[Tensor]]:
        """What is learnt from: regions, the proposals' logits (R,) where they are summed, labels, coded boxes, people.

        The last are rows of each image's people, ignore regions left out; anything where there are none.

        Where logits are summed, people's own boxes are no regions: no proposal says how likely they are.
        """
        if self.fusion != "sum":
            boxes = [p.boxes if isinstance(p, Proposals) else p for p in proposals]
            regions, matched, labels, box_targets = self.select_training_samples(boxes, targets)
            return regions, None, labels, box_targets, matched
        certain = [
            p.rows(~self._unclear(p.boxes, target))
            for p, target in zip(proposals, targets, strict=True)
            if isinstance(p, Proposals)
        ]
        known = [people(target) for target in targets]
        matched, labels = self.assign_targets_to_proposals(
            [p.boxes for p in certain], [k["boxes"] for k in known], [k["labels"] for k in known]
        )
        chosen = self.subsample(labels)
        sampled = [p.rows(rows) for p, rows in zip(certain, chosen, strict=True)]
        truths = [
            k["boxes"][m[rows]] if len(k["boxes"]) else torch.zeros_like(s.boxes)
            for k, m, rows, s in zip(known, matched, chosen, sampled, strict=True)
        ]
        regions = [s.boxes for s in sampled]
        labels = [label[rows] for label, rows in zip(labels, chosen, strict=True)]
        box_targets = list(self.box_coder.encode(truths, regions))
        matched = [rows[picked] for rows, picked in zip(matched, chosen, strict=True)]
        return regions, torch.cat([s.logits for s in sampled]), labels, box_targets, matched

    def select_training_samples(
        self, proposals: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        certain = [boxes[~self._unclear(boxes, target)] for boxes, target in zip(proposals, targets, strict=True)]
        return super().select_training_samples(certain, [people(target) for target in targets])

    def _unclear(self, boxes: Tensor, target: dict[str, Tensor]) -> Tensor:
        """Which boxes (n, 4) lie on ignore regions and on no person, bool (n,)."""
        unclear = inside_ignored(boxes, target)
        persons = people(target)["boxes"]
        if len(persons):
            overlap = box_ops.box_iou(boxes, persons.to(boxes.dtype)).amax(dim=1)
            unclear &= overlap < self.proposal_matcher.high_threshold
        return unclear

    def _detections(
        self,
        scores: Tensor,
        judged: Judged,
        image_shapes: list[tuple[int, int]],
    ) -> list[dict[str, Tensor]]:
        counts = [len(boxes) for boxes in judged.regions]
        deltas = judged.deltas if self.box_share == 1 else self.box_share * judged.deltas
        boxes = self.box_coder.decode(deltas, judged.regions).reshape(-1, 4).split(counts)
        rows = torch.arange(len(scores), device=scores.device).split(counts)
        results = []
        for score, box, region, row, shape in zip(
            scores.split(counts), boxes, judged.regions, rows, image_shapes, strict=True
        ):
            box = box_ops.clip_boxes_to_image(box, shape)
            if self.decay is not None:
                score = matrix_suppression(box, score, self.decay)
            score = calibrated(score, self.score_scale, self.score_shift)
            keep = torch.nonzero(score > self.score_thresh)[:, 0]
            keep = keep[box_ops.remove_small_boxes(box[keep], min_size=1)]
            if self.decay is None:
                keep = keep[box_ops.nms(box[keep], score[keep], self.nms_thresh)]
            else:
                keep = keep[score[keep].argsort(descending=True, stable=True)]
            keep = keep[: self.detections_per_img]
            result = {"boxes": box[keep], "labels": torch.ones_like(keep), "scores": score[keep]}
            if judged.pose is not None and self.tells_pose:
                result |= told(judged.pose.rows(row[keep]), self.box_roi_pool.transformation, self.parts)
            if self.return_theta:
                result["proposals"] = region[keep]
                result["theta"] = score.new_zeros(len(keep), 0, 0)
                if judged.pose is not None:
                    result["theta"] = judged.pose.theta[row[keep]]
            results.append(result)
        return results
