"""Log-average miss rate, COCO AP, recall at one threshold, error of the pose: of a model, or of files of detections.

    # the released weights on a data set
    python tools/evaluate.py --dataset synthetic
    python tools/evaluate.py --dataset coco --root PICTURES --annotations val.json

    # detections against a data set; Caltech needs no pictures for this, only annotations/
    python tools/evaluate.py --dataset caltech --root CALTECH --detections CALTECH/res

    # two files, without any model or data set
    python tools/evaluate.py --ground-truth val_gt.json --detections detections.json

    # with every picture turned, and how well the weights tell how people stand
    python tools/evaluate.py --dataset coco --root PICTURES --annotations val.json --turned 45 90 135 180

    # several detectors in one picture, and a sheet of the worst mistakes of each
    python tools/evaluate.py --ground-truth val_gt.json --detections ours=a.json plain=b.json --plot curves.png
    python tools/evaluate.py --dataset synthetic --worst 24 worst.png

docs/protocols.md tells what each subset counts, docs/pose.md how it is measured how people stand.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from upright.datasets.coco import read_annotations
from upright.datasets.pictures import read_picture
from upright.datasets.registry import DATASETS, dataset_entry, open_dataset
from upright.datasets.sample import Annotations, PedestrianDataset
from upright.datasets.soundness import check_pictures, people
from upright.datasets.turned import TurnedPedestrians
from upright.detector.evaluation import Detections, Result, evaluate, read_detections, write_detections
from upright.detector.evaluation.at_threshold import figures_at_threshold
from upright.detector.evaluation.by_pose import miss_rate_by_lean, miss_rate_by_pose
from upright.detector.evaluation.caltech_results import result_folders, write_caltech_detections
from upright.detector.evaluation.coco import coco_ap
from upright.detector.evaluation.plain import check
from upright.detector.evaluation.plausibility import suspicions
from upright.detector.evaluation.pose import pose_figures
from upright.detector.evaluation.protocols import PROTOCOLS
from upright.detector.picture_size import refuse_thin
from upright.errors import InputError
from upright.output import refuse_unwritable, whole_file
from upright.tools.command import run
from upright.tools.dataset_flags import add_dataset_flags, dataset_options
from upright.tools.engine_flags import add_engine_flags, chosen_engine
from upright.tools.evaluation_tables import print_tables

THRESHOLD = 0.5  # of detections from a file, which do not say where their detector would draw the line


@dataclass(frozen=True)
class Case:
    """A detector's detections on a data set; `dataset` is None where its pictures are not at hand.

    `turned` are the degrees that the pictures were turned by, None of pictures as they are.
    """

    name: str
    dataset: PedestrianDataset | None
    annotations: Annotations
    detections: Detections
    turned: float | None = None


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    truth = p.add_argument_group("ground truth")
    which = truth.add_mutually_exclusive_group(required=True)
    which.add_argument("--dataset", choices=DATASETS)
    which.add_argument("--ground-truth", metavar="JSON", help="COCO- or CityPersons-style file, boxes as they stand")
    add_dataset_flags(truth, training=False)
    truth.add_argument("--split", choices=("train", "val", "test"), help="default: test for caltech, otherwise val")
    truth.add_argument(
        "--turned",
        nargs="+",
        type=float,
        metavar="DEGREES",
        help="turn every picture clockwise by each of these angles, and evaluate once for each; people without an "
        "outline become ignore regions, at 0 degrees too",
    )
    found = p.add_argument_group("detections (of the released weights where neither is given)")
    found.add_argument(
        "--detections",
        nargs="+",
        metavar="[NAME=]PATH",
        help="JSON of detections, folder of setNN/VNNN.txt, or folder of such folders, one a detector; several with "
        "names of their own are compared",
    )
    found.add_argument("--weights", metavar="FILE", help="of the detector, or an exported one; default: the released")
    add_engine_flags(found, "float32")  # what the published figures are taken in
    found.add_argument("--workers", type=int, default=1, help="threads that load pictures (default 1)")
    found.add_argument(
        "--save-detections", metavar="OUT", help="keep what the model finds: a .json, or a folder of setNN/VNNN.txt"
    )
    rules = p.add_argument_group("rules")
    rules.add_argument("--protocol", choices=PROTOCOLS, help="default: caltech for caltech, otherwise citypersons")
    rules.add_argument(
        "--detections-aspect",
        choices=("0.41", "none"),
        help="give detections this width over height before matching (default: 0.41 for caltech, else none)",
    )
    rules.add_argument("--subsets", nargs="+", metavar="NAME", help="default: all of the protocol")
    rules.add_argument(
        "--threshold",
        type=float,
        metavar="X",
        help=f"score from which people are shown, 0 to 1 (default: the weights' own; {THRESHOLD} for --detections)",
    )
    rules.add_argument(
        "--check",
        type=int,
        default=0,
        metavar="RUNS",
        help="evaluate RUNS times by a plain loop too, in turn; print both times and the largest difference",
    )
    output = p.add_argument_group("output")
    output.add_argument("--json", metavar="FILE", help="all figures; of several detections an object by name")
    output.add_argument("--plot", metavar="FILE", help="curves, one panel a subset (.png, .pdf, .svg)")
    output.add_argument(
        "--worst", nargs=2, metavar=("N", "FILE"), help="sheet of the N costliest false positives and misses"
    )
    return p


def main() -> None:
    options = parser().parse_args()
    _refuse_contradictions(options)
    dataset, annotations = _ground_truth(options)
    protocol = options.protocol or (dataset_entry(options.dataset).protocol if options.dataset else "citypersons")
    aspect = {"0.41": 0.41, "none": 0.0, None: None}[options.detections_aspect]
    PROTOCOLS[protocol].choose(options.subsets)

    if not people(annotations):
        print(
            f"warning: nobody to find in {len(annotations.image_ids)} pictures, since of {len(annotations.boxes)} "
            "boxes none counts as a person: there is no miss rate",
            file=sys.stderr,
        )
    results, objects = {}, {}
    cases, threshold = _cases(options, dataset, annotations)
    for case in cases:
        for suspicion in suspicions(case.annotations, case.detections):
            print(f"warning: {case.name}: {suspicion}", file=sys.stderr)
        result = evaluate(
            case.annotations, case.detections, protocol, detections_aspect=aspect, subsets=options.subsets
        )
        results[case.name] = result
        objects[case.name] = result.to_json() | other_figures(case.annotations, case.detections, protocol, threshold)
        if case.turned is not None:
            objects[case.name]["turned"] = case.turned

    if options.json:
        _write_json(Path(options.json), objects if len(objects) > 1 else next(iter(objects.values())))
    if options.plot:
        from upright.detector.evaluation.plots import plot_curves

        plot_curves(options.plot, results, title=f"{_title(options)}, protocol {protocol}")
    if options.worst:
        _draw_worst(options, cases, protocol)

    # Files first: whoever pipes the tables into a pager that closes early has them all the same.
    for case in cases:
        if len(cases) > 1:
            print(f"== {case.name}")
        print_tables(objects[case.name])
        _warn(case.name, case.detections, results[case.name])
        if options.check > 0:
            checked = check(
                case.annotations,
                case.detections,
                protocol,
                detections_aspect=aspect,
                subsets=options.subsets,
                runs=options.check,
            )
            print(
                f"\nloop over pictures {checked.loop_seconds * 1e3:.1f} ms, vectorised {checked.seconds * 1e3:.1f} ms: "
                f"{checked.loop_seconds / checked.seconds:.0f} times faster, largest difference {checked.difference:g}"
            )


def other_figures(annotations: Annotations, detections: Detections, protocol: str, threshold: float) -> dict[str, Any]:
    """The figures of an evaluation beside the miss rates, as `--json` writes them."""
    return {
        "coco": coco_ap(annotations, detections),
        "poses": miss_rate_by_pose(annotations, detections, protocol),
        "leans": miss_rate_by_lean(annotations, detections, protocol),
        "at_threshold": figures_at_threshold(annotations, detections, threshold),
        "pose": pose_figures(annotations, detections),
    }


def _refuse_contradictions(options: argparse.Namespace) -> None:
    if options.workers < 1:
        raise InputError(f"--workers {options.workers} is not a number of threads: use 1 or more")
    if options.ground_truth and not options.detections:
        raise InputError("--ground-truth holds no pictures to run a model on: add --detections FILE")
    if options.detections:
        for name in ("weights", "save_detections"):
            if getattr(options, name):
                raise InputError(f"--{name.replace('_', '-')} belongs to a model: leave it out beside --detections")
    if options.turned:
        if options.detections or options.save_detections:
            which = "--detections" if options.detections else "--save-detections"
            raise InputError(f"{which} is of pictures as they are: leave it out beside --turned, which runs a model")
        if len({f"{degrees:g}" for degrees in options.turned}) < len(options.turned):
            raise InputError("--turned names an angle twice: name each once")
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        raise InputError(f"--threshold {options.threshold:g} is not a score: use 0 to 1")
    if options.worst and not (options.worst[0].isdigit() and int(options.worst[0])):
        raise InputError(f"--worst {options.worst[0]}: the first value is how many, a whole number from 1")
    saved = options.save_detections if (options.save_detections or "").lower().endswith(".json") else None
    for path in (options.json, options.plot, options.worst and options.worst[1], saved):
        if path:
            refuse_unwritable(path)


def _ground_truth(options: argparse.Namespace) -> tuple[PedestrianDataset | None, Annotations]:
    if options.ground_truth:
        return None, read_annotations(options.ground_truth, options.person)
    split = options.split or dataset_entry(options.dataset).evaluation_split
    dataset = open_dataset(options.dataset, options.root, split, **dataset_options(options))
    return dataset, dataset.annotations


def _cases(
    options: argparse.Namespace, dataset: PedestrianDataset | None, annotations: Annotations
) -> tuple[list[Case], float]:
    """What is evaluated, each of several files of detections, or the detector, at each of several angles.

    With the threshold: the detector's own unless another was given.
    """
    if options.detections:
        named = [one for text in options.detections for one in _names_and_paths(text)]
        paths = dict(named)
        if len(paths) < len(named):
            raise InputError("two --detections have the same name: give each a NAME=PATH of its own")
        read = [Case(name, dataset, annotations, read_detections(path, annotations)) for name, path in paths.items()]
        return read, THRESHOLD if options.threshold is None else options.threshold
    # Only here, so that evaluating files needs no engine.
    from upright.detector.engines.choice import RELEASED
    from upright.detector.inference import detect_dataset

    assert dataset is not None, "--ground-truth comes with --detections"
    weights = options.weights or str(RELEASED)
    turned = [TurnedPedestrians(dataset, degrees) for degrees in options.turned or ()]
    truths = [one.annotations for one in turned]  # first of all, since they may be refused
    engine = chosen_engine(options)
    threshold = engine.settings.threshold if options.threshold is None else options.threshold
    thin = partial(refuse_thin, min_size=engine.settings.min_size, max_size=engine.settings.max_size)
    check_pictures(dataset, refuse=thin)
    if turned:
        found = [detect_dataset(engine, one, workers=options.workers) for one in turned]
        return [
            Case(f"turned by {one.degrees:g}", one, truth, detections, one.degrees)
            for one, truth, detections in zip(turned, truths, found, strict=True)
        ], threshold
    detections = detect_dataset(engine, dataset, workers=options.workers)
    if options.save_detections:
        if options.save_detections.lower().endswith(".json"):
            settings = {"weights": weights, "dataset": options.dataset, "split": options.split}
            write_detections(options.save_detections, annotations, detections, settings)
        else:
            write_caltech_detections(options.save_detections, annotations, detections)
    return [Case(Path(weights).stem, dataset, annotations, detections)], threshold


def _names_and_paths(text: str) -> list[tuple[str, str]]:
    """A detector's name and path; those of each detector where the path is a folder of their folders."""
    name, separator, path = text.partition("=")
    if not (separator and name) or os.path.exists(text):
        name, path = "", text
    found = result_folders(Path(path)) if os.path.isdir(path) else []
    if found:
        return [(f"{name}-{folder.name}" if name else folder.name, str(folder)) for folder in found]
    return [(name or Path(path).stem, path)]


