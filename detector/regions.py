"""The region heads: torchvision's, with ignore regions left out of every loss.

A proposal that is not a positive and lies mostly inside an ignore region (intersection over its own area
at least 0.5) is neither positive nor negative: nobody can say what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.ops import boxes as box_ops

from upright.detector.dense_proposals import Proposals
from upright.detector.ignored import inside_ignored, people
from upright.detector.judged import Judged, best_match, calibrated, paired_iou, person_logit, product, region_boxes
from upright.detector.person_priors import PersonPart
from upright.detector.pose import Pose, told
from upright.detector.pose_pool import PoseNormalisingPool, RoIAlignPool
from upright.detector.region_head import RegionHead
from upright.detector.region_reading import PICTURE
from upright.detector.second_look import SecondLook, box_frames, upright_frames
from upright.detector.suppression import matrix_suppression
from upright.detector.teaching import lessons, taught_losses


class RegionHeads(RoIHeads):
    """torchvision's region heads for one class, with the crops of a `PoseNormalisingPool` or a `RoIAlignPool`.

    Args:
        pool: the crops and their pose, called as `pool.crop(features, boxes, image_shapes)`.
        head: a `RegionHead`.
        parts: of the pool's transformers.
        teach: weight of what teaches the transformers, see `upright.detector.teaching`; 0: nobody does.
        taught: the parts that are taught.
        tells_pose: whether detections say how people are turned, and where their parts are.
        second_look: judges the best regions once more, by crops of the picture; None: nobody does.
        canonical: whether these crops are upright, in the pose of the person, or plain boxes.
        looks: regions of an image that it sees.
        second_share: exponent of its score in the final one, that of the score so far is 1 less that.
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
        tells_pose: bool = False,
        second_look: SecondLook | None = None,
        canonical: bool = False,
        looks: int = 0,
        second_share: float = 0.0,
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
        self.tells_pose = tells_pose
        self.second_look = second_look
        self.canonical = canonical
        self.looks = looks
        self.second_share = second_share
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
        if self.teach and pose is not None:
            losses |= self._teach(pose, labels, matched, targets)
        if self.second_look is not None:
            losses |= self._look_again(features, proposals, targets)
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

    def _look_again(
        self, features: dict[str, Tensor], proposals: list[Tensor] | list[Proposals], targets: list[dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Of the best proposals: of the overlap with their person, 0 below a half, and of a corrected pose."""
        assert self.second_look is not None
        best, wanted, matched = [], [], []
        for boxes, target in zip(region_boxes(proposals), targets, strict=True):
            kept = boxes[~self._unclear(boxes, target)][: self.looks]
            overlap, person = best_match(kept, people(target)["boxes"])
            best.append(kept)
            wanted.append(overlap.where(overlap >= self.proposal_matcher.high_threshold, 0.0))
            matched.append(person)
        with torch.no_grad():
            pose = self.box_roi_pool.look(features, best) if self.canonical else None
            frames = self._frames(torch.cat(best), pose).split([len(one) for one in best])
        logits, corrected = self.second_look(features[PICTURE], list(frames))
        losses = {}
        if corrected is not None:
            taught = self._teach(corrected, [(overlap > 0).long() for overlap in wanted], matched, targets)
            losses = {name.replace("loss_", "loss_second_"): loss for name, loss in taught.items()}
        if len(logits) == 0:  # the mean over nothing is not a number
            return losses | {"loss_second_look": logits.sum()}
        return losses | {"loss_second_look": binary_cross_entropy_with_logits(logits, torch.cat(wanted))}

    def _frames(self, boxes: Tensor, pose: Pose | None) -> Tensor:
        """Where the second look looks, (n, 5), see `box_frames`; of boxes (n, 4) and their pose."""
        if not self.canonical:
            return box_frames(boxes)
        assert pose is not None, "settings refuse a canonical crop without a pose"
        corners = pose.quadrilaterals(self.box_roi_pool.transformation)
        return upright_frames(corners[:, self.parts.index("whole")])

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
        first_logits = torch.cat(first) if first else None
        return Judged(boxes, first_logits, logits.float(), deltas.float(), pose, features[PICTURE])

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
        return product(judged.first.sigmoid(), person_logit(judged.logits).sigmoid(), self.first_stage_share)

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
            regions, matched, labels, box_targets = self.select_training_samples(region_boxes(proposals), targets)
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
        return inside_ignored(boxes, target) & (
            best_match(boxes, people(target)["boxes"])[0] < self.proposal_matcher.high_threshold
        )

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
        boxes = [box_ops.clip_boxes_to_image(box, shape) for box, shape in zip(boxes, image_shapes, strict=True)]
        pose = self.told_pose(judged.pose)
        parts = list(scores.split(counts))
        if self.decay is not None:
            parts = [matrix_suppression(box, score, self.decay) for box, score in zip(boxes, parts, strict=True)]
        if self.second_look is not None:
            parts, chosen, corrected = self._rejudged(parts, boxes, rows, judged)
            pose |= {name: pose[name].index_copy(0, chosen, one) for name, one in self.told_pose(corrected).items()}
        results = []
        for score, box, region, row in zip(parts, boxes, judged.regions, rows, strict=True):
            score = calibrated(score, self.score_scale, self.score_shift)
            keep = torch.nonzero(score > self.score_thresh)[:, 0]
            keep = keep[box_ops.remove_small_boxes(box[keep], min_size=1)]
            if self.decay is None:
                keep = keep[box_ops.nms(box[keep], score[keep], self.nms_thresh)]
            else:
                keep = keep[score[keep].argsort(descending=True, stable=True)]
            keep = keep[: self.detections_per_img]
            result = {"boxes": box[keep], "labels": torch.ones_like(keep), "scores": score[keep]}
            result |= {name: value[row[keep]] for name, value in pose.items()}
            if self.return_theta:
                result["proposals"] = region[keep]
                result["theta"] = score.new_zeros(len(keep), 0, 0)
                if judged.pose is not None:
                    result["theta"] = judged.pose.theta[row[keep]]
            results.append(result)
        return results

    def told_pose(self, pose: Pose | None) -> dict[str, Tensor]:
        """What detections say of a pose, as `told`; nothing where they say nothing."""
        return told(pose, self.box_roi_pool.transformation, self.parts) if pose is not None and self.tells_pose else {}

    def _rejudged(
        self, scores: list[Tensor], boxes: list[Tensor], rows: Sequence[Tensor], judged: Judged
    ) -> tuple[list[Tensor], Tensor, Pose | None]:
        """Scores of each image's regions (`rows` in `judged`) after the second look, rows (K,) it saw, their pose."""
        assert self.second_look is not None
        best = [score.topk(min(self.looks, len(score))).indices for score in scores]
        chosen = torch.cat([row[picked] for row, picked in zip(rows, best, strict=True)])
        if len(chosen) == 0:
            return scores, chosen, None
        seen = torch.cat([box[picked] for box, picked in zip(boxes, best, strict=True)])
        frames = self._frames(seen, None if judged.pose is None else judged.pose.rows(chosen))
        counts = [len(picked) for picked in best]
        second, corrected = self.second_look(judged.pictures, list(frames.split(counts)))
        fused = []
        for score, picked, own in zip(scores, best, second.sigmoid().split(counts), strict=True):
            fused.append(score.index_copy(0, picked, product(own, score[picked], self.second_share)))
        return fused, chosen, corrected
