"""Distorted MNIST (Jaderberg et al. 2015, section 4.1 and appendix A.4): networks with and without transformers.

    python tools/experiments/distorted_mnist.py --root ../shared/data/mnist
    python tools/experiments/distorted_mnist.py --root ../shared/data/mnist --columns R P --networks CNN "ST-CNN Aff"
    python tools/experiments/distorted_mnist.py --root ../shared/data/mnist --collect \\
        --document docs/experiments.md --figures docs/experiments.json
    python tools/experiments/distorted_mnist.py --download --output runs/quick --quick

Columns: R turned by up to 90 degrees; RTS turned, scaled and placed on 42 x 42; P projective; E elastic. The
distortions are made anew for every picture of every step, the same for all networks of a seed; the test set is
distorted once. Every training that is done is kept in --output and one that was stopped goes on where it was, so the
columns can be shared between processes (one thread each: OMP_NUM_THREADS=1); the table shows all that is kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datasets.output import whole_file
from tools.command import run
from tools.experiments import digits, harness
from tools.experiments.digit_networks import build, error, parameters, train
from tools.experiments.digit_pictures import before_and_after, turning
from tools.experiments.digits import DISTORTIONS, Digits
from tools.report import table, write_block

BATCH = 64
STEPS = 2000
# A step of the fully connected networks takes a tenth of the time.
FCN_STEPS = 3

# The share of a training in which the distortions grow from nothing to the paper's. From the full distortion on, the
# classifier learns to do without the transformer before that has learnt to undo anything: in so few steps it stays
# at a shear, whereas it follows distortions that grow.
GROWTH = 0.25

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

# Whose weights are kept, for the pictures.
SHOWN = {"R": "ST-CNN Aff", "RTS": "ST-CNN Aff", "P": "ST-CNN Proj", "E": "ST-CNN TPS"}

# Of the distortions of the test set; those of a training are seeded with its seed and the step.
TEST_SEED = 2015


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser, steps=STEPS, output="runs/distorted_mnist")
    digits.add_arguments(parser)
    parser.add_argument("--columns", nargs="+", choices=DISTORTIONS, default=list(DISTORTIONS), metavar="NAME")
    parser.add_argument("--networks", nargs="+", choices=PAPER, default=list(PAPER), metavar="NAME")
    parser.add_argument("--collect", action="store_true", help="train nothing, write what is kept")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.steps, arguments.seeds = min(arguments.steps, 40), 1
        arguments.output /= "quick"

    sets = digits.load(arguments.root, arguments.download)
    arguments.output.mkdir(parents=True, exist_ok=True)
    if not arguments.collect:
        distorted = {column: on_device(test_set(column, sets[1]), arguments.device) for column in arguments.columns}
        # Seeds outside: a run that is cut short has compared all networks.
        for seed in range(arguments.seeds):
            for column in arguments.columns:
                for name in arguments.networks:
                    result(arguments, column, name, seed, sets[0], distorted[column])

    results = collected(arguments)
    lines = report(results, arguments)
    if arguments.document:
        lines += pictures(arguments, sets[1])
        write_block(arguments.document, "distorted_mnist", lines)
    if arguments.figures:
        errors = {c: {n: [r["error"] for r in runs] for n, runs in nets.items()} for c, nets in results.items()}
        harness.write_figures(arguments.figures, "distorted_mnist", errors)
    print("\n".join(lines))


def test_set(column: str, test: Digits) -> tuple[Tensor, Tensor]:
    """All pictures of the test set (N, 1, H, W), distorted, always alike, and their digits (N,)."""
    distort, _ = DISTORTIONS[column]
    return distort(test.pictures / 255, np.random.default_rng(TEST_SEED)), test.labels


def on_device(tensors: tuple[Tensor, Tensor], device: str) -> tuple[Tensor, Tensor]:
    return tensors[0].to(device), tensors[1].to(device)


def kept_file(output: Path, column: str, name: str, seed: int, ending: str = "json") -> Path:
    return output / f"{column}-{name.replace(' ', '-')}-{seed}.{ending}"


def conditions(arguments: argparse.Namespace, name: str) -> dict[str, int]:
    return {"steps": arguments.steps * (FCN_STEPS if "FCN" in name else 1), "batch": BATCH}


def result(
    arguments: argparse.Namespace, column: str, name: str, seed: int, digits: Digits, test: tuple[Tensor, Tensor]
) -> dict[str, Any]:
    """Test error in percent, parameters and seconds of one training."""
    settings = conditions(arguments, name)
    distort, side = DISTORTIONS[column]

    def batch(step: int) -> tuple[Tensor, Tensor]:
        draw = np.random.default_rng([seed, step])
        chosen = torch.from_numpy(draw.integers(0, len(digits.labels), BATCH))
        strength = min(1.0, step / (GROWTH * settings["steps"]))
        made = distort(digits.pictures[chosen] / 255, draw, strength)
        return on_device((made, digits.labels[chosen]), arguments.device)

    def work() -> dict[str, Any]:
        torch.manual_seed(seed)
        network = build(name, (1, side, side), 10).to(arguments.device)
        checkpoint = kept_file(arguments.output, column, name, seed, "checkpoint.pt")
        seconds = train(network, batch, settings["steps"], checkpoint=checkpoint, words=f"{column} {name} {seed}")
        if name == SHOWN[column] and seed == 0:
            with whole_file(kept_file(arguments.output, column, name, seed, "pt")) as temporary:
                torch.save(network.state_dict(), temporary)
        return {"error": error(network, *test), "parameters": parameters(network), "seconds": seconds}

    return harness.kept(kept_file(arguments.output, column, name, seed), settings, work)


def collected(arguments: argparse.Namespace) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Everything that is kept under the conditions of these arguments: column, network, one a seed."""
    results: dict[str, dict[str, list[dict[str, Any]]]] = {column: {} for column in DISTORTIONS}
    for column in DISTORTIONS:
        for name in PAPER:
            files = [kept_file(arguments.output, column, name, seed) for seed in range(arguments.seeds)]
            runs = [json.loads(file.read_text()) for file in files if file.exists()]
            results[column][name] = [r for r in runs if r["conditions"] == conditions(arguments, name)]
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
            row += [str(theirs), spread([r["error"] for r in results[column][name]])]
        rows.append([*row, minutes([r for column in results for r in results[column][name]])])
    done = [r for networks in results.values() for runs in networks.values() for r in runs]
    steps = f"{arguments.steps} steps ({FCN_STEPS * arguments.steps} for FCN and ST-FCN) of {BATCH} pictures"
    said = [
        f"Test error in percent: mean of {arguments.seeds} seeds (smallest to largest); {steps}; the last column is",
        f"the mean minutes of a training. All {len(done)} trainings: {sum(r['seconds'] for r in done) / 3600:.1f} h.",
    ]
    return [*said, "", *table([*head, "minutes"], rows)]


