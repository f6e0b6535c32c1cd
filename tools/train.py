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
import math
import os
import shlex
import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upright.datasets.entry import NoSplit
from upright.datasets.hold_out import hold_out, with_joints
from upright.datasets.registry import DATASETS, dataset_entry, open_dataset
from upright.datasets.sample import PedestrianDataset
from upright.datasets.soundness import check_pictures, content_digest, file_digest, people
from upright.detector.option_fields import option_fields
from upright.detector.picture_size import refuse_thin
from upright.detector.settings import PRESETS, Settings
from upright.detector.training_options import TrainingOptions, TrainingPace
from upright.errors import InputError
from upright.tools.command import add_flags, chosen_settings, given_options, run
from upright.tools.dataset_flags import (
    add_dataset_flags,
    add_hold_out_flag,
    dataset_options,
    recorded_options,
    validation_options,
)

if TYPE_CHECKING:
    from upright.datasets.batches import TrainingPictures
    from upright.detector.model import Detector


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = p.add_argument_group("data")
    data.add_argument("--dataset", choices=DATASETS, default="synthetic")
    add_dataset_flags(data, training=True)
    add_hold_out_flag(data)
    data.add_argument("--extra-synthetic", type=int, default=0, metavar="N", help="N synthetic pictures more an epoch")
    data.add_argument(
        "--joints-times",
        type=int,
        default=1,
        metavar="N",
        help="show pictures of people with joints, which teach transformers, N times an epoch (default: 1)",
    )
    data.add_argument("--min-height", type=float, default=12, help="people lower than this (pixels) are ignored")
    data.add_argument(
        "--turn", type=float, default=0, metavar="DEGREES", help="turn pictures by up to that, 180 at most"
    )
    data.add_argument(
        "--mosaics", type=float, default=0, metavar="SHARE", help="of the pictures that are made of four (0 to 1)"
    )
    data.add_argument(
        "--check-data",
        action="store_true",
        help="read every picture once before the first step, and name all that cannot be used",
    )
    model = p.add_argument_group("model")
    model.add_argument("--preset", choices=PRESETS, default="light")
    model.add_argument(
        "--backbone-weights",
        nargs="+",
        default=["default"],
        metavar="{default,none,FILE}",
        help="what the first stage starts from: torchvision's ImageNet weights (for shufflenet_v2 the released "
        "detector's), random numbers, or files (for shufflenet_v2 those of NanoDet-Plus-m, body and head)",
    )
    model.add_argument("--weights", help="start from this weights file")
    add_flags(model, Settings, whose="light")
    training = p.add_argument_group("training")
    length = training.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=float, default=12, help="passes over the pictures (default 12)")
    length.add_argument("--max-steps", type=int, help="steps, instead of epochs")
    add_flags(training, TrainingOptions)
    add_flags(training, TrainingPace)
    p.set_defaults(seed=TrainingOptions.seed)  # the data sets read it too
    training.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1 ... (default: a GPU where there is one)")
    training.add_argument("--validate-every", type=int, metavar="STEPS", help="default: an epoch; 0: at the end alone")
    training.add_argument("--output", required=True, metavar="RUN", help="folder of the run")
    training.add_argument("--resume", action="store_true", help="go on with the run in --output, if there is one")
    return p


