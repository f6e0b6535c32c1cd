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
error: percent of the numbers of which any digit is wrong. All that is done is kept in --output, and a run that was
stopped goes on where it was. With --networks the trainings can be shared between processes (start the others when the
first one trains), with --collect the table shows all that is kept.
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
    command,
    found,
    in_turn,
    kept,
    minutes,
    parsed,
    positive,
    require_any,
    seeds,
    spread,
    write_figures,
)
from upright.experiments.house_numbers.composition import compose_split
from upright.experiments.house_numbers.digit_struct import ANNOTATIONS, LONGEST, NONE, read_splits
from upright.experiments.house_numbers.networks import (
    NETWORKS,
    build,
    build_optimizer,
    placed,
    scores_of,
    sequence_loss,
)
from upright.experiments.house_numbers.pictures import OUTLINES, crops_and_reads
from upright.experiments.house_numbers.trainings import Crops, Schedule, Training
from upright.experiments.training import parameters
from upright.tools.command import run
from upright.tools.report import table, write_block

# Sequence error in percent by the side of the crops in pixels (table 2).
PAPER = {
    64: {"CNN": 4.0, "ST single": 3.7, "ST multi": 3.6},
    128: {"CNN": 5.6, "ST single": 3.9, "ST multi": 3.9},
}
# Seed of the composed numbers of each split; trainings have seeds of their own.
SPLITS = {"train": 0, "test": 1}
# The most that a quick run does.
QUICK = {"steps": 20, "batch": 16, "width": 0.125, "train_pictures": 200, "test_pictures": 64}


def main() -> None:
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
    arguments = parsed(parser, "svhn", QUICK)

    root = arguments.root or arguments.made
    if arguments.made and not arguments.collect:
        compose_data(arguments)
    folders = {"train": [root / "train"], "test": [root / "test"]}
    if (root / "extra").is_dir():
        folders["train"].append(root / "extra")
    data = {size: [load(arguments.output, split, folders[split], size) for split in SPLITS] for size in arguments.sizes}

    # Seeds outside, networks inside: a run that is cut short has compared all of them.
    schedule = Schedule(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Schedule)})
    trainings = [
        Training(schedule, arguments.output, str(root.resolve()), name, size, seed, *data[size])
        for seed, size, name in itertools.product(range(arguments.seeds), data, NETWORKS)
    ]
    if not arguments.collect:
        for training in trainings:
            if training.name in arguments.networks:
                training.run()
    results: dict[int, dict[str, list[dict[str, Any]]]] = {size: {name: [] for name in NETWORKS} for size in data}
    for training in trainings:
        if (result := training.result()) is not None:
            results[training.size][training.name].append(result)
    require_any(arguments.output, (runs for networks in results.values() for runs in networks.values()))
    results = {size: networks for size, networks in results.items() if any(networks.values())}
    timed = {size: times(arguments, size, all(networks.values())) for size, networks in results.items()}

    lines = report(arguments, results, timed, data)
    print("\n".join(lines))
    if arguments.document:
        for size in results:
            lines += picture(arguments, [one for one in trainings if one.size == size and one.seed == 0])
        write_block(arguments.document, "svhn", lines)
    if arguments.figures:
        write_figures(arguments.figures, "svhn", figures(arguments, results, timed))


def compose_data(arguments: argparse.Namespace) -> None:
    """Compose the two splits into --made where they are not there yet in this number."""
    counts = {"train": arguments.train_pictures, "test": arguments.test_pictures}

    def work(split: str, composed: Path) -> dict[str, Any]:
        if (composed.parent / ANNOTATIONS).exists() and not composed.exists():
            raise InputError(f"{composed.parent} holds house numbers that were not composed here: pass it as --root")
        if composed.exists():
            raise InputError(f"{composed.parent} holds not {counts[split]} but others: name another --made")
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
    return kept(file, conditions, functools.partial(measure_times, arguments, size))


