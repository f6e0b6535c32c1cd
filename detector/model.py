"""The one place where a detector is put together: settings in, a torchvision-style detector out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes

from upright.detector.backbone import PyramidBackbone
from upright.detector.dense_proposals import DenseProposals
from upright.detector.person_priors import PERSON_PRIORS, SQUARE_PRIORS
from upright.detector.picture_size import resized_sides
from upright.detector.pose_pool import PoseNormalisingPool, RoIAlignPool
from upright.detector.proposal_network import ProposalNetwork
from upright.detector.region_head import RegionHead
from upright.detector.regions import RegionHeads
from upright.detector.second_look import POSE_WIDTH, ROOM, SecondLook
from upright.detector.settings import Settings
from upright.detector.shufflenet import ShuffleNetPyramid
from upright.detector.spatial_transformer import ThetaRegression, Transformation, transformations
from upright.errors import InputError

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]


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
        height, width = image.shape[-2:]
        size = resized_sides(height, width, min(self.min_size), self.max_size)
        if size == (height, width):
            return image, target
        return interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0], target

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
            ratio = [new / old for new, old in zip(original[::-1], shape[::-1], strict=True)]
            for name in ("whole", "parts"):
                if name in one:
                    one[name] = one[name] * one[name].new_tensor(ratio)
        return result


class Detector(GeneralizedRCNN):
    """A pedestrian detector with torchvision's interface.

    In training `model(images, targets)` gives a dict of losses: images are float (3, H, W) in 0..1, targets are
    `{"boxes": (n, 4), "labels": (n,) ones, "ignore": (n,) bool, "image_id"}`. Otherwise `model(images)` gives, for
    each picture, `{"boxes": (n, 4) in pixels of that picture, "labels", "scores"}`, scores falling; where the
    transformers were taught also "lean" (n,), "whole" (n, 4, 2), "parts" (n, 3, 4, 2) and "seen" (n, 3), as
    `upright.detector.detected.Detected` says.

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
    def tells_pose(self) -> bool:
        """Whether detections say how people are turned, and where their parts are."""
        return self.roi_heads.tells_pose

    @property
    def pool(self) -> PoseNormalisingPool | RoIAlignPool:
        """What crops the regions."""
        return self.roi_heads.box_roi_pool

    @property
    def pretrained(self) -> tuple[nn.Module, ...]:
        """The parts that start from published weights, and learn at a rate of their own."""
        second_look = self.roi_heads.second_look
        return (*self.backbone.pretrained, *self.rpn.pretrained, *(second_look.pretrained if second_look else ()))

    @property
    def pose_pool_transformation(self) -> Transformation | None:
        """The family of transformations that theta belongs to, or None in the baseline."""
        return self.pool.transformation


def build_transformation(name: str) -> Transformation:
    """The family that settings call by its class in lower case: "thin_plate_spline" is `ThinPlateSpline`."""
    return getattr(transformations, name.title().replace("_", ""))()


def build_pool(settings: Settings, strides: tuple[int, ...]) -> PoseNormalisingPool | RoIAlignPool:
    """The pool for maps of these strides, named "0", "1" ... and "pool", finest first."""
    names = [*(str(i) for i in range(len(strides) - 1)), "pool"]
    if settings.transformers == 0:
        return RoIAlignPool(names, settings.pool_size)
    transformation = build_transformation(settings.transformation)
    priors = SQUARE_PRIORS if settings.teach else PERSON_PRIORS
    return PoseNormalisingPool(
        names,
        strides,
        settings.channels,
        settings.pool_size,
        transformation,
        [transformation.window(*priors[part]) for part in settings.parts],
        settings.glance_size,
        settings.glance_channels,
        settings.bin_samples,
        # The frames of many parts in every direction are more to tell than a way from a prior.
        hidden=128 if settings.teach else 64,
        taught=settings.teach > 0,
    )


def build_backbone(settings: Settings, network: nn.Module | None) -> PyramidBackbone | ShuffleNetPyramid:
    """The backbone; `network` as in `build_detector`."""
    if settings.backbone == "shufflenet_v2":
        return ShuffleNetPyramid()
    return PyramidBackbone(settings.backbone, settings.channels, network)


