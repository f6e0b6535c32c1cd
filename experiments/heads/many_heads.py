"""Which head is best? Many heads on the same frozen maps and proposals, several seeds each.

    python experiments/heads/many_heads.py --document docs/head.md --figures docs/head.json
    python experiments/heads/many_heads.py --variants baseline affine --seeds 5
    python experiments/heads/many_heads.py --root PHOTOGRAPHS --annotations train.json --val-annotations val.json
    python experiments/heads/many_heads.py --output runs/quick --quick

PHOTOGRAPHS is a folder of pictures with annotations in COCO's format, category 1 a person: COCO's own will do, or
yours. Without --root all pictures are rendered.

One detector gives maps and proposals of pictures, rendered ones and those of --root, once; then region heads alone are
trained on them from random weights, each for the same steps on the same pictures in the same order, and the last state
of each is measured: miss rate on the synthetic val split, of all people and by pose and lean, and on --val-annotations.
Finished heads are kept in --output, and a run that was stopped resumes. What it cannot tell: how maps would have
formed under another head.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from upright.datasets.augmentation import Augmentation
from upright.datasets.batches import TrainingPictures
from upright.datasets.registry import open_dataset
from upright.detector.detected import boxes_xywh
from upright.detector.evaluation import Detections, evaluate
from upright.detector.evaluation.by_pose import miss_rate_by_lean, miss_rate_by_pose
from upright.detector.model import Detector, build_detector
from upright.detector.training import build_optimizer, schedule, theta_entry
from upright.detector.training_options import TrainingOptions
from upright.detector.weights import load_detector
from upright.errors import InputError
from upright.experiments.harness import add_arguments, kept, parsed, positive, spread, write_figures
from upright.experiments.heads.frozen_maps import Picture, ValidationSet, batch, device_of, seen, validation_set
from upright.experiments.training import fit
from upright.tools.command import run
from upright.tools.report import table, write_block

BATCH = 8


@dataclass(frozen=True)
class Variant:
    """A head to try: changes of the preset, and the learning rate of its localisation network."""

    what: str
    settings: dict[str, Any]
    localisation_rate: float = 0.2  # of the learning rate


VARIANTS = {
    "baseline": Variant("no transformers: RoIAlign, 2 x 2 samples a bin", {"transformers": 0}),
    "affine": Variant("4 affine transformers, the preset", {}),
    "fixed": Variant("4 affine transformers that stay at their priors", {}, localisation_rate=0),
    "whole": Variant("4 transformers that stay at the whole region: one sample a bin", {"priors": ("whole",)}, 0),
    "one": Variant("1 affine transformer, starting at the whole region", {"transformers": 1}),
    "alike": Variant("4 affine transformers, all starting at the whole region", {"priors": ("whole",)}),
    "timid": Variant("localisation at 0.05 of the learning rate", {}, localisation_rate=0.05),
    "bold": Variant("localisation at the full learning rate", {}, localisation_rate=1.0),
    "glance 3": Variant("glance of 3 x 3", {"glance_size": 3}),
    "glance 7": Variant("glance of 7 x 7", {"glance_size": 7}),
    "samples 2": Variant("2 x 2 samples a bin", {"bin_samples": 2}),
    "picture": Variant("reads the picture too: 4 crops of 32 x 32", {"read": "picture"}),
    "picture fixed": Variant("the same, at the priors", {"read": "picture"}, localisation_rate=0),
    "attention": Variant("attention: scale and shift", {"transformation": "attention"}),
    "projective": Variant("homographies", {"transformation": "projective"}),
    "spline": Variant("thin plate splines", {"transformation": "thin_plate_spline"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, steps=300, output="runs/heads")
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="of the detector that gives maps (preset mobilenet)",
    )
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--pictures", type=positive, default=400, metavar="N", help="rendered, to train on (400)")
    parser.add_argument("--val-pictures", type=positive, default=200, metavar="N", help="to measure on (default 200)")
    parser.add_argument("--root", metavar="DIR", help="folder of photographs in COCO's format (default: none)")
    parser.add_argument("--annotations", nargs="+", default=[], metavar="FILE", help="photographs to train on too")
    parser.add_argument(
        "--val-annotations", nargs="+", default=[], metavar="FILE", help="photographs to measure on too"
    )
    parser.add_argument("--collect", action="store_true", help="train nothing, report what --output holds")
    arguments = parsed(parser, "heads", {"steps": 4, "pictures": 8, "val_pictures": 4})

    if not arguments.collect:
        compare(arguments)
    results = collected(arguments.output, arguments.variants)
    lines = report(results)
    print("\n".join(lines))
    if arguments.document:
        write_block(arguments.document, "heads", lines)
    if arguments.figures:
        write_figures(arguments.figures, "heads", results)


def compare(arguments: argparse.Namespace) -> None:
    """Train and measure every head that is not kept yet."""
    detector = load_detector(arguments.weights, arguments.device)
    rendered = open_dataset("synthetic", split="train", length=arguments.pictures)
    validation = {"synthetic": open_dataset("synthetic", length=arguments.val_pictures)}
    parts = [rendered]
    if arguments.annotations:
        parts.append(open_dataset("coco", arguments.root, annotations=arguments.annotations))
    if arguments.val_annotations:
        validation["photographs"] = open_dataset("coco", arguments.root, annotations=arguments.val_annotations)
    settings = detector.settings
    augmentation = Augmentation(settings.min_size, (settings.crop_height, settings.crop_width), min_height=12)
    augmented = TrainingPictures(parts, augmentation, seed=0)
    # As many photographs as rendered pictures, where there are as many.
    photographs = np.random.default_rng(0).permutation(np.arange(len(rendered), len(augmented)))
    chosen = [*range(len(rendered)), *photographs[: len(rendered)].tolist()]
    train = [seen(detector, augmented[0, i], resized=True) for i in tqdm(chosen, desc="maps to train on")]
    sets = {name: validation_set(detector, dataset) for name, dataset in validation.items()}

    def work(name: str, seed: int, file: Path) -> dict[str, Any]:
        checkpoint = file.with_suffix(".checkpoint.pt")
        model = train_head(detector, VARIANTS[name], train, arguments.steps, seed, checkpoint, conditions)
        return {name: measure(model, one) for name, one in sets.items()}

    shared = ("weights", "steps", "pictures", "val_pictures", "annotations", "val_annotations")
    conditions = {name: getattr(arguments, name) for name in shared}
    # Seeds outside, variants inside: a run that is cut short has compared all of them.
    for seed in range(arguments.seeds):
        for name in arguments.variants:
            file = arguments.output / f"{slug(name)}-{seed}.json"
            kept(file, conditions, partial(work, name, seed, file))


def collected(output: Path, variants: list[str]) -> dict[str, list[dict[str, Any]]]:
    """What is kept of each variant that has something.

    Raises:
        InputError: nothing is kept.
    """
    files = {name: sorted(output.glob(f"{slug(name)}-[0-9]*.json")) for name in variants}
    if not any(files.values()):
        raise InputError(f"{output} holds no finished head: run without --collect first")
    return {name: [json.loads(file.read_text()) for file in kept] for name, kept in files.items() if kept}


def slug(variant: str) -> str:
    return variant.replace(" ", "-")


def train_head(
    detector: Detector,
    variant: Variant,
    pictures: list[Picture],
    steps: int,
    seed: int,
    checkpoint: Path,
    conditions: dict[str, Any],
) -> Detector:
    """A detector whose region head was trained from random weights; everything else is frozen and unused."""
    torch.manual_seed(seed)
    model = build_detector(replace(detector.settings, **variant.settings)).to(device_of(detector))
    model.backbone.requires_grad_(False)
    model.rpn.requires_grad_(False)
    options = TrainingOptions(steps=steps, warmup_steps=min(50, steps), localisation_rate=variant.localisation_rate)
    optimizer = build_optimizer(model, options)
    for group in optimizer.param_groups:
        group["lr"] *= group["rate"]

    def loss(step: int) -> Tensor:
        torch.manual_seed(1_000_000 * seed + step)  # the regions that are drawn to learn from
        order = np.random.default_rng([seed, step]).choice(len(pictures), min(BATCH, len(pictures)), replace=False)
        chosen = [pictures[i] for i in order]
        maps, proposals, shapes = batch(chosen)
        with model.pool.theta_statistics() if step % 50 == 0 else nullcontext([]) as theta:
            _, losses = model.roi_heads(maps, proposals, shapes, [p.target for p in chosen])
        theta_entry(theta)  # stops where it is not finite
        return torch.stack(list(losses.values())).sum()

    fit(
        model,
        loss,
        optimizer,
        steps,
        rate=partial(schedule, options=options),
        checkpoint=checkpoint,
        conditions=conditions,
        words=checkpoint.name.partition(".")[0],
    )
    return model.eval()


@torch.inference_mode()
def measure(model: Detector, validation: ValidationSet) -> dict[str, Any]:
    """Miss rates of the head, theta's deviation between regions, milliseconds of the head a picture."""
    boxes, scores, times, deviations = [], [], [], []
    for picture in validation.pictures:
        maps, proposals, shapes = batch([picture])
        start = time.perf_counter()
        with model.pool.theta_statistics() as statistics_of_theta:
            found, _ = model.roi_heads(maps, proposals, shapes)
        (found,) = model.transform.postprocess(found, shapes, [picture.original_shape])
        boxes.append(boxes_xywh(found["boxes"].cpu().numpy()))
        scores.append(found["scores"].cpu().numpy().astype(np.float64))
        times.append(time.perf_counter() - start)
        theta = theta_entry(statistics_of_theta).get("theta", {})
        deviations.append([one["mean_std"] for one in theta.values()])
    detections = Detections(
        image_index=np.repeat(np.arange(len(scores)), [len(s) for s in scores]),
        boxes=np.concatenate(boxes),
        scores=np.concatenate(scores),
    )
    annotations = validation.annotations
    subsets = evaluate(annotations, detections).subsets
    return {
        "lamr": {name: subsets[name].lamr_corrected for name in ("Reasonable", "All")},
        "poses": {pose: v["lamr"] for pose, v in miss_rate_by_pose(annotations, detections).items()},
        "leans": {lean: v["lamr"] for lean, v in miss_rate_by_lean(annotations, detections).items()},
        "theta_deviation": np.mean(deviations, axis=0).tolist(),
        "milliseconds": 1000 * statistics.median(times),
    }


