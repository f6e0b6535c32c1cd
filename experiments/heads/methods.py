"""The detectors that are compared: one preset, and what differs from it in the transformers and the second look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from upright.detector.model import Detector, build_detector
from upright.detector.settings import Settings
from upright.detector.weights import second_look_start
from upright.errors import InputError
from upright.experiments.heads.oracle import make_oracle

# Of all methods, before what the command line says. The shares weigh all that judges alike: those of the preset leave a
# tenth to the region head, so that no head would show.
BASE: dict[str, Any] = {"glance_size": 7, "glance_channels": 96, "first_stage_share": 0.5, "second_share": 0.5}
TEACH = 0.5
TAUGHT_RATE = 1.0  # of the learning rate, for transformers with a teacher
LATER = ("transformers", "regions", "second_look")  # what learns where the first stage is frozen


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
        words: what it is.
        settings: that differ from the preset.
        colour: in the figure.
        oracle: whether the pose is told.
    """

    words: str
    settings: dict[str, Any]
    colour: str
    oracle: bool = False

    def options(self, options: dict[str, Any]) -> dict[str, Any]:
        """Options of the training; who is taught learns at a rate of its own."""
        return options | ({"localisation_rate": TAUGHT_RATE} if self.settings.get("teach") else {})


METHODS = {
    "none": Method("no transformers (RoIAlign)", {"transformers": 0}, "#555555"),
    "untaught": Method("transformers, not taught", {}, "#9467bd"),
    "taught": Method("taught transformers", {"teach": TEACH}, "#1f77b4"),
    "box": Method("taught, second look of the plain box", {"teach": TEACH, "second_look": "box"}, "#ff7f0e"),
    "canonical": Method(
        "taught, second look of the canonical crop", {"teach": TEACH, "second_look": "canonical"}, "#2ca02c"
    ),
    "oracle": Method(
        "oracle: canonical by the true joints, both looks",
        {"teach": TEACH, "second_look": "canonical"},
        "#d62728",
        oracle=True,
    ),
}

# What a training sees: degrees that pictures are turned by, and rendered cameras rolled, at most.
KINDS = {"upright": 0.0, "turned": 180.0}


def built(method: Method, base: Settings, start: Detector, seed: int, *, taught: bool = False) -> Detector:
    """The method's detector in training mode: the first stage of `start`, everything else as `seed` says.

    A second look starts as a copy of the backbone's first stages.

    Args:
        method: of `METHODS`.
        base: what all methods have in common.
        start: a detector with the same first stage.
        seed: of the random numbers.
        taught: whether transformers with a teacher start from those of `start`, too, which was taught already.

    Raises:
        InputError: `start` does not fit.
    """
    settings = replace(base, **method.settings)
    for name in ("backbone", "channels", "proposals"):
        if getattr(settings, name) != getattr(start.settings, name):
            raise InputError(
                f"the detector to start from has {name} {getattr(start.settings, name)}, not "
                f"{getattr(settings, name)}: give --weights of the same preset"
            )
    torch.manual_seed(seed)
    model = build_detector(settings)
    model.backbone.load_state_dict(start.backbone.state_dict())
    model.rpn.load_state_dict(start.rpn.state_dict())
    parts = [model.backbone, model.rpn]
    if model.roi_heads.second_look is not None:
        model.load_state_dict(second_look_start(model, start.state_dict()), strict=False)
        parts.append(model.roi_heads.second_look)
    for part in parts:
        if callable(keep := getattr(part, "keep_learnt", None)):
            keep()
    if taught and settings.teach:
        try:
            model.pool.localisation.load_state_dict(start.pool.localisation.state_dict())
        except RuntimeError:
            raise InputError(
                "--start-taught: the transformers of the detector to start from are others: give --weights of one that "
                "was taught, and its --glance-size and --glance-channels"
            ) from None
    if method.oracle:
        make_oracle(model)
    return model


@dataclass
class Remembered:
    """A first stage's `forward` that works once for several detectors which are given the same pictures."""

    forward: Any
    given: Any = field(default=None, repr=False)
    found: Any = field(default=None, repr=False)

    def __call__(self, first: Any, *others: Any) -> Any:
        same = first is self.given
        if isinstance(first, Tensor) and isinstance(self.given, Tensor) and first.shape == self.given.shape:
            same = torch.equal(first, self.given)
        if not same:
            self.given, self.found = first, self.forward(first, *others)
        return self.found


class RememberedProposals(Remembered):
    """The same of what proposes: it is the same where the maps are."""

    def __call__(self, images: Any, maps: Any, *others: Any) -> Any:
        if maps is not self.given:
            self.given, self.found = maps, self.forward(images, maps, *others)
        return self.found


def share_first_stage(models: Sequence[Detector]) -> None:
    """Let detectors whose first stages are equal, and stay so, have one, which looks at each batch once."""
    first = models[0]
    first.backbone.forward = Remembered(first.backbone.forward)
    first.rpn.forward = RememberedProposals(first.rpn.forward)
    for model in models[1:]:
        model.backbone, model.rpn = first.backbone, first.rpn
