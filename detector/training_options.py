"""The options of a training; what decides the weights apart from what does not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from upright.detector.option_fields import option_fields
from upright.errors import InputError

LARGEST_SEED = 2**62  # torch takes 64 bits, and processes count up from it
LEARNING_RATES = {"sgd": 0.01, "adamw": 5e-4}


@dataclass(frozen=True)
class TrainingOptions:
    """What decides the weights that a training ends with, besides model and pictures.

    Raises:
        InputError: a number out of its range, or an unknown name.
    """

    steps: int
    batch_size: Annotated[int, "pictures a step, of all processes together"] = 8
    optimizer: Annotated[Literal["sgd", "adamw"], "how gradients become steps"] = "adamw"
    learning_rate: Annotated[float, "at its highest; 0.01 where the optimizer is sgd"] = LEARNING_RATES["adamw"]
    weight_decay: Annotated[float, "not on biases"] = 0.01
    warmup_steps: Annotated[int, "steps in which the learning rate rises to its highest"] = 100
    final_rate: Annotated[float, "share of the learning rate at the end of the cosine"] = 0.01
    # What they have learnt already is to be kept.
    backbone_rate: Annotated[float, "share of the learning rate for what starts from published weights"] = 0.2
    # Theta moves every sample of a region at once.
    localisation_rate: Annotated[float, "share of the learning rate for the localisation network"] = 0.2
    learn: Annotated[
        tuple[Literal["all", "backbone", "proposals", "transformers", "regions", "second_look"], ...],
        "parts that learn; the others stay as they are",
    ] = ("all",)
    clip_norm: Annotated[float, "norm that the gradient is cut to"] = 10.0
    ema_decay: Annotated[float, "of the moving average of the weights that is kept and validated; 0: none"] = 0.998
    precision: Annotated[Literal["float32", "bfloat16", "float16"], "type that the network computes in"] = "float32"
    seed: Annotated[int, "of weights, order and augmentation"] = 0

    def __post_init__(self) -> None:
        for field in option_fields(TrainingOptions):
            field.refuse_unknown(getattr(self, field.name))
        positive = ("steps", "batch_size", "learning_rate", "clip_norm")
        rates = ("final_rate", "backbone_rate", "localisation_rate")
        refuse_numbers(self, positive, (*rates, "weight_decay", "warmup_steps", "ema_decay", "seed"))
        if self.ema_decay >= 1:
            raise InputError(f"--ema-decay {self.ema_decay:g} never learns: use a number below 1")
        if self.seed > LARGEST_SEED:
            raise InputError(f"--seed {self.seed} is out of range: use a number up to {LARGEST_SEED}")

    @classmethod
    def chosen(cls, steps: int, given: dict[str, Any]) -> Self:
        """Options of these values; the learning rate follows the optimizer where it is not among them."""
        options = cls(steps, **given)
        return cls(steps, **{"learning_rate": LEARNING_RATES[options.optimizer], **given})


@dataclass(frozen=True)
class TrainingPace:
    """How a training is run; none of it changes the weights.

    Raises:
        InputError: a number out of its range.
    """

    device: str = "cpu"
    validate_every: int = 0  # steps; 0: at the end alone
    workers: Annotated[int, "processes that load pictures; 0: the training's own"] = 1
    log_every: Annotated[int, "steps from one line of the log to the next"] = 20
    checkpoint_minutes: Annotated[float, "minutes from one checkpoint to the next, at most"] = 5.0

    def __post_init__(self) -> None:
        refuse_numbers(self, ("log_every",), ("workers", "checkpoint_minutes", "validate_every"))


def refuse_numbers(options: object, positive: tuple[str, ...], others: tuple[str, ...]) -> None:
    """Check the fields named `positive` to be above 0, the others not to be below, and all to be finite.

    Raises:
        InputError: one is not.
    """
    for names, least, allowed in ((positive, "above 0", lambda v: v > 0), (others, "from 0 on", lambda v: v >= 0)):
        for name in names:
            value = getattr(options, name)
            if not (allowed(value) and math.isfinite(value)):
                raise InputError(f"--{name.replace('_', '-')} {value:g} is out of range: use a number {least}")