def report(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Means and, in brackets, the range over the seeds, miss rates in percent."""
    first = next(iter(results.values()))[0]
    conditions = first["conditions"]
    real = ["Reasonable, photographs"] if "photographs" in first else []
    rows, groups = [], []
    for name, runs in results.items():
        made = [r["synthetic"] for r in runs]
        cells = [percent([r["lamr"][subset] for r in made]) for subset in ("Reasonable", "All")]
        cells += [percent([r["photographs"]["lamr"]["Reasonable"] for r in runs])] if real else []
        deviation = np.mean([r["theta_deviation"] for r in made], axis=0)
        cells.append(" ".join(f"{d:.3f}" for d in deviation) or "none")
        cells.append(f"{np.mean([r['milliseconds'] for r in made]):.0f}")
        rows.append([name, str(len(runs)), VARIANTS[name].what, *cells])
        kinds = [(kind, group) for kind in ("poses", "leans") for group in made[0][kind]]
        groups.append([name, *(percent([r[kind][group] for r in made], ranged=False) for kind, group in kinds)])
    pictures = f"{conditions['pictures']} rendered pictures" + (
        f" and as many photographs of {', '.join(conditions['annotations'])}" if conditions["annotations"] else ""
    )
    measured = f"{conditions['val_pictures']} of synthetic val" + (
        f" and {', '.join(conditions['val_annotations'])}" if conditions["val_annotations"] else ""
    )
    return [
        f"Mean over the seeds (smallest to largest), {conditions['steps']} steps of {BATCH} of {pictures}, measured on "
        f"{measured} at the end:",
        "",
        *table(["head", "seeds", "what", "Reasonable", "All", *real, "theta's deviation", "ms"], rows),
        "",
        "By pose and lean, synthetic val:",
        "",
        *table(["head", *(group for _, group in kinds)], groups),
    ]


def percent(rates: list[float | None], ranged: bool = True) -> str:
    values = [100 * rate for rate in rates if rate is not None]
    if not values:
        return "n/a"
    return spread(values) if ranged else f"{np.mean(values):.1f}"


if __name__ == "__main__":
    run(main)
