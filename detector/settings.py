"""The settings of a detector and its presets. They travel as JSON inside every weights file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from upright.errors import InputError

# What the fields that hold names can be.
NAMES = {
    "backbone": ("mobilenet_v2", "resnet50"),
    "transformation": ("attention", "affine", "projective", "thin_plate_spline"),
    "read": ("pyramid", "picture"),
    "priors": ("whole", "head", "torso", "legs"),
}


@dataclass(frozen=True)
class Settings:
    """What a detector is built from; `upright.detector.model.build_detector` reads it and nothing else.

    Lengths are pixels of the resized picture.
    """

    backbone: str = "mobilenet_v2"
    channels: int = 128  # of every level of the pyramid
    min_size: int = 480  # shortest side at inference
    max_size: int = 864  # longest side at inference, the limit that wins
    crop_height: int = 416  # of landscape training pictures, scaled about min_size; portrait ones turn it
    crop_width: int = 544
    anchor_heights: tuple[float, ...] = (24.0, 35.0, 52.0, 76.0, 112.0, 165.0, 243.0, 360.0)  # two a level
    anchor_aspects: tuple[float, ...] = (2.44, 1.2)  # height over width: upright (1 / 0.41); sitting, cycling
    train_proposals: int = 600  # kept after non-maximum suppression, a picture
    test_proposals: int = 300
    head_width: int = 256  # of both layers of the region head
    head_samples: int = 128  # regions a picture that the head learns from
    pool_size: int = 7  # bins of a canonical crop, a side
    transformers: int = 4  # 0: torchvision's MultiScaleRoIAlign
    transformation: str = "affine"
    priors: tuple[str, ...] = ("whole", "head", "torso", "legs")  # where each transformer starts, in turn
    read: str = "pyramid"  # or "picture": small crops of the picture itself join those of the pyramid
    bin_samples: int = 1  # of a canonical crop, a side, averaged
    glance_size: int = 5  # samples of the coarse look, a side
    glance_channels: int = 32
    score_threshold: float = 0.01  # low, since a miss rate is read off the whole curve
    nms_threshold: float = 0.5
    detections: int = 200  # a picture, at most

    def __post_init__(self) -> None:
        for field in fields(self):
            values = getattr(self, field.name)
            numbers = [v for v in (values if isinstance(values, tuple) else (values,)) if not isinstance(v, str)]
            if field.name != "transformers" and any(not v > 0 for v in numbers):
                raise InputError(f"{field.name} = {values} builds no detector: use numbers above 0")
        for name, known in NAMES.items():
            value = getattr(self, name)
            unknown = sorted(set(value if isinstance(value, tuple) else (value,)) - set(known))
            if unknown or not value:
                raise InputError(f"{name} '{' '.join(unknown)}' is not known: use {', '.join(known)}")
        if self.read == "picture" and self.transformers == 0:
            raise InputError("without transformers there are no canonical crops of the picture: use read 'pyramid'")
        if self.transformers < 0 or (self.transformers and self.channels % self.transformers):
            raise InputError(
                f"{self.transformers} transformers do not share {self.channels} channels evenly: "
                "use a divisor of the channels, or 0 for none"
            )
        if self.glance_channels > self.channels:
            raise InputError(
                f"the glance reads {self.glance_channels} of {self.channels} channels: use at most all of them"
            )

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Settings:
        """Settings from what `to_json` wrote.

        Raises:
            InputError: a field that this version does not know, or a value it cannot use.
        """
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(f"settings hold unknown fields {', '.join(unknown)}: written by another version")
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **lists})


PRESETS = {
    # For a CPU, a small GPU, live video. No stride-4 level: it doubles the training step.
    "light": Settings(),
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
