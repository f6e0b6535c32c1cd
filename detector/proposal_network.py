"""torchvision's proposal network, for anchors, with ignore regions left out of its losses.

An anchor that is not a positive and lies mostly inside an ignore region (intersection over its own area at least 0.5)
is neither positive nor negative: nobody can say what it shows.
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork

from upright.detector.ignored import inside_ignored, people
from upright.detector.region_reading import PICTURE


class ProposalNetwork(RegionProposalNetwork):
    """torchvision's region proposal network; anchors on ignore regions are not learnt from."""

    pretrained: tuple[nn.Module, ...] = ()

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
