"""How long a training step and an inference of the networks that read house numbers take, against the CNN's."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import torch

from upright.experiments.harness import found, kept, step_and_inference
from upright.experiments.house_numbers.crops import LONGEST, NONE
from upright.experiments.house_numbers.networks import (
    NETWORKS,
    build,
    build_optimizer,
    placed,
    scores_of,
    sequence_loss,
)


def timing(arguments: argparse.Namespace) -> dict[str, Any]:
    """What is timed: networks of which share of the paper's channels, how often, how many crops at once."""
    batch = 16 if torch.device(arguments.device).type == "cpu" else 128
    return {
        "width": arguments.width if arguments.quick else 1.0,
        "rounds": 1 if arguments.quick else 9,
        "batch": batch,
        "device": arguments.device,
    }


def times(arguments: argparse.Namespace, size: int, complete: bool) -> dict[str, Any]:
    """How long a training step and an inference take, kept in --output: see `measure_times`.

    Measured when all trainings of the size are done, as others that share them may still be at work; empty before.
    """
    file, conditions = arguments.output / f"times-{size}.json", timing(arguments) | {"size": size}
    if arguments.collect or not complete:
        return found(file, conditions) or {}
    return kept(file, conditions, partial(measure_times, arguments, size))


def measure_times(arguments: argparse.Namespace, size: int) -> dict[str, Any]:
    """Seconds of each network in float32, and each against the CNN's, of what `timing` says; medians of its rounds."""
    device = torch.device(arguments.device)
    timed = timing(arguments)
    count = timed["batch"]
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(count, 3, size, size, generator=generator).to(device)
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(NONE + 1, (count, LONGEST), generator=generator).to(device)
    models = {name: placed(build(name, size, timed["width"]), arguments.device) for name in NETWORKS}
    seconds = step_and_inference(
        models,
        {name: build_optimizer(model, arguments.learning_rate, size) for name, model in models.items()},
        lambda model: sequence_loss(scores_of(model, pictures, "float32"), labels),
        lambda model: scores_of(model, pictures, "float32"),
        timed["rounds"],
        device,
    )
    result: dict[str, Any] = {}
    for what, medians in seconds.items():
        result[f"{what}_seconds"] = medians
        result[f"{what}_ratio"] = {name: medians[name] / medians["CNN"] for name in NETWORKS[1:]}
    return result
