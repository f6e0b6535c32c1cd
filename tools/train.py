"""Train a detector.

    python tools/train.py --dataset synthetic --epochs 2 --output runs/first
    python tools/train.py --dataset coco --root PICTURES --annotations a.json b.json \\
        --extra-synthetic 400 --output runs/people
    python tools/train.py --dataset citypersons --root CITYPERSONS --preset resnet50 --device cuda --output runs/city
    torchrun --nproc-per-node 2 tools/train.py --dataset synthetic --output runs/two

A run that was stopped or killed goes on with the same command and --resume.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from dataclasses import asdict
from functools import partial
from typing import Any

from upright.datasets.registry import DATASETS, open_dataset
from upright.datasets.sample import PedestrianDataset
from upright.detector.settings import PRESETS
from upright.errors import InputError
from upright.tools.command import add_setting_flags, chosen_settings, run
from upright.tools.dataset_flags import add_dataset_flags, dataset_options, recorded_options, validation_options


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = p.add_argument_group("data")
    data.add_argument("--dataset", choices=DATASETS, default="synthetic")
    add_dataset_flags(data, training=True)
    data.add_argument("--extra-synthetic", type=int, default=0, metavar="N", help="N synthetic pictures more an epoch")
    data.add_argument("--min-height", type=float, default=12, help="people lower than this (pixels) are ignored")
    data.add_argument(
        "--turn", type=float, default=0, metavar="DEGREES", help="turn pictures by up to that, 180 at most"
    )
    data.add_argument("--workers", type=int, default=1, help="processes that load pictures")
    model = p.add_argument_group("model")
    model.add_argument("--preset", choices=PRESETS, default="light")
    model.add_argument("--backbone-weights", default="default", metavar="{default,none,FILE}")
    model.add_argument("--weights", help="start from this weights file")
    add_setting_flags(model)
    training = p.add_argument_group("training")
    length = training.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=float, default=12)
    length.add_argument("--max-steps", type=int)
    training.add_argument("--batch-size", type=int, default=8, help="of all processes together")
    training.add_argument("--optimizer", choices=("sgd", "adamw"), default="adamw")
    training.add_argument("--learning-rate", type=float, help="default 0.0005 for adamw, 0.01 for sgd")
    training.add_argument("--localisation-rate", type=float, default=0.2, help="of the learning rate")
    training.add_argument("--backbone-rate", type=float, default=0.2, help="of the learning rate")
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--precision", choices=("float32", "bfloat16", "float16"), default="float32")
    training.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1 ... (default: a GPU where there is one)")
    training.add_argument("--validate-every", type=int, metavar="STEPS", help="default: an epoch; 0: at the end alone")
    training.add_argument("--checkpoint-minutes", type=float, default=5)
    training.add_argument("--log-every", type=int, default=20, metavar="STEPS")
    training.add_argument("--output", required=True, metavar="RUN", help="folder of the run")
    training.add_argument("--resume", action="store_true", help="go on with the run in --output, if there is one")
    return p


def main() -> None:
    arguments = parser().parse_args()
    refuse_impossible(arguments)
    settings = chosen_settings(arguments)
    parts = training_parts(arguments)
    validation = validation_set(arguments)

    # Imported late, so that `--help` and bad arguments are answered at once.
    import torch

    from upright.datasets.augmentation import Augmentation
    from upright.datasets.batches import TrainingBatches, TrainingPictures
    from upright.detector.inference import choose_device
    from upright.detector.model import build_detector
    from upright.detector.run_directory import RunDirectory
    from upright.detector.training import LEARNING_RATES, Processes, TrainingOptions, TrainingPace, train
    from upright.detector.weights import load_backbone, read_metadata, start_from

    crop = (settings.crop_height, settings.crop_width)
    augmentation = Augmentation(settings.min_size, crop, arguments.min_height, arguments.turn)
    pictures = TrainingPictures(parts, augmentation, arguments.seed)
    if not len(pictures):
        raise InputError("there is not one picture to train on: check --annotations")
    batches = TrainingBatches(pictures.portrait(), arguments.batch_size, arguments.seed)
    options = TrainingOptions(
        steps=arguments.max_steps or max(1, round(arguments.epochs * batches.steps_an_epoch)),
        batch_size=arguments.batch_size,
        optimizer=arguments.optimizer,
        learning_rate=arguments.learning_rate or LEARNING_RATES[arguments.optimizer],
        localisation_rate=arguments.localisation_rate,
        backbone_rate=arguments.backbone_rate,
        precision=arguments.precision,
        seed=arguments.seed,
    )
    device = str(choose_device(arguments.device))
    if device == "cuda" and "LOCAL_RANK" in os.environ:  # torchrun: a GPU for each process
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    pace = TrainingPace(
        workers=arguments.workers,
        device=device,
        log_every=arguments.log_every,
        checkpoint_minutes=arguments.checkpoint_minutes,
        validate_every=batches.steps_an_epoch if arguments.validate_every is None else arguments.validate_every,
    )
    torch.manual_seed(arguments.seed)
    source = "none" if arguments.weights else arguments.backbone_weights
    model = build_detector(settings, load_backbone(settings.backbone, source))
    if arguments.weights:
        start_from(model, arguments.weights)
    model.to(device).train()
    processes = Processes.joined(device)
    directory = None
    if processes.rank == 0:
        data = {name: getattr(arguments, name) for name in ("dataset", "root", "extra_synthetic", "min_height")}
        data["turn"] = arguments.turn or None  # as in the settings of runs from before there was a turn
        data |= recorded_options(arguments)
        start = {"weights": arguments.weights, "backbone_weights": arguments.backbone_weights}
        everything = {"detector": asdict(settings), "training": asdict(options), "data": data, "start": start}
        directory = RunDirectory(arguments.output, everything, resume=arguments.resume)

    validate = partial(figures, dataset=validation, device=device) if validation is not None else None
    provenance = {"command": shlex.join(["python", *sys.argv]), "pictures": len(pictures)}
    if arguments.weights:
        provenance["started_from"] = read_metadata(arguments.weights)[1]
    train(model, pictures, options, pace, directory, processes, validate, provenance)


def refuse_impossible(arguments: argparse.Namespace) -> None:
    positive = ("epochs", "max_steps", "batch_size", "learning_rate", "log_every", "length")
    for name in positive:
        value = getattr(arguments, name)
        if value is not None and value <= 0:
            raise InputError(f"--{name.replace('_', '-')} {value:g} makes no training: use a number above 0")
    if arguments.workers < 0:
        raise InputError(f"--workers {arguments.workers} is no number of processes: use 0 or more")


def training_parts(arguments: argparse.Namespace) -> list[PedestrianDataset]:
    options = dataset_options(arguments)
    chosen = open_dataset(arguments.dataset, arguments.root, "train", seed=arguments.seed, **options)
    if not arguments.extra_synthetic:
        return [chosen]
    people = {"length": arguments.extra_synthetic, "roll": arguments.roll, "poses": arguments.poses}
    return [chosen, open_dataset("synthetic", split="train", seed=arguments.seed, **people)]


def validation_set(arguments: argparse.Namespace) -> PedestrianDataset | None:
    options = validation_options(arguments)
    if options is None:
        return None
    return open_dataset(arguments.dataset, arguments.root, "val", seed=arguments.seed, **options)


def figures(model: Any, dataset: PedestrianDataset, device: str) -> dict[str, float | None]:
    """Miss rate (Reasonable) and COCO AP of the model; the score is what is left of the miss rate."""
    from upright.detector.evaluation import evaluate
    from upright.detector.evaluation.coco import coco_ap
    from upright.detector.inference import detect_dataset

    detections = detect_dataset(model, dataset, device=device)
    reasonable = evaluate(dataset.annotations, detections).subsets["Reasonable"].lamr
    ap = coco_ap(dataset.annotations, detections)
    return {"lamr_reasonable": reasonable, "AP": ap["AP"], "AP50": ap["AP50"], "score": ap["AP50"]}


if __name__ == "__main__":
    run(main)
