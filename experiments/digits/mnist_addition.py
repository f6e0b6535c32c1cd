"""MNIST addition (Jaderberg et al. 2015, appendix A.1): one spatial transformer against two in parallel.

    python experiments/digits/mnist_addition.py --download
    python experiments/digits/mnist_addition.py --collect \\
        --document docs/experiments.md --figures docs/experiments.json
    python experiments/digits/mnist_addition.py --download --quick

Two digits, each turned, scaled and placed on its own, stand in the two channels of a picture of 42 x 42; the class is
their sum. One transformer can bring one of them into a canonical pose, or both halfway; two can bring both. The
pictures are made anew for every step, the same for all networks of a seed. A finished training is kept in --output
and one that was stopped resumes.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from torch import Tensor

from upright.detector.spatial_transformer import Transformation
from upright.experiments import harness
from upright.experiments.digits import mnist
from upright.experiments.digits.distortions import ADDITION, TEST_SEED
from upright.experiments.digits.mnist import Digits
from upright.experiments.digits.networks import Network
from upright.experiments.digits.pictures import channels_and_reads
from upright.experiments.digits.trainings import BATCH, Training
from upright.tools.command import run
from upright.tools.report import table, write_block

STEPS = 16000
QUICK = {"steps": 40}
GROWTH = 0.5  # see `Training`
# Test error in percent, table 4 of the paper.
PAPER = {
    "FCN": 47.7,
    "CNN": 14.7,
    "ST-FCN Aff": 22.6,
    "2x ST-FCN Aff": 9.0,
    "2x ST-FCN Proj": 5.9,
    "2x ST-FCN TPS": 5.8,
}

# Whose weights are kept, of seed 0, to see what their transformers follow; and which of them are drawn.
KEPT = ("ST-FCN Aff", "2x ST-FCN Aff")
SHOWN = "2x ST-FCN Aff"
SHEET = "mnist_addition.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser, steps=STEPS, output="runs/mnist_addition")
    mnist.add_arguments(parser)
    harness.add_shared_arguments(parser, PAPER)
    arguments = harness.parsed(parser, "mnist_addition", QUICK)

    train, test = mnist.load_chosen(arguments)
    pictures = ADDITION.test(test)
    if not arguments.collect:
        # Seeds outside: a run that is cut short has compared all networks.
        for seed in range(arguments.seeds):
            for name in arguments.networks:
                keep_weights = seed == 0 and name in KEPT
                training(arguments, name, seed).run(train, pictures, keep_weights)

    results = collected(arguments)
    harness.require_any(arguments.output, results.values())
    lines = report(results, arguments) + followed(arguments, pictures[0])
    print("\n".join(lines))
    if arguments.document:
        lines += picture(arguments, test)
        write_block(arguments.document, "mnist_addition", lines)
    if arguments.figures:
        errors = {name: [result["error"] for result in runs] for name, runs in results.items()}
        harness.write_figures(arguments.figures, "mnist_addition", errors)


def training(arguments: argparse.Namespace, name: str, seed: int) -> Training:
    return Training(
        ADDITION, name, seed, arguments.steps, GROWTH, arguments.output, prefix="addition", device=arguments.device
    )


def collected(arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Everything that is kept for these steps: by network, one result a seed."""
    runs = {name: [training(arguments, name, seed).result() for seed in range(arguments.seeds)] for name in PAPER}
    return {name: [result for result in results if result is not None] for name, results in runs.items()}


def report(results: dict[str, list[dict[str, Any]]], arguments: argparse.Namespace) -> list[str]:
    """The table: the paper's error, then ours."""
    rows = [
        [name, str(PAPER[name]), harness.spread([result["error"] for result in runs], 2), harness.minutes(runs)]
        for name, runs in results.items()
    ]
    said = (
        f"Test error in percent, {harness.seeds(results.values())}, after {arguments.steps} steps of {BATCH} pictures, "
        "and the mean processor time of a training."
    )
    return [harness.command("--root"), "", said, "", *table(["network", "paper", "here", "processor minutes"], rows)]


def followed(arguments: argparse.Namespace, pictures: Tensor) -> list[str]:
    """The table of what transformers follow on test pictures (B, 2, 42, 42), of the networks that are kept."""
    kept = {name: training(arguments, name, 0).network() for name in KEPT}
    networks = {name: network for name, network in kept.items() if network is not None}
    if not networks:
        return []
    rows = []
    for name, network in networks.items():
        for number, (slopes, explained) in enumerate(zip(*follows(network, pictures), strict=True), start=1):
            rows.append([f"{name}, {number}", *(f"{slope:.2f}" for slope in slopes), f"{explained:.2f}"])
    said = (
        "How far the middle of what a transformer reads moves where a digit's centre of mass moves by 1: least squares "
        "over the test pictures on both digits at once, mean of x and y, seed 0; and the share of its variance that "
        "this explains. 1 is following one digit all the way."
    )
    digits_head = [f"digit {number + 1}" for number in range(ADDITION.count)]
    return ["", said, "", *table(["transformer", *digits_head, "explained"], rows)]


@torch.inference_mode()
def follows(network: Network, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """How far what N transformers read moves with the digits.

    Args:
        network: with N transformers in parallel.
        pictures: (B, C, H, W) in 0..1, a digit in each channel.

    Returns:
        (N, C): slopes of the middle of what transformer n reads over the channels' centres of mass, by least squares
            on all channels at once, mean of x and y.
        (N,): the share of the middle's variance that they explain, mean of x and y; NaN where it does not move.
    """
    height, width = pictures.shape[-2:]
    mass = pictures.sum((-2, -1))
    x = pictures.sum(-2) @ torch.linspace(-1, 1, width) / mass
    y = pictures.sum(-1) @ torch.linspace(-1, 1, height) / mass
    centres = torch.stack([x, y]) - torch.stack([x.mean(0), y.mean(0)])[:, None]  # (2, B, C)
    _, theta = network.transformer(pictures, return_theta=True)  # (B, N, P)
    transformation, origin = network.transformer.transformation, torch.zeros(1, 2)
    assert isinstance(transformation, Transformation)
    middles = torch.stack([transformation.warp(one, origin)[:, 0] for one in theta.unbind(1)])
    middles = (middles - middles.mean(1, keepdim=True)).permute(2, 1, 0)  # (2, B, N)
    slopes = torch.linalg.lstsq(centres, middles).solution  # (2, C, N)
    left = (middles - centres @ slopes).square().mean(1)
    explained = 1 - left / middles.square().mean(1)
    return slopes.mean(0).T, explained.mean(0)


def picture(arguments: argparse.Namespace, test: Digits) -> list[str]:
    """Draws what the two transformers read, beside the document; the lines that show it."""
    network = training(arguments, SHOWN, 0).network()
    if network is None:
        return []
    firsts = torch.stack([(test.labels == digit).nonzero()[0, 0] for digit in range(10)])
    chosen = torch.stack([firsts, firsts.roll(4)], dim=1)
    made, _ = ADDITION.make(test, chosen, np.random.default_rng(TEST_SEED))
    channels_and_reads(network, made, arguments.document.parent / "pictures" / SHEET)
    return ["", f"![The two channels, and what each of two transformers reads from them](pictures/{SHEET})"]


if __name__ == "__main__":
    run(main)
