"""House numbers of several digits, read with and without spatial transformers (Jaderberg et al. 2015, section 4.2).

    python tools/experiments/svhn.py --root SVHN --device cuda --steps 400000 --output runs/svhn-64
    python tools/experiments/svhn.py --root SVHN --device cuda --steps 400000 --output runs/svhn-128 --size 128
    python tools/experiments/svhn.py --made runs/house_numbers --mnist ../shared/data/mnist --width 0.2 --batch 32
    python tools/experiments/svhn.py --made runs/quick/house_numbers --mnist ../shared/data/mnist --quick

--root is a folder with train/, test/ and, where it is there, extra/ of the Street View House Numbers, "format 1: full
numbers" (http://ufldl.stanford.edu/housenumbers: train.tar.gz, test.tar.gz, extra.tar.gz, unpacked). Where they cannot
be had, --made composes house numbers of handwritten and printed digits in the same format into a folder of your
choice, once, and reads them from there.

Three networks, each for several seeds on the same pictures in the same order: a CNN with five digit classifiers; with
one affine transformer before it; with four, one before each of its first four convolutions. Measured is the sequence
error: percent of the numbers of which any digit is wrong. All that is done is kept in --output, and a run that was
stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import functools
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from datasets.errors import InputError
from datasets.output import whole_file
from detector.spatial_transformer import sample
from tools.command import run
from tools.experiments import digits
from tools.experiments.composed_numbers import compose_split
from tools.experiments.harness import (
    add_arguments,
    command,
    cosine,
    fit,
    in_turn,
    kept,
    minutes,
    parsed,
    positive,
    seeds,
    spread,
    write_figures,
)
from tools.experiments.house_numbers import ANNOTATIONS, LONGEST, NONE, read_splits
from tools.experiments.number_networks import (
    NETWORKS,
    build,
    build_optimizer,
    placed,
    scores_of,
    sequence_loss,
    sequence_wrong,
)
from tools.report import table, write_block

# Sequence error in percent on crops of 64 and of 128 pixels (table 2).
PAPER = {"CNN": (4.0, 5.6), "ST single": (3.7, 3.9), "ST multi": (3.6, 3.9)}
# Seed of the composed numbers of each split; trainings have seeds of their own.
SPLITS = {"train": 0, "test": 1}
# The most that a quick run does.
QUICK = {"steps": 20, "batch": 16, "width": 0.125, "train_pictures": 200, "test_pictures": 64}
# Numbers in the picture, of how many, and the colour of what each network's first transformer reads.
SHOWN, LOOKED_AT = 8, 500
OUTLINES = {"ST single": (230, 60, 30), "ST multi": (30, 90, 230)}


@dataclass(frozen=True)
class Crops:
    """Pictures (N, size, size, 3) uint8 and the classes (N, 5) int64 of their five places."""

    pictures: np.ndarray
    labels: Tensor
    left_out: int

    def batch(self, chosen: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, size, size) float32, each of mean 0 and deviation 1, and classes (B, 5)."""
        pictures = torch.from_numpy(self.pictures[chosen]).to(device).permute(0, 3, 1, 2).float()
        deviation, mean = torch.std_mean(pictures, (1, 2, 3), keepdim=True)
        pictures = (pictures - mean) / deviation.clamp(min=1)
        return pictures, self.labels[torch.from_numpy(chosen)].to(device)


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
        "--size", type=int, choices=(64, 128), default=64, help="crops of 64 or, with more around, 128 pixels (64)"
    )
    parser.add_argument(
        "--width", type=float, default=1.0, metavar="W", help="share of the paper's channels (default 1)"
    )
    parser.add_argument("--batch", type=positive, default=128, metavar="N", help="numbers a step (default 128)")
    parser.add_argument("--learning-rate", type=float, default=0.002, metavar="R", help="at its peak (default 0.002)")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16", help="(default bfloat16)")
    add_arguments(parser, steps=5600, output="runs/svhn")
    arguments = parsed(parser, "svhn", QUICK)
    rounds, timed_width = (1, arguments.width) if arguments.quick else (9, 1.0)

    root = arguments.root or arguments.made
    if arguments.made:
        compose_data(arguments)
    folders = {"train": [root / "train"], "test": [root / "test"]}
    if (root / "extra").is_dir():
        folders["train"].append(root / "extra")
    train, test = (load(arguments.output, split, folders[split], arguments.size) for split in ("train", "test"))

    settings = ("size", "width", "steps", "batch", "learning_rate", "precision", "device")
    conditions = {name: getattr(arguments, name) for name in settings}
    conditions |= {"data": str(root.resolve()), "train": len(train.labels), "test": len(test.labels)}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in NETWORKS}
    # Seeds outside, networks inside: a run that is cut short has compared all of them.
    for seed, name in itertools.product(range(arguments.seeds), NETWORKS):
        file = result_file(arguments.output, name, seed)
        work = functools.partial(train_and_measure, arguments, name, seed, train, test, file, conditions)
        results[name].append(kept(file, conditions, work))
    timed = functools.partial(times, arguments, timed_width, rounds)
    ratios = kept(
        arguments.output / "times.json",
        {"width": timed_width, "rounds": rounds, "size": arguments.size, "device": arguments.device},
        timed,
    )

    lines = report(arguments, results, ratios, train, test)
    print("\n".join(lines))
    if arguments.document:
        picture = arguments.document.parent / "pictures" / "svhn.png"
        write_picture(arguments, test, picture)
        lines += ["", f"![House numbers and what the transformers make of them](pictures/{picture.name})"]
        write_block(arguments.document, "svhn", lines)
    if arguments.figures:
        errors = {name: [one["error"] for one in runs] for name, runs in results.items()}
        figures = {"size": arguments.size, "data": "made" if arguments.made else "svhn"} | errors
        write_figures(arguments.figures, "svhn", figures | {k: ratios[k] for k in ("step_ratio", "inference_ratio")})


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
    def handwriting() -> dict[str, digits.Digits]:
        return dict(zip(SPLITS, digits.load(arguments.mnist, arguments.download), strict=True))

    for split, seed in SPLITS.items():
        composed = arguments.made / split / "composed.json"
        kept(composed, {"count": counts[split], "seed": seed}, functools.partial(work, split, composed))