def build_proposals(settings: Settings, strides: tuple[int, ...]) -> ProposalNetwork | DenseProposals:
    """What proposes regions on maps of these strides.

    Raises:
        InputError: the anchors do not spread evenly over the maps.
    """
    kept = {"training": settings.train_proposals, "testing": settings.test_proposals}
    if settings.proposals == "dense":
        return DenseProposals(strides, settings.channels, kept)
    heights, levels = settings.anchor_heights, len(strides)
    scales = len(heights) // levels
    if scales * levels != len(heights):
        raise InputError(
            f"{len(heights)} anchor heights do not spread evenly over {levels} levels of the pyramid: "
            f"give {levels}, {2 * levels} ... of them"
        )
    anchors = FullPrecisionAnchors(
        # torchvision's size is the side of the square of the same area; ours is the height of the tallest anchor.
        sizes=tuple(
            tuple(h / settings.anchor_aspects[0] ** 0.5 for h in heights[scales * i : scales * (i + 1)])
            for i in range(levels)
        ),
        aspect_ratios=(settings.anchor_aspects,) * levels,
    )
    return ProposalNetwork(
        anchors,
        FullPrecisionOutputs(settings.channels, anchors.num_anchors_per_location()[0]),
        # 0.5 rather than 0.7: two scales an octave seldom overlap a person by more than 0.7.
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 1000, "testing": 1000},
        post_nms_top_n=kept,
        nms_thresh=0.7,
    )


def build_heads(settings: Settings, strides: tuple[int, ...]) -> RegionHeads:
    """Pool and region head on maps of these strides."""
    pool = build_pool(settings, strides)
    in_features = settings.channels * settings.pool_size**2
    return RegionHeads(
        pool,
        RegionHead(in_features, settings.head_width, pool.pose_features, settings.head_dropout),
        parts=settings.parts,
        teach=settings.teach,
        taught=settings.taught,
        tells_pose=settings.tells_pose,
        second_look=build_second_look(settings, pool.transformation),
        canonical=settings.second_look == "canonical",
        looks=settings.looks,
        second_share=settings.second_share,
        batch_size_per_image=settings.head_samples,
        score_target=settings.score_target,
        fusion=settings.fusion,
        first_stage_share=settings.first_stage_share,
        box_share=settings.box_share,
        gradient=settings.head_gradient,
        score_threshold=settings.score_threshold,
        decay=settings.decay if settings.suppression == "matrix" else None,
        nms_threshold=settings.nms_threshold,
        detections=settings.detections,
        score_scale=settings.score_scale,
        score_shift=settings.score_shift,
    )


def build_second_look(settings: Settings, transformation: Transformation | None) -> SecondLook | None:
    """The second look, which corrects theta of this family where the settings say so; None where there is none."""
    if settings.second_look == "none":
        return None
    if settings.pose_from == "transformers":
        return SecondLook()
    assert transformation is not None, "settings refuse to correct a pose that nobody tells"
    # A crop has room about the person.
    priors = [transformation.window(*(size / ROOM for size in SQUARE_PRIORS[part])) for part in settings.parts]
    return SecondLook(regression=ThetaRegression(POSE_WIDTH, transformation, priors, bounded=True, free_turn=True))


def build_detector(settings: Settings, backbone_network: nn.Module | None = None) -> Detector:
    """A detector of these settings, in training mode.

    Args:
        settings: a preset or a change of one.
        backbone_network: torchvision's classifier to take the backbone from, with its weights (see
            `upright.detector.weights.load_backbone`); random weights by default, and in "shufflenet_v2", which is
            filled by `upright.detector.weights.fill_first_stage`.
    """
    backbone = build_backbone(settings, backbone_network)
    # In this order: it decides which part gets which of the random numbers.
    proposals = build_proposals(settings, backbone.strides)
    heads = build_heads(settings, backbone.strides)
    transform = PictureTransform(settings.min_size, settings.max_size, IMAGENET_MEAN, IMAGENET_STD)
    model = Detector(settings, backbone, proposals, heads, transform)
    return model.to(memory_format=torch.channels_last)
