"""House numbers of several digits, read with and without spatial transformers (Jaderberg et al. 2015, section 4.2).

    python experiments/house_numbers/svhn.py --root SVHN --sizes 64 128 --device cuda --steps 400000
    python experiments/house_numbers/svhn.py --made runs/house_numbers --download --width 0.2 --batch 32
    python experiments/house_numbers/svhn.py --made runs/quick/house_numbers --download --quick

--root is a folder with train/, test/ and, where it is there, extra/ of the Street View House Numbers, "format 1: full
numbers" (http://ufldl.stanford.edu/housenumbers: train.tar.gz, test.tar.gz, extra.tar.gz, unpacked). Where they cannot
be had, --made composes house numbers of handwritten digits (MNIST's, from --mnist) and printed ones in the same format
into a folder of your choice, once, and reads them from there.

Three networks, each for several seeds on the same pictures in the same order: a CNN with five digit classifiers; with
one affine transformer before it; with four, one before each of its first four convolutions. Measured is the sequence
error: percent of the numbers of which any digit is wrong. What is finished is kept in --output, and a run that was
stopped resumes. With --networks the trainings can be shared between processes (start the others when the first one
trains), with --collect the table shows all that is kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import torch

from upright.errors import InputError
from upright.experiments.digits import mnist
from upright.experiments.harness import (
    add_arguments,
    add_shared_arguments,
    kept,
    parsed,
    positive,
    require_any,
    write_figures,
)
from upright.experiments.house_numbers.composition import compose_split
from upright.experiments.house_numbers.crops import Crops, read_splits
from upright.experiments.house_numbers.digit_struct import ANNOTATIONS
from upright.experiments.house_numbers.networks import NETWORKS
from upright.experiments.house_numbers.pictures import OUTLINES, crops_and_reads
from upright.experiments.house_numbers.report import PAPER, Results, figures, report
from upright.experiments.house_numbers.times import times
from upright.experiments.house_numbers.trainings import Schedule, Training
from upright.tools.command import run
from upright.tools.report import write_block

# Seed of the composed numbers of each split; trainings have seeds of their own.
SPLITS = {"train": 0, "test": 1}
# The most that a quick run does.
QUICK = {"steps": 20, "batch": 16, "width": 0.125, "train_pictures": 200, "test_pictures": 64}


def main() -> None:
    arguments = parsed(build_parser(), "svhn", QUICK)
    if arguments.made and not arguments.collect:
        compose_data(arguments)
    trainings, data = planned(arguments)
    if not arguments.collect:
        for training in trainings:
            if training.name in arguments.networks:
                training.run()
    results = collected(arguments.output, trainings)
    timed = {size: times(arguments, size, all(networks.values())) for size, networks in results.items()}

    lines = report(arguments, results, timed, data)
    print("\n".join(lines))
    if arguments.document:
        for size in results:
            lines += picture(arguments, [one for one in trainings if one.size == size and one.seed == 0])
        write_block(arguments.document, "svhn", lines)
    if arguments.figures:
        write_figures(arguments.figures, "svhn", figures(arguments, results, timed))


def planned(arguments: argparse.Namespace) -> tuple[list[Training], dict[int, list[Crops]]]:
    """All trainings, and the crops to train and to test on by their side in pixels."""
    root = arguments.root or arguments.made
    folders = {"train": [root / "train"], "test": [root / "test"]}
    if (root / "extra").is_dir():
        folders["train"].append(root / "extra")
    data = {size: [load(arguments.output, split, folders[split], size) for split in SPLITS] for size in arguments.sizes}
    schedule = Schedule(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Schedule)})
    # Seeds outside, networks inside: a run that is cut short has compared all of them.
    trainings = [
        Training(schedule, arguments.output, str(root.resolve()), name, size, seed, *data[size])
        for seed, size, name in itertools.product(range(arguments.seeds), data, NETWORKS)
    ]
    return trainings, data


def collected(output: Path, trainings: list[Training]) -> Results:
    """What is kept of trainings, by size and network, of the sizes of which there is anything.

    Raises:
        InputError: nothing is kept.
    """
    results: Results = {training.size: {name: [] for name in NETWORKS} for training in trainings}
    for training in trainings:
        if (result := training.result()) is not None:
            results[training.size][training.name].append(result)
    require_any(output, (runs for networks in results.values() for runs in networks.values()))
    return {size: networks for size, networks in results.items() if any(networks.values())}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--root", type=Path, metavar="DIR", help="SVHN's full numbers: train/, test/, perhaps extra/")
    source.add_argument("--made", type=Path, metavar="DIR", help="compose house numbers into this folder, read those")
    parser.add_argument("--mnist", type=Path, default=Path("data"), metavar="DIR", help="MNIST's root, for --made")
    parser.add_argument("--download", action="store_true", help="download MNIST to --mnist first")
    parser.add_argument(
        "--train-pictures", type=positive, default=24000, metavar="N", help="to compose (default 24000)"
    )
    parser.add_argument("--test-pictures", type=positive, default=3000, metavar="N", help="to compose (default 3000)")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        choices=PAPER,
        default=[64],
        metavar="N",
        help="crops of 64 and, with more around and four times the work, 128 pixels (default 64)",
    )
    parser.add_argument(
        "--width", type=float, default=1.0, metavar="W", help="share of the paper's channels (default 1)"
    )
    parser.add_argument("--batch", type=positive, default=128, metavar="N", help="numbers a step (default 128)")
    parser.add_argument("--learning-rate", type=float, default=0.002, metavar="R", help="at its peak (default 0.002)")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16", help="(default bfloat16)")
    add_arguments(parser, steps=5600, output="runs/svhn")
    add_shared_arguments(parser, NETWORKS)
    return parser


def compose_data(arguments: argparse.Namespace) -> None:
    """Compose the two splits into --made where they are not there yet in this number."""
    counts = {"train": arguments.train_pictures, "test": arguments.test_pictures}

    def work(split: str, composed: Path) -> dict[str, Any]:
        if (composed.parent / ANNOTATIONS).exists() and not composed.exists():
            raise InputError(f"{composed.parent} holds house numbers that were not composed here: pass it as --root")
        if composed.exists():
            raise InputError(f"{composed.parent} does not hold {counts[split]} house numbers: name another --made")
        compose_split(composed.parent, counts[split], handwriting()[split], seed)
        return {}

    @functools.cache
    def handwriting() -> dict[str, mnist.Digits]:
        return dict(zip(SPLITS, mnist.load(arguments.mnist, arguments.download), strict=True))

    for split, seed in SPLITS.items():
        composed = arguments.made / split / "composed.json"
        kept(composed, {"count": counts[split], "seed": seed}, functools.partial(work, split, composed))


def load(output: Path, name: str, folders: list[Path], size: int) -> Crops:
    """The crops of some splits, decoded once and kept in `output`."""
    crops, file = output / f"{name}-{size}.npy", output / f"{name}-{size}.json"
    if not crops.exists():
        file.unlink(missing_ok=True)
    annotations = [folder / ANNOTATIONS for folder in folders]
    written = [one.stat().st_mtime_ns if one.exists() else 0 for one in annotations]
    conditions = {"annotations": [str(one.resolve()) for one in annotations], "made": written, "size": size}
    made = kept(file, conditions, lambda: read_splits(folders, size, crops))
    return Crops(np.load(crops, mmap_mode="r"), torch.tensor(made["labels"]), made["left_out"])


def picture(arguments: argparse.Namespace, trainings: list[Training]) -> list[str]:
    """Draws what networks of one size read, beside the document; the lines that show it."""
    drawn = {one.name: one.network() for one in trainings if one.name in OUTLINES}
    networks = {name: network for name, network in drawn.items() if network is not None}
    if len(networks) < len(drawn):
        return []
    file = arguments.document.parent / "pictures" / f"svhn_{trainings[0].size}.png"
    crops_and_reads(networks, trainings[0].test, arguments.device, file)
    words = f"House numbers of {trainings[0].size} px and what the transformers make of them"
    return ["", f"![{words}](pictures/{file.name})"]


if __name__ == "__main__":
    run(main)