def main() -> None:
    arguments = parser().parse_args()
    refuse_impossible(arguments)
    settings = chosen_settings(arguments)
    options = TrainingOptions.chosen(arguments.max_steps or 1, given_options(arguments, TrainingOptions))
    pace = TrainingPace(**given_options(arguments, TrainingPace))
    parts, held_out = training_parts(arguments)
    validation = validation_set(arguments, held_out)

    # Imported late, so that `--help` and bad arguments are answered at once.
    import torch

    from upright.datasets.batches import TrainingBatches
    from upright.detector.engines.torch_engine import choose_device
    from upright.detector.processes import Processes
    from upright.detector.run_directory import RunDirectory
    from upright.detector.training import train
    from upright.detector.weights import read_metadata

    pictures = training_pictures(parts, settings, arguments, options.seed)
    if not len(pictures):
        raise InputError("there is not one picture to train on: check --annotations")
    refuse_nobody(parts, arguments)
    if os.environ.get("RANK", "0") == "0":  # of several processes one is enough
        check_data(parts, validation, settings, decode=arguments.check_data)
    batches = TrainingBatches(pictures.portrait(), options.batch_size, options.seed)
    options = replace(options, steps=arguments.max_steps or max(1, round(arguments.epochs * batches.steps_an_epoch)))
    device = str(choose_device(arguments.device))
    if device == "cuda" and "LOCAL_RANK" in os.environ:  # torchrun: a GPU for each process
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    pace = replace(
        pace,
        device=device,
        validate_every=batches.steps_an_epoch if arguments.validate_every is None else arguments.validate_every,
    )
    torch.manual_seed(options.seed)
    model = starting_model(settings, arguments).to(device).train()
    processes = Processes.joined(device)
    directory = None
    if processes.rank == 0:
        start = {"weights": content_of(arguments.weights)}
        start["backbone_weights"] = [content_of(source) for source in arguments.backbone_weights]
        # The calibration is no choice: it comes after the training.
        choices = {field.name: getattr(settings, field.name) for field in option_fields(Settings)}
        data = recorded_data(arguments, parts[0])
        everything = {"detector": choices, "training": asdict(options), "data": data, "start": start}
        provenance = {"command": shlex.join(command_line(sys.argv)), "pictures": len(pictures)}
        if arguments.weights:
            provenance["started_from"] = read_metadata(arguments.weights)[1]
        directory = RunDirectory(arguments.output, everything, resume=arguments.resume, provenance=provenance)

    validate = partial(figures, dataset=validation) if validation is not None else None
    try:
        train(model, pictures, options, pace, directory=directory, processes=processes, validate=validate)
    finally:
        if directory is not None:
            directory.close()


