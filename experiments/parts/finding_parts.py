"""Parallel spatial transformers that find parts (Jaderberg et al. 2015, section 4.3), on birds or on pedestrians.

    python experiments/parts/finding_parts.py --made runs/parts/pedestrians \\
        --document docs/experiments.md --figures docs/experiments.json
    python experiments/parts/finding_parts.py --root DIR --size 448 --steps 20000 --device cuda --output runs/birds
    python experiments/parts/finding_parts.py --made runs/quick/pedestrians --quick

--root reads CUB-200-2011 as distributed (DIR holds CUB_200_2011/, see birds.py). --made writes synthetic pedestrians in
the same layout first, whose class is what they wear and carry (see posed_pedestrians.py), and reads those.

Five networks are trained on the same pictures in the same order: a CNN that sees the whole picture, and 2 and 4 windows
of half its side, in their full resolution, that move (x ST) or stay where they start (fixed). Finished trainings
are kept in --output, and a run that was stopped resumes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from upright.detector.weights import load_backbone
from upright.experiments.harness import add_arguments, kept, parsed, positive, write_figures
from upright.experiments.parts.birds import read_birds
from upright.experiments.parts.networks import NETWORKS, PartNetwork
from upright.experiments.parts.pictures import draw_classes, draw_windows
from upright.experiments.parts.posed_pedestrians import attributes_right, write_pedestrians
from upright.experiments.parts.report import Outcome, figures, report
from upright.experiments.parts.trainings import Pictures, Training, load, predict
from upright.experiments.parts.windows import look
from upright.tools.command import run
from upright.tools.report import write_block

QUICK = {"steps": 20, "pictures": 96, "test_pictures": 48}
SHOWN = 6  # test pictures that are drawn
ROUNDS = 9  # of the timing, 2 of a quick run


def main() -> None:
    arguments = parsed(build_parser(), "parts", QUICK)
    if arguments.made:
        write_pedestrians(arguments.made, arguments.pictures, arguments.test_pictures)
    birds = read_birds(arguments.made or arguments.root)
    backbone = load_backbone("mobilenet_v2", arguments.backbone_weights)
    train = load(birds, np.flatnonzero(birds.train), arguments.size, "pictures to train on", arguments.batch)
    test = load(birds, np.flatnonzero(~birds.train), arguments.size, "pictures to test on")

    def build(name: str) -> PartNetwork:
        return PartNetwork(backbone, len(birds.classes), *NETWORKS[name], arguments.size).to(arguments.device)

    outcome = measured(arguments, build, train, test)
    lines = report(outcome)
    print("\n".join(lines))
    if arguments.document:
        folder = arguments.document.parent / "pictures"
        shown = {name: outcome.results[name][0]["theta"][:SHOWN] for name, (_, moves) in NETWORKS.items() if moves}
        draw_windows(folder / "parts_windows.png", test.images[:SHOWN], shown)
        draw_classes(folder / "parts_classes.png", test.images, test.labels, birds.classes)
        write_block(arguments.document, "parts", lines)
    if arguments.figures:
        write_figures(arguments.figures, "parts", figures(outcome))


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, steps=2000, output="runs/parts")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--root", type=Path, metavar="DIR", help="where CUB_200_2011 lies")
    source.add_argument("--made", type=Path, metavar="DIR", help="write synthetic pedestrians there and use them")
    parser.add_argument("--pictures", type=positive, default=9600, metavar="N", help="of --made, to train on (9600)")
    parser.add_argument(
        "--test-pictures", type=positive, default=2400, metavar="N", help="of --made, to test on (2400)"
    )
    parser.add_argument("--size", type=positive, default=128, metavar="N", help="side of the pictures (default 128)")
    parser.add_argument("--batch", type=positive, default=16, metavar="N", help="(default 16)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, metavar="R", help="(default 0.001)")
    parser.add_argument(
        "--localisation-rate", type=float, default=0.5, metavar="R", help="of the learning rate (default 0.5)"
    )
    parser.add_argument(
        "--backbone-weights",
        default="default",
        metavar="FILE",
        help="MobileNetV2 with torchvision's names; default: torchvision's download; none: random weights",
    )
    return parser


def measured(
    arguments: argparse.Namespace, build: Callable[[str], PartNetwork], train: Pictures, test: Pictures
) -> Outcome:
    """Train and measure what is not kept yet; `build` makes an untrained network of a name of `NETWORKS`."""
    conditions = conditions_of(arguments, train, test)
    training = Training(
        arguments.steps,
        arguments.batch,
        arguments.learning_rate,
        arguments.localisation_rate,
        arguments.device,
        conditions,
    )

    def work(name: str, seed: int, file: Path) -> dict[str, Any]:
        torch.manual_seed(seed)
        model = build(name)
        spent = training.fit(model, train, seed, file.with_suffix(".checkpoint.pt"))
        predicted, theta = predict(model, test, arguments.device)
        result: dict[str, Any] = spent | {"accuracy": 100 * (predicted == test.labels).double().mean().item()}
        if arguments.made:
            result["attributes"] = attributes_right(predicted.numpy(), test.labels.numpy())
        if theta is not None:
            result["theta"] = theta.double().numpy().round(5).tolist()
        return result

    results: dict[str, list[dict[str, Any]]] = {name: [] for name in NETWORKS}
    # Seeds outside, networks inside: a run that is cut short has compared all of them.
    for seed in range(arguments.seeds):
        for name in NETWORKS:
            file = arguments.output / f"{name.replace(' ', '-')}-{seed}.json"
            results[name].append(kept(file, conditions, partial(work, name, seed, file)))
    times = kept(
        arguments.output / "times.json",
        conditions,
        lambda: training.times({name: build(name) for name in NETWORKS}, train, 2 if arguments.quick else ROUNDS),
    )
    windows = {
        name: [look(torch.tensor(result["theta"]), test.boxes) for result in runs]
        for name, runs in results.items()
        if NETWORKS[name][0]
    }
    return Outcome(results, windows, times, conditions)


def conditions_of(arguments: argparse.Namespace, train: Pictures, test: Pictures) -> dict[str, Any]:
    """What a result must have been measured under to be taken for this one."""
    return {
        "data": "made" if arguments.made else "CUB-200-2011",
        "pictures": [len(train.labels), len(test.labels)],
        "size": arguments.size,
        "steps": arguments.steps,
        "batch": arguments.batch,
        "learning_rate": arguments.learning_rate,
        "localisation_rate": arguments.localisation_rate,
        "backbone_weights": Path(arguments.backbone_weights).name,
        "device": arguments.device,
    }


if __name__ == "__main__":
    run(main)
