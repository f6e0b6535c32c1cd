"""Distorted MNIST (Jaderberg et al. 2015, section 4.1 and appendix A.4): networks with and without transformers.

    python experiments/digits/distorted_mnist.py --download
    python experiments/digits/distorted_mnist.py --columns R P --networks CNN "ST-CNN Aff"
    python experiments/digits/distorted_mnist.py --collect \\
        --document docs/experiments.md --figures docs/experiments.json
    python experiments/digits/distorted_mnist.py --download --quick

Columns: R turned by up to 90 degrees; RTS turned, scaled and placed on 42 x 42; P projective; E elastic. The
distortions are made anew for every picture of every step, the same for all networks of a seed; the test set is
distorted once. A finished training is kept in --output and one that was stopped resumes, so the columns can be shared
between processes (one thread each: OMP_NUM_THREADS=1); the table shows all that is kept.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch

from upright.experiments import harness
from upright.experiments.digits import mnist
from upright.experiments.digits.distortions import DISTORTIONS, TEST_SEED
from upright.experiments.digits.mnist import Digits
from upright.experiments.digits.pictures import before_and_after, turning
from upright.experiments.digits.trainings import BATCH, Training
from upright.tools.command import run
from upright.tools.report import table, write_block

# By column, unless --steps says otherwise: where a digit may be anywhere, transformers need longest to find it.
STEPS = {"R": 5000, "RTS": 7000, "P": 1500, "E": 5000}
QUICK = {"steps": 40}
GROWTH = 0.25  # see `Training`

# Test error in percent, table 1 of the paper; columns in the order of `DISTORTIONS`.
PAPER = {
    "FCN": (2.1, 5.2, 3.1, 3.2),
    "CNN": (1.2, 0.8, 1.5, 1.4),
    "ST-FCN Aff": (1.2, 0.8, 1.5, 2.7),
    "ST-FCN Proj": (1.3, 0.9, 1.4, 2.6),
    "ST-FCN TPS": (1.1, 0.8, 1.4, 2.4),
    "ST-CNN Aff": (0.7, 0.5, 0.8, 1.2),
    "ST-CNN Proj": (0.8, 0.6, 0.8, 1.3),
    "ST-CNN TPS": (0.7, 0.5, 0.8, 1.1),
}

# Whose weights are kept, of seed 0, for the pictures.
SHOWN = {"R": "ST-CNN Aff", "RTS": "ST-CNN Aff", "P": "ST-CNN Proj", "E": "ST-CNN TPS"}
SHEET, TURNING = "distorted_mnist.png", "turning_digits.gif"
PICTURES = {
    SHEET: "Distorted digits, and what the transformer of each network reads from them",
    TURNING: "Digits that turn, and what the transformer reads from them",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser, steps=STEPS, output="runs/distorted_mnist")
    mnist.add_arguments(parser)
    parser.add_argument("--columns", nargs="+", choices=DISTORTIONS, default=list(DISTORTIONS), metavar="NAME")
    harness.add_shared_arguments(parser, PAPER)
    arguments = harness.parsed(parser, "distorted_mnist", QUICK)

    train, test = mnist.load_chosen(arguments)
    if not arguments.collect:
        tests = {column: DISTORTIONS[column].test(test) for column in arguments.columns}
        # Seeds outside: a run that is cut short has compared all networks.
        for seed in range(arguments.seeds):
            for column in arguments.columns:
                for name in arguments.networks:
                    keep_weights = seed == 0 and name == SHOWN[column]
                    training(arguments, column, name, seed).run(train, tests[column], keep_weights)

    results = collected(arguments)
    harness.require_any(arguments.output, (runs for networks in results.values() for runs in networks.values()))
    lines = report(results, arguments)
    print("\n".join(lines))
    if arguments.document:
        lines += pictures(arguments, test)
        write_block(arguments.document, "distorted_mnist", lines)
    if arguments.figures:
        errors = {c: {n: [r["error"] for r in runs] for n, runs in nets.items()} for c, nets in results.items()}
        harness.write_figures(arguments.figures, "distorted_mnist", errors)


def training(arguments: argparse.Namespace, column: str, name: str, seed: int) -> Training:
    steps = arguments.steps or STEPS[column]
    return Training(
        DISTORTIONS[column], name, seed, steps, GROWTH, arguments.output, prefix=column, device=arguments.device
    )


def collected(arguments: argparse.Namespace) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Everything that is kept for as many steps: by column and network, one result a seed."""
    results: dict[str, dict[str, list[dict[str, Any]]]] = {column: {} for column in DISTORTIONS}
    for column in DISTORTIONS:
        for name in PAPER:
            runs = [training(arguments, column, name, seed).result() for seed in range(arguments.seeds)]
            results[column][name] = [result for result in runs if result is not None]
    return results


def report(results: dict[str, dict[str, list[dict[str, Any]]]], arguments: argparse.Namespace) -> list[str]:
    """The table: the paper's error, then ours, column by column."""
    head = ["network"]
    for column in results:
        head += [f"{column}, paper", f"{column}, here"]
    rows = []
    for name, paper in PAPER.items():
        row = [name]
        for theirs, column in zip(paper, results, strict=True):
            row += [str(theirs), harness.spread([r["error"] for r in results[column][name]], 2)]
        rows.append([*row, ", ".join(harness.minutes(results[column][name]) for column in results)])
    done = [r for networks in results.values() for runs in networks.values() for r in runs]
    seeds = harness.seeds(runs for networks in results.values() for runs in networks.values())
    steps = arguments.steps or ", ".join(f"{steps} ({column})" for column, steps in STEPS.items())
    hours = sum(result["processor_seconds"] for result in done) / 3600
    said = [
        f"Test error in percent, {seeds}, after {steps} steps of {BATCH} pictures. The last column is the mean",
        f"processor time of a training in minutes, column by column; all {len(done)} trainings took {hours:.1f} hours.",
    ]
    return [harness.command("--root"), "", *said, "", *table([*head, "processor minutes"], rows)]


def pictures(arguments: argparse.Namespace, test: Digits) -> list[str]:
    """Draws what the kept networks read, beside the document; the lines that show it."""
    folder = arguments.document.parent / "pictures"
    chosen = torch.stack([(test.labels == digit).nonzero()[0] for digit in range(10)])
    shown, drawn = {}, []
    for column, name in SHOWN.items():
        network = training(arguments, column, name, 0).network()
        if network is not None:
            made, _ = DISTORTIONS[column].make(test, chosen, np.random.default_rng(TEST_SEED))
            shown[f"{column}\n{name}"] = (network, made)
            if column == "R":
                turning(network, test.pictures[chosen[:, 0]] / 255, folder / TURNING)
                drawn.append(TURNING)
    if not shown:
        return []
    before_and_after(shown, folder / SHEET)
    return ["", *[f"![{PICTURES[name]}](pictures/{name})" for name in [SHEET, *drawn]]]


if __name__ == "__main__":
    run(main)