def training_pictures(
    parts: list[PedestrianDataset], settings: Settings, arguments: argparse.Namespace, seed: int
) -> TrainingPictures:
    """The augmented pictures of all parts, those of the first with joints as often as --joints-times says."""
    from upright.datasets.augmentation import Augmentation
    from upright.datasets.batches import TrainingPictures

    crop = (settings.crop_height, settings.crop_width)
    half = (settings.crop_height // 2, settings.crop_width // 2)
    whole = Augmentation(settings.training_side, crop, arguments.min_height, arguments.turn)
    quarter = Augmentation(settings.training_side // 2, half, arguments.min_height, arguments.turn)
    again: list[PedestrianDataset] = []
    if arguments.joints_times > 1:
        again = [with_joints(parts[0])] * (arguments.joints_times - 1)
        if not len(again[0]):
            raise InputError(f"--joints-times {arguments.joints_times}: nobody in {arguments.root} has joints")
    return TrainingPictures([*parts, *again], whole, seed, quarter, arguments.mosaics)


def starting_model(settings: Settings, arguments: argparse.Namespace) -> Detector:
    """The detector with the weights that --weights or --backbone-weights says."""
    from upright.detector.model import build_detector
    from upright.detector.weights import fill_first_stage, load_backbone, start_from

    sources = ["none"] if arguments.weights else arguments.backbone_weights
    if settings.backbone == "shufflenet_v2":
        model = build_detector(settings)
        fill_first_stage(model, sources)
    elif len(sources) == 1:
        model = build_detector(settings, load_backbone(settings.backbone, sources[0]))
    else:
        raise InputError(f"--backbone-weights: {settings.backbone} starts from one file, not from {len(sources)}")
    if arguments.weights:
        start_from(model, arguments.weights)
    return model


def command_line(argv: list[str]) -> list[str]:
    """What the user typed: the installed command by its name alone, wherever it lies on this machine."""
    program = Path(argv[0])
    return ["python", *argv] if program.suffix == ".py" else [program.name, *argv[1:]]


def refuse_impossible(arguments: argparse.Namespace) -> None:
    if not 0 <= arguments.mosaics <= 1:
        raise InputError(f"--mosaics {arguments.mosaics:g} is no share of the pictures: use a number from 0 to 1")
    for name in ("epochs", "max_steps", "length", "joints_times"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"--{name.replace('_', '-')} {value:g} leaves nothing to train on: use a number above 0")
    for name in ("extra_synthetic", "min_height", "turn", "hold_out", "validate_every"):
        value = getattr(arguments, name)
        if value is not None and not 0 <= value < math.inf:
            raise InputError(f"--{name.replace('_', '-')} {value:g} is out of range: use a number from 0 on")


def recorded_data(arguments: argparse.Namespace, chosen: PedestrianDataset) -> dict[str, Any]:
    """What the settings of a run keep of its data: of files their content, wherever they lie."""
    names = ("dataset", "hold_out", "extra_synthetic", "min_height", "turn", "mosaics", "joints_times")
    data = {name: getattr(arguments, name) for name in names} | recorded_options(arguments)
    given = data.pop("annotations")
    if dataset_entry(arguments.dataset).needs_root:
        where = " ".join(map(str, [arguments.root, *(given or [])]))
        data["annotations"] = {"path": where, "sha256": content_digest(chosen.annotations)}
    return data


def content_of(source: str | None) -> Any:
    """A file by path and content; anything else as it is."""
    if source is None or not Path(source).is_file():
        return source
    return {"path": source, "sha256": file_digest(Path(source))}


def check_data(
    parts: list[PedestrianDataset], validation: PedestrianDataset | None, settings: Settings, *, decode: bool
) -> None:
    """What would else end the training at its first validation, or at its last picture."""
    for dataset in parts:
        check_pictures(dataset, decode=decode)
    if validation is None:
        return
    check_pictures(
        validation, decode=decode, refuse=partial(refuse_thin, min_size=settings.min_size, max_size=settings.max_size)
    )
    if not people(validation.annotations):
        raise InputError(
            f"nobody to find in the {len(validation)} pictures to validate on, so no figure would come of it: give "
            "others (--val-annotations, --hold-out), or leave them out"
        )


def training_parts(arguments: argparse.Namespace) -> tuple[list[PedestrianDataset], PedestrianDataset | None]:
    """The data sets to train on, and what `--hold-out` keeps out of them."""
    options = dataset_options(arguments)
    chosen = open_dataset(arguments.dataset, arguments.root, "train", seed=arguments.seed, **options)
    held_out = None
    if arguments.hold_out:
        chosen, held_out = hold_out(chosen, arguments.hold_out)
    if not arguments.extra_synthetic:
        return [chosen], held_out
    options = {"length": arguments.extra_synthetic, "roll": arguments.roll, "poses": arguments.poses}
    rendered = open_dataset("synthetic", split="train", seed=arguments.seed, **options)
    return [chosen, rendered], held_out


def refuse_nobody(parts: list[PedestrianDataset], arguments: argparse.Namespace) -> None:
    """Stop where no box counts: only ignore regions, or no boxes at all, teach that there are no people."""
    if arguments.extra_synthetic or arguments.dataset == "synthetic":
        return  # people are in the rendered pictures
    if any(people(part.annotations) for part in parts):
        return
    boxes = sum(len(part.annotations.boxes) for part in parts)
    raise InputError(
        f"nobody to learn from: of {boxes} boxes in {arguments.root} none counts as a person; check --annotations and "
        "--person"
    )


def validation_set(arguments: argparse.Namespace, held_out: PedestrianDataset | None) -> PedestrianDataset | None:
    if held_out is not None and not arguments.val_annotations:
        return held_out
    options = validation_options(arguments)
    if options is None:
        return None
    try:
        chosen = open_dataset(arguments.dataset, arguments.root, "val", seed=arguments.seed, **options)
    except NoSplit as error:
        print(f"warning: no validation: {error}", file=sys.stderr)
        return None
    if getattr(chosen, "unsplit", False):
        print(f"warning: no validation: {arguments.root} has no split of its own for it", file=sys.stderr)
        return None
    return chosen


def figures(model: Any, dataset: PedestrianDataset) -> dict[str, float | None]:
    """Miss rate (Reasonable) and COCO AP of the model; the score is AP50."""
    from upright.detector.engines.torch_engine import TorchEngine
    from upright.detector.evaluation import evaluate
    from upright.detector.evaluation.coco import coco_ap
    from upright.detector.inference import detect_dataset

    detections = detect_dataset(TorchEngine(model), dataset)
    reasonable = evaluate(dataset.annotations, detections).subsets["Reasonable"].lamr
    ap = coco_ap(dataset.annotations, detections)
    return {"lamr_reasonable": reasonable, "AP": ap["AP"], "AP50": ap["AP50"], "score": ap["AP50"]}


if __name__ == "__main__":
    run(main)
