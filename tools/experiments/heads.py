"""Which head is best? Many heads on the same frozen maps and proposals, several seeds each.

    python tools/experiments/heads.py --output runs/heads --document docs/head.md
    python tools/experiments/heads.py --output runs/heads --variants baseline affine --seeds 5
    python tools/experiments/heads.py --output runs/quick --quick

One detector gives maps and proposals of synthetic pictures, once; then region heads alone are trained on them from
random weights, each for the same steps on the same pictures in the same order, and the last state of each is measured
on the val split: miss rate of all people and by pose and lean. Every head that is done is kept in --output, and a run
that was stopped goes on where it was. What it cannot tell: how maps would have formed under another head.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from datasets.batches import to_tensors
from datasets.output import whole_file
from datasets.sample import Annotations
from datasets.synthetic import SyntheticPedestrians
from detector.evaluation import Detections, evaluate
from detector.evaluation.by_pose import miss_rate_by_lean, miss_rate_by_pose
from detector.inference import boxes_xywh
from detector.model import Detector, build_detector
from detector.training import TrainingOptions, build_optimizer, schedule, theta_entry
from detector.weights import load_detector
from tools.command import run
from tools.report import table, write_block

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
    "attention": Variant("attention: scale and shift", {"transformation": "attention"}),
    "projective": Variant("homographies", {"transformation": "projective"}),
    "spline": Variant("thin plate splines", {"transformation": "thin_plate_spline"}),
}


@dataclass(frozen=True)
class Picture:
    """What a head sees of a picture: maps (C, H, W) in half precision, proposals and target in resized pixels."""

    maps: dict[str, Tensor]
    proposals: Tensor
    target: dict[str, Tensor]
    shape: tuple[int, int]
    original_shape: tuple[int, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where finished heads are kept")
    parser.add_argument("--weights", metavar="FILE", help="of the detector that gives maps (default: the released)")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--steps", type=int, default=400, metavar="N", help=f"of {BATCH} pictures (default 400)")
    parser.add_argument("--pictures", type=int, default=400, metavar="N", help="to train on (default 400)")
    parser.add_argument("--val-pictures", type=int, default=200, metavar="N", help="to measure on (default 200)")
    parser.add_argument("--document", type=Path, metavar="FILE", help="Markdown whose 'heads' block to rewrite")
    parser.add_argument("--quick", action="store_true", help="a few steps on a few pictures, to see that it runs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.steps, arguments.pictures, arguments.val_pictures, arguments.seeds = 4, 8, 4, 1

    detector = load_detector(arguments.weights)
    train = cached(detector, SyntheticPedestrians("train", length=arguments.pictures), "maps to train on")
    validation = SyntheticPedestrians("val", length=arguments.val_pictures)
    val = cached(detector, validation, "maps to measure on")

    arguments.output.mkdir(parents=True, exist_ok=True)
    conditions = {"steps": arguments.steps, "pictures": arguments.pictures, "val_pictures": arguments.val_pictures}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in arguments.variants}
    # Seeds outside, variants inside: a run that is cut short has compared all of them.
    for seed in range(arguments.seeds):
        for name in arguments.variants:
            file = arguments.output / f"{name.replace(' ', '-')}-{seed}.json"
            if not file.exists() or json.loads(file.read_text())["conditions"] != conditions:
                model = train_head(detector, VARIANTS[name], train, arguments.steps, seed, f"{name}, seed {seed}")
                figures = measure(model, val, validation.annotations) | {"conditions": conditions}
                with whole_file(file) as temporary:
                    temporary.write_text(json.dumps(figures, indent=2))
            results[name].append(json.loads(file.read_text()))

    lines = report(results, conditions)
    print("\n".join(lines))
    if arguments.document:
        write_block(arguments.document, "heads", lines)


@torch.inference_mode()
def cached(detector: Detector, dataset: SyntheticPedestrians, words: str) -> list[Picture]:
    pictures = []
    for index in tqdm(range(len(dataset)), desc=words):
        image, target = to_tensors(dataset[index])
        original = tuple(image.shape[-2:])
        images, (target,) = detector.transform([image / 255], [target])
        maps = detector.backbone(images.tensors)
        (proposals,), _ = detector.rpn(images, maps)
        half = {name: level[0].half().contiguous() for name, level in maps.items()}
        pictures.append(Picture(half, proposals.clone(), target, images.image_sizes[0], original))
    return pictures


def batch(pictures: list[Picture]) -> tuple[dict[str, Tensor], list[Tensor], list[tuple[int, int]]]:
    maps = {name: torch.stack([p.maps[name] for p in pictures]).float() for name in pictures[0].maps}
    return maps, [p.proposals.clone() for p in pictures], [p.shape for p in pictures]


def train_head(
    detector: Detector, variant: Variant, pictures: list[Picture], steps: int, seed: int, words: str
) -> Detector:
    """A detector whose region head was trained from random weights; everything else is frozen and unused."""
    torch.manual_seed(seed)
    model = build_detector(replace(detector.settings, **variant.settings))
    model.backbone.requires_grad_(False)
    model.rpn.requires_grad_(False)
    options = TrainingOptions(steps=steps, warmup_steps=min(50, steps), localisation_rate=variant.localisation_rate)
    optimizer = build_optimizer(model, options)
    order = np.random.default_rng(seed)
    model.train()
    for step in tqdm(range(steps), desc=words, leave=False):
        chosen = [pictures[i] for i in order.choice(len(pictures), BATCH, replace=False)]
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * group["rate"] * schedule(step, options)
        maps, proposals, shapes = batch(chosen)
        _, losses = model.roi_heads(maps, proposals, shapes, [p.target for p in chosen])
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip_norm)
        optimizer.step()
    return model.eval()


@torch.inference_mode()
def measure(model: Detector, pictures: list[Picture], annotations: Annotations) -> dict[str, Any]:
    """Miss rates of the head, theta's deviation between regions, milliseconds of the head a picture."""
    boxes, scores, times, deviations = [], [], [], []
    for picture in pictures:
        maps, proposals, shapes = batch([picture])
        start = time.perf_counter()
        found, _ = model.roi_heads(maps, proposals, shapes)
        times.append(time.perf_counter() - start)
        (found,) = model.transform.postprocess(found, shapes, [picture.original_shape])
        boxes.append(boxes_xywh(found["boxes"].numpy()))
        scores.append(found["scores"].numpy().astype(np.float64))
        theta = theta_entry(model).get("theta", {})
        deviations.append([one["mean_deviation"] for one in theta.values()])
    detections = Detections(
        image_index=np.repeat(np.arange(len(scores)), [len(s) for s in scores]),
        boxes=np.concatenate(boxes),
        scores=np.concatenate(scores),
    )
    result = evaluate(annotations, detections)
    lamr = {"Reasonable": result.subsets["Reasonable"].lamr_corrected, "All": result.subsets["All"].lamr_corrected}
    poses = {pose: v["lamr"] for pose, v in miss_rate_by_pose(annotations, detections).items()}
    leans = {lean: v["lamr"] for lean, v in miss_rate_by_lean(annotations, detections).items()}
    return {
        "lamr": lamr | poses | leans,
        "theta_deviation": np.mean(deviations, axis=0).tolist(),
        "milliseconds": 1000 * statistics.median(times),
    }


def report(results: dict[str, list[dict[str, Any]]], conditions: dict[str, int]) -> list[str]:
    """Means and, in brackets, the range over the seeds, miss rates in percent."""
    seeds = min(len(runs) for runs in results.values())
    names = list(next(iter(results.values()))[0]["lamr"])
    head = ["head", "what", *names, "theta's deviation", "ms"]
    rows = []
    for name, runs in results.items():
        cells = []
        for subset in names:
            values = [100 * r["lamr"][subset] for r in runs if r["lamr"][subset] is not None]
            cells.append(f"{np.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})" if values else "n/a")
        deviation = np.mean([r["theta_deviation"] for r in runs], axis=0)
        cells.append(" ".join(f"{d:.3f}" for d in deviation) or "none")
        cells.append(f"{np.mean([r['milliseconds'] for r in runs]):.0f}")
        rows.append([name, VARIANTS[name].what, *cells])
    said = (
        f"Mean of {seeds} seeds (smallest to largest), {conditions['steps']} steps of {BATCH} of "
        f"{conditions['pictures']} pictures, measured on {conditions['val_pictures']} of synthetic val at the end:"
    )
    return [said, "", *table(head, rows)]


if __name__ == "__main__":
    run(main)
