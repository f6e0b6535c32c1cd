"""The settings of a detector and its presets. They travel as JSON inside every weights file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from itertools import cycle, islice
from typing import Annotated, Any, Literal

from upright.detector.option_fields import option_fields
from upright.detector.person_priors import PERSON_PRIORS, PersonPart
from upright.detector.picture_size import resized_sides
from upright.errors import InputError

LIGHT_HEIGHTS = (24.0, 35.0, 52.0, 76.0, 112.0, 165.0, 243.0, 360.0)  # two a level

RETIRED = {"read": "pyramid"}  # settings of older weights files, and the value that asks for nothing more

LEAST_SIDE = 32  # pixels; a cell of the coarsest map
MAY_BE_ZERO = ("transformers", "first_stage_share", "box_share", "head_dropout", "teach", "second_share")


@dataclass(frozen=True)
class Settings:
    """What a detector is built from; `upright.detector.model.build_detector` reads it and nothing else.

    Lengths are pixels of the resized picture. Each field says what it is, for the flags of the tools too.
    """

    backbone: Annotated[Literal["shufflenet_v2", "mobilenet_v2", "resnet50"], "network that makes the maps"] = (
        "mobilenet_v2"
    )
    channels: Annotated[int, "channels of every level of the pyramid"] = 128
    min_size: Annotated[int, "shortest side of a picture at inference"] = 480
    max_size: Annotated[int, "longest side of a picture at inference, the limit that wins"] = 864
    crop_height: Annotated[int, "of landscape training pictures, scaled about training_side; portrait ones turn it"] = (
        416
    )
    crop_width: Annotated[int, "of landscape training pictures; see crop_height"] = 544
    anchor_heights: Annotated[tuple[float, ...], "as many for each level, finest first"] = (
        24.0,
        35.0,
        52.0,
        76.0,
        112.0,
        165.0,
        243.0,
        360.0,
    )
    # Upright (1 / 0.41); sitting, cycling.
    anchor_aspects: Annotated[tuple[float, ...], "height over width"] = (2.44, 1.2)
    proposals: Annotated[
        Literal["anchors", "dense"], "what proposes regions: torchvision's network, or one score and box a cell"
    ] = "anchors"
    train_proposals: Annotated[int, "proposals kept of a picture in training"] = 600
    test_proposals: Annotated[int, "proposals kept of a picture at inference"] = 300
    head_width: Annotated[int, "width of both layers of the region head"] = 256
    head_dropout: Annotated[float, "share of a region's crop that the head does without in training"] = 0.0
    head_gradient: Annotated[
        Literal["maps", "head"], "what the region head's losses reach: the maps too, or the head and its pool alone"
    ] = "maps"
    head_samples: Annotated[int, "regions of a picture that the head learns from"] = 128
    score_target: Annotated[Literal["class", "overlap"], "what a region's score is learnt as"] = "class"
    fusion: Annotated[
        Literal["region", "product", "sum"],
        "a score: the region's alone; times the proposal's; or of the sum of their logits, learnt as such",
    ] = "region"
    # Of the logarithm of the product.
    first_stage_share: Annotated[float, "exponent of the proposal's score in the product, 0 to 1"] = 0.5
    box_share: Annotated[float, "how far a proposal's box follows the region head, 0 to 1"] = 1.0
    pool_size: Annotated[int, "bins of a canonical crop, a side"] = 7
    transformers: Annotated[int, "spatial transformers; 0 is torchvision's RoIAlign"] = 4
    transformation: Annotated[
        Literal["attention", "affine", "projective", "thin_plate_spline"], "what each transformer may do"
    ] = "affine"
    priors: Annotated[tuple[PersonPart, ...], "where transformers start, in turn"] = ("whole", "head", "torso", "legs")
    teach: Annotated[float, "weight of the loss that teaches transformers the frames of parts; 0: nobody does"] = 0.0
    taught: Annotated[tuple[PersonPart, ...], "the parts that are taught"] = ("whole", "head", "torso", "legs")
    second_look: Annotated[
        Literal["none", "box", "canonical"],
        "the best regions judged once more, by crops of the picture: plain boxes, or upright in the taught pose",
    ] = "none"
    looks: Annotated[int, "regions of a picture that the second look sees"] = 16
    pose_from: Annotated[
        Literal["transformers", "second_look"],
        "who says how people are turned: the transformers, or the second look, which corrects them",
    ] = "transformers"
    second_share: Annotated[float, "exponent of the second look's score, 0 to 1"] = 0.3
    bin_samples: Annotated[int, "points averaged in a bin of a canonical crop, a side"] = 1
    glance_size: Annotated[int, "points of the coarse look at a region, a side"] = 5
    glance_channels: Annotated[int, "channels that the coarse look reads"] = 32
    # Low, since a miss rate is read off the whole curve.
    score_threshold: Annotated[float, "people with lower scores are not detections"] = 0.01
    suppression: Annotated[
        Literal["hard", "matrix"], "of boxes that overlap: the weaker one goes, or its score falls"
    ] = "hard"
    decay: Annotated[float, "matrix suppression: how fast scores fall with overlap"] = 1.0
    nms_threshold: Annotated[float, "overlap at which of two boxes the one with the lower score goes"] = 0.5
    detections: Annotated[int, "detections of a picture, at most"] = 200
    # What tools/calibrate.py found, so no options: the score is sigmoid(score_scale logit(score) + score_shift).
    score_scale: float = 1.0
    score_shift: float = 0.0
    threshold: float = 0.5  # people are shown from this score on

    def __post_init__(self) -> None:
        for field in option_fields(Settings):
            field.refuse_unknown(getattr(self, field.name))
            values = getattr(self, field.name)
            numbers = [v for v in (values if isinstance(values, tuple) else (values,)) if not isinstance(v, str)]
            if any(not 0 <= v < math.inf or (v == 0 and field.name not in MAY_BE_ZERO) for v in numbers):
                raise InputError(f"no detector can be built with {field.name} = {values}: use numbers above 0")
        for name in ("first_stage_share", "box_share", "head_dropout", "second_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} {getattr(self, name):g} is no share: use a number from 0 to 1")
        for name in ("score_threshold", "nms_threshold"):
            if getattr(self, name) > 1:
                raise InputError(f"{name} {getattr(self, name):g} is above all scores and overlaps: use at most 1")
        for name in ("min_size", "max_size", "crop_height", "crop_width"):
            if getattr(self, name) < LEAST_SIDE:
                raise InputError(f"{name} {getattr(self, name):g} is too small: use {LEAST_SIDE} pixels or more")
        if self.fusion != "region" and self.proposals != "dense":
            raise InputError(
                f"fusion '{self.fusion}' needs proposals with scores: use proposals dense, or fusion region"
            )
        if self.backbone == "shufflenet_v2" and self.channels != 96:
            raise InputError(f"shufflenet_v2 has 96 channels a level, not {self.channels}: use channels 96")
        if not (0 < self.score_scale < math.inf and math.isfinite(self.score_shift) and 0 <= self.threshold <= 1):
            raise InputError(
                f"score_scale = {self.score_scale}, score_shift = {self.score_shift}, threshold = {self.threshold} are "
                "no calibration: use a scale above 0, a finite shift, and a threshold from 0 to 1"
            )
        if self.second_look == "canonical" and not self.tells_pose:
            raise InputError(
                "the second look is upright only where transformers are taught whole, head, torso and legs: "
                "use teach above 0, or second_look box"
            )
        if self.pose_from == "second_look" and (self.second_look == "none" or not self.tells_pose):
            raise InputError(
                "a second look corrects the pose only where there is one, of transformers that are taught whole, head, "
                "torso and legs: use teach above 0 and second_look canonical, or pose_from transformers"
            )
        if self.teach and self.transformers == 0:
            raise InputError("without transformers nobody can be taught: use teach 0")
        if self.transformers < 0 or (self.transformers and self.channels % self.transformers):
            raise InputError(
                f"{self.transformers} transformers do not share {self.channels} channels evenly: "
                "use a divisor of the channels, or 0 for none"
            )
        if self.glance_channels > self.channels:
            raise InputError(
                f"the glance reads {self.glance_channels} of {self.channels} channels: use at most all of them"
            )

    @property
    def parts(self) -> tuple[PersonPart, ...]:
        """The part of each transformer: of `priors`, from the first again where there are more transformers."""
        return tuple(islice(cycle(self.priors), self.transformers))

    @property
    def training_side(self) -> int:
        """Shortest side of a picture of 4 : 3 at inference, which training pictures are scaled about."""
        return min(resized_sides(3, 4, self.min_size, self.max_size))

    @property
    def tells_pose(self) -> bool:
        """Whether detections say how people are turned, and where their parts are: all parts are taught."""
        return self.teach > 0 and set(PERSON_PRIORS) <= set(self.parts) & set(self.taught)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Settings:
        """Settings from what `to_json` wrote.

        Raises:
            InputError: a field that this version does not know, or a value it cannot use.
        """
        known = {f.name for f in fields(cls)}
        values = {name: value for name, value in values.items() if name not in RETIRED or RETIRED[name] != value}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(f"settings hold unknown fields {', '.join(unknown)}: written by another version")
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **lists})


PRESETS = {
    # For a CPU, a small GPU, live video. No stride-4 level: it doubles the training step.
    "light": replace(
        Settings(),
        backbone="shufflenet_v2",
        channels=96,
        min_size=640,
        max_size=640,
        crop_height=480,
        crop_width=640,
        proposals="dense",
        train_proposals=200,
        test_proposals=100,
        head_width=384,
        head_samples=64,
        score_target="overlap",
        head_dropout=0.3,
        head_gradient="head",
        fusion="product",
        first_stage_share=0.9,
        box_share=0.3,
        score_threshold=0.0001,
        suppression="matrix",
    ),
    # The light one of before, for comparisons.
    "mobilenet": Settings(),
    # For the benchmarks, on a GPU: CityPersons at its own size.
    "resnet50": replace(
        Settings(),
        backbone="resnet50",
        channels=256,
        min_size=1024,
        max_size=2048,
        crop_height=640,
        crop_width=1280,
        anchor_heights=(24.0, 33.0, 46.0, 63.0, 86.0, 118.0, 162.0, 223.0, 307.0, 420.0),
        train_proposals=2000,
        test_proposals=1000,
        head_width=1024,
        head_samples=512,
    ),
}