def _warn(name: str, detections: Detections, result: Result) -> None:
    if not len(detections):
        print(f"warning: {name}: no detections at all, so every miss rate is 100 %", file=sys.stderr)
    differ = [key for key, subset in result.subsets.items() if subset.lamr_corrected != subset.lamr == subset.lamr]
    if differ:
        print(
            f"warning: {name}: the published program reads the final recall before the curve's first point, which "
            f"changes {', '.join(differ)}; 'corrected' reads a recall of 0 there",
            file=sys.stderr,
        )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _title(options: argparse.Namespace) -> str:
    return Path(options.ground_truth).name if options.ground_truth else options.dataset


def _draw_worst(options: argparse.Namespace, cases: list[Case], protocol: str) -> None:
    from upright.detector.evaluation.worst import draw_worst

    count, path = int(options.worst[0]), Path(options.worst[1])
    for case in cases:
        end = case.name.replace(" ", "_")
        target = path if len(cases) == 1 else path.with_name(f"{path.stem}_{end}{path.suffix}")
        picture = _pictures(options, case.dataset, case.annotations)
        draw_worst(target, case.annotations, case.detections, count, picture=picture, protocol=protocol)


def _pictures(
    options: argparse.Namespace, dataset: PedestrianDataset | None, annotations: Annotations
) -> Callable[[int], np.ndarray | None]:
    """Picture by row, or None where only annotations are there."""

    def picture(row: int) -> np.ndarray | None:
        try:
            if dataset is not None:
                return dataset[row].image
            path = Path(options.ground_truth).parent / annotations.file_names[row]
            return read_picture(path) if path.is_file() else None
        except InputError:
            return None

    return picture


if __name__ == "__main__":
    run(main)
