"""Make the scores of a weights file mean something: calibrated, a score of 0.5 is right half of the time.

    python tools/calibrate.py runs/people/last.safetensors --dataset coco --root ../shared/data/people \\
        --annotations street_train.json voc_train.json coco_train.json --hold-out 15 \\
        --output runs/people/calibrated.safetensors --plot docs/pictures/reliability.png --json calibration.json

The pictures have to be ones that the weights were not trained on: other files, or with --hold-out those that
tools/train.py held out with the same files and the same number. They also choose the default threshold: the score of
the best F1, of those that show few false people on pictures without anybody. Fitted anew where the weights are
calibrated already. Written are the same tensors with the settings score_scale, score_shift and threshold;
tools/train.py starts without them.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from upright.datasets.hold_out import hold_out
from upright.datasets.registry import DATASETS, open_dataset
from upright.datasets.sample import PedestrianDataset
from upright.datasets.soundness import check_pictures
from upright.detector.picture_size import refuse_thin
from upright.errors import InputError
from upright.output import refuse_unwritable, whole_file
from upright.tools.command import run
from upright.tools.dataset_flags import add_dataset_flags, add_hold_out_flag, dataset_options


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("weights", type=Path, metavar="WEIGHTS", help="a weights file")
    p.add_argument("--output", type=Path, required=True, metavar="FILE", help="the calibrated weights")
    p.add_argument("--plot", type=Path, metavar="FILE", help="share of right detections by score (.png, .pdf, .svg)")
    p.add_argument("--json", type=Path, metavar="FILE", help="all figures")
    p.add_argument(
        "--false-people",
        type=float,
        default=0.05,
        metavar="N",
        help="that the default threshold may show on a picture without anybody, on average (default 0.05)",
    )
    p.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1 ... (default: a GPU where there is one)")
    p.add_argument("--workers", type=int, default=1, help="threads that load pictures (default 1)")
    data = p.add_argument_group("pictures that were not trained on")
    data.add_argument("--dataset", choices=DATASETS, required=True)
    add_dataset_flags(data, training=True, validation=False)
    add_hold_out_flag(data)
    return p


def main() -> None:
    arguments = parser().parse_args()
    if arguments.workers < 1:
        raise InputError(f"--workers {arguments.workers} is not a number of threads: use 1 or more")
    if not arguments.false_people >= 0:
        raise InputError(f"--false-people {arguments.false_people:g} is not a number of people: use 0 or more")
    for path in (arguments.output, arguments.plot, arguments.json):
        if path:
            refuse_unwritable(path)
    dataset = pictures(arguments)

    # Imported late, so that --help and bad arguments are answered at once.
    from upright.detector.engines.torch_engine import TorchEngine, choose_device
    from upright.detector.evaluation.at_threshold import figures_at_threshold, quiet_above
    from upright.detector.evaluation.calibration import best_threshold, fit_calibration, judge, reliability
    from upright.detector.inference import detect_dataset
    from upright.detector.weights import load_detector, read_metadata, save_with_settings

    settings, provenance = read_metadata(arguments.weights)
    model = load_detector(arguments.weights, choose_device(arguments.device))
    check_pictures(dataset, refuse=partial(refuse_thin, min_size=settings.min_size, max_size=settings.max_size))
    model.roi_heads.score_scale, model.roi_heads.score_shift = 1.0, 0.0
    detections = detect_dataset(TorchEngine(model), dataset, workers=arguments.workers)
    scores, right = judge(dataset.annotations, detections)
    calibration = fit_calibration(scores, right)
    calibrated = calibration(scores)
    before, after = reliability(scores, right), reliability(calibrated, right)

    people = int((~dataset.annotations.ignore & (dataset.annotations.category == 1)).sum())
    shown = replace(detections, scores=calibration(detections.scores))
    loud = quiet_above(dataset.annotations, shown, arguments.false_people)
    best = best_threshold(calibrated, right, people, above=loud)
    threshold = settings.threshold
    if best is not None:
        rounded = math.floor(1000 * best) / 1000
        threshold = rounded if rounded > loud else math.ceil(1000 * best) / 1000
    at = figures_at_threshold(dataset.annotations, shown, threshold)
    figures = {
        "pictures": len(dataset),
        "detections": len(scores),
        "score_scale": calibration.scale,
        "score_shift": calibration.shift,
        "threshold": threshold,
        "false_people": arguments.false_people,
        "before": before.to_json(),
        "after": after.to_json(),
        "at_threshold": at,
    }
    command = {"command": shlex.join(["python", *sys.argv]), "pictures": len(dataset)}
    settings = replace(settings, score_scale=calibration.scale, score_shift=calibration.shift, threshold=threshold)
    save_with_settings(arguments.output, arguments.weights, settings, provenance | {"calibration": command})
    if arguments.json:
        with whole_file(arguments.json) as temporary:
            temporary.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if arguments.plot:
        from upright.detector.evaluation.plots import plot_reliability

        title = f"{len(scores)} detections on {len(dataset)} pictures that were not trained on"
        plot_reliability(arguments.plot, {"as trained": before, "calibrated": after}, title=title)

    print(f"{len(scores)} detections on {len(dataset)} pictures, {int(right.sum())} of them right, {people} people")
    print(f"score := sigmoid({calibration.scale:.4f} logit(score) {calibration.shift:+.4f})")
    print(f"expected calibration error {before.expected_error:.4f} before, {after.expected_error:.4f} after")
    print(f"threshold {threshold:g}: precision {at['precision']:.2%}, recall {at['recall']:.2%}")


def pictures(arguments: argparse.Namespace) -> PedestrianDataset:
    """What to calibrate on: pictures held out of a training set, or a validation set."""
    split = "train" if arguments.hold_out else "val"
    dataset = open_dataset(arguments.dataset, arguments.root, split, **dataset_options(arguments))
    return hold_out(dataset, arguments.hold_out)[1] if arguments.hold_out else dataset


if __name__ == "__main__":
    run(main)