def measure_times(arguments: argparse.Namespace, size: int) -> dict[str, Any]:
    """Seconds of each network in float32, and each against the CNN's, of what `timing` says; medians of its rounds."""
    device = torch.device(arguments.device)
    timed = timing(arguments)
    count, rounds = timed["batch"], timed["rounds"]
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(count, 3, size, size, generator=generator).to(device)
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(NONE + 1, (count, LONGEST), generator=generator).to(device)
    models = {name: placed(build(name, size, timed["width"]), arguments.device) for name in NETWORKS}
    optimizers = {name: build_optimizer(model, arguments.learning_rate, size) for name, model in models.items()}

    def step(name: str) -> None:
        loss = sequence_loss(scores_of(models[name].train(), pictures, "float32"), labels)
        optimizers[name].zero_grad(set_to_none=True)
        loss.backward()
        optimizers[name].step()

    @torch.inference_mode()
    def infer(name: str) -> None:
        scores_of(models[name].eval(), pictures, "float32")

    result: dict[str, Any] = {}
    for what, work in (("step", step), ("inference", infer)):
        medians = in_turn({name: functools.partial(work, name) for name in NETWORKS}, rounds, device)
        result[f"{what}_seconds"] = medians
        result[f"{what}_ratio"] = {name: medians[name] / medians["CNN"] for name in NETWORKS[1:]}
    return result


def report(
    arguments: argparse.Namespace,
    results: dict[int, dict[str, list[dict[str, Any]]]],
    timed: dict[int, dict[str, Any]],
    data: dict[int, list[Crops]],
) -> list[str]:
    """The block of the document: what was trained on what, how long, the table."""
    head = ["network"]
    for size in results:
        head += [f"{size} px, paper", f"{size} px, here"]
    rows = []
    for name in NETWORKS:
        row = [name]
        for size in results:
            row += [f"{PAPER[size][name]:.1f}", spread([one["error"] for one in results[size][name]])]
        row.append(", ".join(spread([one["share_read"] for one in results[size][name]], 2) for size in results))
        for what in ("step_ratio", "inference_ratio"):
            ratios = (one.get(what) for one in timed.values())
            row.append(", ".join(f"{one.get(name, 1.0):.2f}" if one else "not run" for one in ratios))
        row.append(", ".join(minutes(results[size][name]) for size in results))
        with torch.device("meta"):
            networks = [build(name, size, arguments.width) for size in results]
        row.append(", ".join(f"{parameters(network) / 1e6:.2f}" for network in networks))
        rows.append(row)
    train, test = next(iter(data.values()))
    said = ", ".join(f"{size} px: {seeds(networks.values())}" for size, networks in results.items())
    how = timing(arguments)
    return [
        command(),
        "",
        f"Sequence error in percent ({said}) on {len(test.labels)} "
        f"{'composed house numbers' if arguments.made else 'house numbers of SVHN'} after {arguments.steps} steps of "
        f"{arguments.batch} of {len(train.labels)} others; networks of {arguments.width:g} of the paper's channels. "
        f"{train.left_out + test.left_out} numbers of no or more than {LONGEST} digits are left out. The other columns "
        "are size by size. Reads: the share of the crop's side that all transformers together leave to the last layers "
        "(1 is all of it, less is magnified). Minutes are the processor's, of a training; step and inference are times "
        f"of networks of {how['width']:g} of the paper's channels in float32, {how['batch']} "
        f"crops at once, the CNN's being 1 (medians of {how['rounds']}; paper: ST multi 6 % "
        "slower):",
        "",
        *table([*head, "reads", "step", "inference", "minutes", "parameters, millions"], rows),
    ]


def figures(
    arguments: argparse.Namespace,
    results: dict[int, dict[str, list[dict[str, Any]]]],
    timed: dict[int, dict[str, Any]],
) -> dict[str, Any]:
    """The entry of docs/experiments.json: by size errors and shares read of every seed, and ratios of times."""
    entry: dict[str, Any] = {"data": "made" if arguments.made else "svhn"}
    for size, networks in results.items():
        errors = {name: [one["error"] for one in runs] for name, runs in networks.items()}
        ratios = {what: timed[size].get(what) for what in ("step_ratio", "inference_ratio")}
        shares = {name: [one["share_read"] for one in runs] for name, runs in networks.items()}
        entry[str(size)] = errors | {"share_read": shares} | ratios
    return entry


def picture(arguments: argparse.Namespace, trainings: list[Training]) -> list[str]:
    """Draws what networks of one size read, beside the document; the lines that show it."""
    networks = {one.name: one.network() for one in trainings if one.name in OUTLINES}
    if None in networks.values():
        return []
    file = arguments.document.parent / "pictures" / f"svhn_{trainings[0].size}.png"
    crops_and_reads(networks, trainings[0].test, arguments.device, file)
    words = f"House numbers of {trainings[0].size} px and what the transformers make of them"
    return ["", f"![{words}](pictures/{file.name})"]


if __name__ == "__main__":
    run(main)