def load(output: Path, name: str, folders: list[Path], size: int) -> Crops:
    """The crops of some splits, decoded once and kept in `output`."""
    crops, file = output / f"{name}-{size}.npy", output / f"{name}-{size}.json"
    if not crops.exists():
        file.unlink(missing_ok=True)
    annotations = [folder / ANNOTATIONS for folder in folders]
    made = [one.stat().st_mtime_ns if one.exists() else 0 for one in annotations]
    conditions = {"annotations": [str(one.resolve()) for one in annotations], "made": made, "size": size}
    found = kept(file, conditions, lambda: read_splits(folders, size, crops))
    return Crops(np.load(crops, mmap_mode="r"), torch.tensor(found["labels"]), found["left_out"])


def train_and_measure(
    arguments: argparse.Namespace,
    name: str,
    seed: int,
    train: Crops,
    test: Crops,
    file: Path,
    conditions: dict[str, Any],
) -> dict[str, Any]:
    """Train a network to its last step; its weights are kept beside `file`."""
    device = torch.device(arguments.device)
    torch.manual_seed(seed)
    model = placed(build(name, arguments.size, arguments.width), arguments.device)
    optimizer = build_optimizer(model, arguments.learning_rate)

    def loss(step: int) -> Tensor:
        chosen = np.random.default_rng([seed, step]).integers(0, len(train.labels), arguments.batch)
        pictures, labels = train.batch(chosen, device)
        return sequence_loss(scores_of(model, pictures, arguments.precision), labels)

    spent = fit(
        model,
        loss,
        optimizer,
        arguments.steps,
        rate=lambda step: cosine(step, arguments.steps, warmup=min(50, arguments.steps // 10)),
        checkpoint=file.with_suffix(".checkpoint.pt"),
        conditions=conditions,
        words=f"{name}, seed {seed}",
    )
    error = measure(model.eval(), test, arguments)
    with whole_file(file.with_suffix(".pt")) as temporary:
        torch.save(model.state_dict(), temporary)
    return {"error": error} | spent


@torch.inference_mode()
def measure(model: nn.Module, test: Crops, arguments: argparse.Namespace) -> float:
    """Sequence error in percent."""
    wrong = 0
    for chosen in np.array_split(np.arange(len(test.labels)), -(-len(test.labels) // 200)):
        pictures, labels = test.batch(chosen, torch.device(arguments.device))
        wrong += int(sequence_wrong(scores_of(model, pictures, arguments.precision), labels).sum())
    return 100 * wrong / len(test.labels)


def result_file(output: Path, name: str, seed: int) -> Path:
    return output / f"{name.replace(' ', '-')}-{seed}.json"


def times(arguments: argparse.Namespace, width: float, rounds: int) -> dict[str, Any]:
    """How long a training step and an inference take, each network's against the CNN's.

    In float32, as the paper's; medians of `rounds` rounds.
    """
    device = torch.device(arguments.device)
    count = 16 if device.type == "cpu" else 128
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(count, 3, arguments.size, arguments.size, generator=generator).to(device)
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(NONE + 1, (count, LONGEST), generator=generator).to(device)
    models = {name: placed(build(name, arguments.size, width), arguments.device) for name in NETWORKS}
    optimizers = {name: build_optimizer(model, arguments.learning_rate) for name, model in models.items()}

    def step(name: str) -> None:
        loss = sequence_loss(scores_of(models[name].train(), pictures, "float32"), labels)
        optimizers[name].zero_grad(set_to_none=True)
        loss.backward()
        optimizers[name].step()

    @torch.inference_mode()
    def infer(name: str) -> None:
        scores_of(models[name].eval(), pictures, "float32")

    result: dict[str, Any] = {"batch": count}
    for what, work in (("step", step), ("inference", infer)):
        medians = in_turn({name: functools.partial(work, name) for name in NETWORKS}, rounds, device)
        result[f"{what}_seconds"] = medians
        result[f"{what}_ratio"] = {name: medians[name] / medians["CNN"] for name in NETWORKS[1:]}
    return result


def report(
    arguments: argparse.Namespace,
    results: dict[str, list[dict[str, Any]]],
    ratios: dict[str, Any],
    train: Crops,
    test: Crops,
) -> list[str]:
    """The block of the document: what was trained on what, how long, the table."""
    head = ["network", "paper, 64 px", "paper, 128 px", f"ours, {arguments.size} px", "step", "inference", "minutes"]
    head += ["parameters, millions"]
    rows = []
    for name, runs in results.items():
        ours = spread([one["error"] for one in runs])
        relative = [f"{ratios[what].get(name, 1.0):.2f}" for what in ("step_ratio", "inference_ratio")]
        parameters = sum(p.numel() for p in build(name, arguments.size, arguments.width).parameters()) / 1e6
        paper = (f"{error:.1f}" for error in PAPER[name])
        rows.append([name, *paper, ours, *relative, minutes(runs), f"{parameters:.2f}"])
    data = "composed house numbers" if arguments.made else "house numbers of SVHN"
    return [
        command(),
        "",
        f"Sequence error in percent, {seeds(results.values())}, on {len(test.labels)} "
        f"{data} after {arguments.steps} steps of {arguments.batch} of {len(train.labels)} others; networks of "
        f"{arguments.width:g} of the paper's channels. {train.left_out + test.left_out} numbers of no or more than "
        f"{LONGEST} digits are left out. Minutes are the processor's, of a training; step and inference are times of "
        f"networks of {ratios['conditions']['width']:g} of the paper's channels in float32, {ratios['batch']} crops at "
        f"once, the CNN's being 1 (medians of {ratios['conditions']['rounds']}; paper: ST multi 6 % slower):",
        "",
        *table(head, rows),
    ]


@torch.inference_mode()
def write_picture(arguments: argparse.Namespace, test: Crops, file: Path) -> None:
    """Draw the test numbers that ST single changes most, and what each first transformer makes of them."""
    device = torch.device(arguments.device)
    some = np.arange(min(LOOKED_AT, len(test.labels)))
    transformers, thetas = {}, {}
    for name in OUTLINES:
        model = placed(build(name, arguments.size, arguments.width), arguments.device).eval()
        weights = result_file(arguments.output, name, 0).with_suffix(".pt")
        if not weights.exists():
            raise InputError(f"{weights} is missing: delete the .json beside it, so that the network is trained again")
        model.load_state_dict(torch.load(weights, map_location=device, weights_only=True))
        transformers[name] = model[0]
        thetas[name] = model[0].localisation(test.batch(some, device)[0])
    identity = transformers["ST single"].transformation.identity().to(device)
    chosen = (thetas["ST single"] - identity).norm(dim=1).argsort(descending=True)[:SHOWN].cpu()
    shown = torch.from_numpy(test.pictures[chosen.numpy()]).to(device).permute(0, 3, 1, 2).float()
    corners = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]], device=device)
    crops = enlarged(shown)
    rows = {"crop": crops}
    for name, colour in OUTLINES.items():
        theta = thetas[name][chosen]
        rows[name] = enlarged(sample(shown, transformers[name].grid(shown, theta)))
        outlines = (transformers[name].transformation.warp(theta, corners) + 1) * arguments.size
        for crop, outline in zip(crops, outlines.round().int().cpu().numpy(), strict=True):
            cv2.polylines(crop, [outline], True, colour, 2, cv2.LINE_AA)
    lines = []
    for name, cells in rows.items():
        line = np.hstack([np.pad(cell, ((2, 2), (2, 2), (0, 0)), constant_values=255) for cell in cells])
        title = np.full((len(line), 110, 3), 255, np.uint8)
        position = (4, len(line) // 2 + 6)
        cv2.putText(title, name, position, cv2.FONT_HERSHEY_SIMPLEX, 0.6, OUTLINES.get(name, (0, 0, 0)), 1, cv2.LINE_AA)
        lines.append(np.hstack([title, line]))
    with whole_file(file) as temporary:
        cv2.imwrite(str(temporary), cv2.cvtColor(np.vstack(lines), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])


def enlarged(pictures: Tensor) -> list[np.ndarray]:
    """Pictures (B, 3, S, S) of 0 to 255 as uint8 (2 S, 2 S, 3) each."""
    arrays = pictures.round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [cv2.resize(array, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST) for array in arrays]


if __name__ == "__main__":
    run(main)