def spread(values: list[float]) -> str:
    """Mean of the seeds, smallest to largest."""
    if not values:
        return "not run"
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def minutes(runs: list[dict[str, Any]]) -> str:
    return f"{np.mean([r['seconds'] for r in runs]) / 60:.1f}" if runs else "not run"


def pictures(arguments: argparse.Namespace, test: Digits) -> list[str]:
    """Draws what the kept networks read, beside the document; the lines that show it."""
    folder = arguments.document.parent / "pictures"
    first = torch.stack([(test.labels == digit).nonzero()[3, 0] for digit in range(10)])
    shown = {}
    for column, name in SHOWN.items():
        weights = kept_file(arguments.output, column, name, 0, "pt")
        if weights.exists():
            distort, side = DISTORTIONS[column]
            network = build(name, (1, side, side), 10)
            network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
            draw = np.random.default_rng(TEST_SEED)
            shown[f"{column}\n{name}"] = (network.eval(), distort(test.pictures[first] / 255, draw))
            if column == "R":
                turning(network, test.pictures[first] / 255, folder / "turning_digits.gif")
    if not shown:
        return []
    before_and_after(shown, folder / "distorted_mnist.png")
    names = ["distorted_mnist.png", "turning_digits.gif"]
    return ["", *[f"![{name}](pictures/{name})" for name in names if (folder / name).exists()]]


if __name__ == "__main__":
    run(main)
