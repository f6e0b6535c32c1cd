"""The one place where a detector is put together: settings in, a torchvision-style detector out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes

from upright.detector.backbone import PyramidBackbone
from upright.detector.picture_crops import PictureCrops
from upright.detector.pose_pool import PoseNormalisingPool, build_pool
from upright.detector.regions import ProposalNetwork, RegionHead, RegionHeads
from upright.detector.settings import Settings
from upright.detector.spatial_transformer import Affine, Attention, Projective, ThinPlateSpline, Transformation

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_DEVIATION = [0.229, 0.224, 0.225]

TRANSFORMATIONS: dict[str, type[Transformation]] = {
    "attention": Attention,
    "affine": Affine,
    "projective": Projective,
    "thin_plate_spline": ThinPlateSpline,
}


class FullPrecisionAnchors(AnchorGenerator):
    """torchvision's anchors, in float32 also under autocast: bfloat16 would move them by pixels."""

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        # Only shape, type and device of the maps are read.
        return super().forward(image_list, [feature_map[:, :0].float() for feature_map in feature_maps])


class FullPrecisionOutputs(RPNHead):
    """torchvision's proposal head, its outputs in float32: torchvision decodes boxes in the type of the deltas."""

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        objectness, deltas = super().forward(x)
        return [o.float() for o in objectness], [d.float() for d in deltas]


class PictureTransform(GeneralizedRCNNTransform):
    """torchvision's resize, normalise and batch; in training the augmentation has resized already."""

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, Any]:
        if self.training:
            return image, target
        return super().resize(image, target)

    def postprocess(
        self,
        result: list[dict[str, Tensor]],
        image_shapes: list[tuple[int, int]],
        original_image_sizes: list[tuple[int, int]],
    ) -> list[dict[str, Tensor]]:
        if self.training:
            return result
        for one, shape, original in zip(result, image_shapes, original_image_sizes, strict=True):
            for name in ("boxes", "proposals"):
                if name in one:
                    one[name] = resize_boxes(one[name], shape, original)
        return result


class Detector(GeneralizedRCNN):
    """A pedestrian detector with torchvision's interface.

    In training `model(images, targets)` gives a dict of losses: images are float (3, H, W) in 0..1, targets are
    `{"boxes": (n, 4), "labels": (n,) ones, "ignore": (n,) bool, "image_id"}`. Otherwise `model(images)` gives, for
    each picture, `{"boxes": (n, 4) in pixels of that picture, "labels", "scores"}`, scores falling.

    Attributes:
        settings: what it was built from.
        return_theta: whether detections also have "theta" (n, N, P) and "proposals" (n, 4), the regions that the
            transformers read, in pixels of the picture.
    """

    def __init__(self, settings: Settings, *parts: nn.Module) -> None:
        super().__init__(*parts)
        self.settings = settings

    @property
    def return_theta(self) -> bool:
        return self.roi_heads.return_theta

    @return_theta.setter
    def return_theta(self, wanted: bool) -> None:
        self.roi_heads.return_theta = wanted

    @property
    def pose_pool(self) -> PoseNormalisingPool | None:
        """The pool, or None in the baseline without transformers."""
        pool = self.roi_heads.box_roi_pool
        return pool if isinstance(pool, PoseNormalisingPool) else None

    @property
    def pose_pool_transformation(self) -> Transformation | None:
        """The family of transformations that theta belongs to, or None in the baseline."""
        return self.pose_pool.theta.transformation if self.pose_pool else None


def build_detector(settings: Settings, backbone_network: nn.Module | None = None) -> Detector:
    """A detector of these settings, in training mode.

    Args:
        settings: a preset or a change of one.
        backbone_network: torchvision's classifier to take the backbone from, with its weights (see
            `upright.detector.weights.load_backbone`); random weights by default.
    """
    backbone = PyramidBackbone(settings.backbone, settings.channels, backbone_network)
    heights = settings.anchor_heights
    levels = len(backbone.strides)
    scales = len(heights) // levels
    if scales * levels != len(heights):
        raise ValueError(f"{len(heights)} anchor heights do not spread evenly over {levels} levels")
    anchors = FullPrecisionAnchors(
        # torchvision's size is the side of the square of the same area; ours is the height of the tallest anchor.
        sizes=tuple(
            tuple(h / settings.anchor_aspects[0] ** 0.5 for h in heights[scales * i : scales * (i + 1)])
            for i in range(levels)
        ),
        aspect_ratios=(settings.anchor_aspects,) * levels,
    )
    proposals = ProposalNetwork(
        anchors,
        FullPrecisionOutputs(settings.channels, anchors.num_anchors_per_location()[0]),
        # 0.5 rather than 0.7: two scales an octave seldom overlap a person by more than 0.7.
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 1000, "testing": 1000},
        post_nms_top_n={"training": settings.train_proposals, "testing": settings.test_proposals},
        nms_thresh=0.7,
    )
    pool = build_pool(
        backbone.strides,
        settings.channels,
        settings.pool_size,
        TRANSFORMATIONS[settings.transformation](),
        settings.transformers,
        settings.glance_size,
        settings.glance_channels,
        settings.bin_samples,
        settings.priors,
    )
    theta_numbers = pool.theta.priors.numel() if settings.transformers else 0
    picture_crops = PictureCrops(pool.theta.transformation) if settings.read == "picture" else None
    crop_numbers = settings.channels * settings.pool_size**2
    crop_numbers += settings.transformers * picture_crops.width if picture_crops else 0
    heads = RegionHeads(
        pool,
        RegionHead(crop_numbers, settings.head_width, theta_numbers),
        picture_crops=picture_crops,
        samples=settings.head_samples,
        score_threshold=settings.score_threshold,
        nms_threshold=settings.nms_threshold,
        detections=settings.detections,
    )
    transform = PictureTransform(settings.min_size, settings.max_size, IMAGENET_MEAN, IMAGENET_DEVIATION)
    model = Detector(settings, backbone, proposals, heads, transform)
    return model.to(memory_format=torch.channels_last)
