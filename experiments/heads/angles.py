"""From which angle on is a canonical pose worth something? Whole detectors side by side, and what an oracle could gain.

    python experiments/heads/angles.py --weights FIRST.safetensors --root PICTURES --fisheye FISHEYE --frozen \\
        --document docs/head.md --figures docs/head.json
    python experiments/heads/angles.py --only none canonical --kinds turned --seeds 1
    python experiments/heads/angles.py --quick

Each method is trained on upright pictures and on pictures turned by any angle, from the same first stage (that of
--weights), region head and transformers from random numbers, all on the same pictures in the same order, and its last
state is measured. PICTURES is a folder with COCO-style files, of people with outlines and joints; FISHEYE holds
overhead pictures and boxes.json. Without them people are rendered, to learn from and to measure on.

A run that was stopped goes on where it was with the same command; what is finished is not done again. Several processes
may share the work by --kinds, --only or --first-seed with one --output, and --collect writes what all have done.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from upright.datasets.registry import open_dataset
from upright.datasets.soundness import file_digest
from upright.detector.model import Detector
from upright.detector.run_directory import RunDirectory
from upright.detector.settings import PRESETS, Settings
from upright.detector.training_options import TrainingOptions, TrainingPace
from upright.detector.weights import RELEASED, load_detector
from upright.experiments.harness import add_arguments, command, found, in_turn, kept, parsed, positive, write_figures
from upright.experiments.heads.columns import Column, columns, detect_side_by_side, donors_of, figures
from upright.experiments.heads.methods import BASE, KINDS, LATER, METHODS, built, share_first_stage
from upright.experiments.heads.oracle import Donors, OraclePool
from upright.experiments.heads.report import BLOCK, Results, draw_figure, lines
from upright.experiments.heads.side_by_side import Trainee, train_side_by_side
from upright.experiments.heads.training_pictures import posed_pictures, training_pictures
from upright.output import whole_file
from upright.tools.command import add_flags, given_options, run
from upright.tools.report import write_block

ANNOTATIONS = ("street_train.json", "voc_train.json", "coco_train.json", "coco2_train.json", "neg_train.json")
ROUNDS = 9  # of the timing


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(p, steps=500, output="runs/heads")
    p.add_argument("--weights", type=Path, default=RELEASED, metavar="FILE", help="whose first stage all start from")
    p.add_argument("--root", metavar="PICTURES", help="folder of photographs with COCO-style files")
    p.add_argument("--annotations", nargs="+", default=list(ANNOTATIONS), metavar="FILE", help="to train on")
    p.add_argument("--val-annotations", nargs="+", default=["coco_val2017.json"], metavar="FILE", help="to measure on")
    p.add_argument("--hold-out", type=int, default=15, metavar="N", help="as for tools/train.py (default 15)")
    p.add_argument("--fisheye", metavar="FISHEYE", help="folder of overhead fisheye pictures with boxes.json")
    p.add_argument("--rendered", type=positive, default=700, metavar="N", help="rendered pictures to train on")
    p.add_argument("--val-rendered", type=positive, default=200, metavar="N", help="to measure on, each roll")
    p.add_argument("--every", type=positive, default=1, metavar="N", help="measure on every Nth photograph alone")
    p.add_argument("--donors", type=positive, default=200, metavar="N", help="pictures whose people pose for the rest")
    p.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    p.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    p.add_argument("--first-seed", type=int, default=0, metavar="N", help="where --seeds begin to count (default 0)")
    p.add_argument("--frozen", action="store_true", help="the first stage does not learn: a first look, much faster")
    p.add_argument("--start-taught", action="store_true", help="taught transformers start from those of --weights, too")
    p.add_argument("--threads", type=positive, default=1, metavar="N", help="of torch (default 1)")
    p.add_argument("--collect", action="store_true", help="train and measure nothing, write what is kept")
    settings = p.add_argument_group("all detectors")
    add_flags(settings, Settings, whose="light")
    training = p.add_argument_group("all trainings")
    add_flags(training, TrainingOptions)
    p.set_defaults(backbone_rate=0.3, precision="bfloat16", seed=None)
    return p


def main() -> None:
    quick = {"steps": 2, "rendered": 8, "val_rendered": 3, "donors": 4, "batch_size": 2}
    options = parsed(parser(), BLOCK, quick)
    if options.quick:
        options.every = max(options.every, 60)
    torch.set_num_threads(options.threads)
    grid = Grid(options)
    if not options.collect:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            for kind in options.kinds:
                grid.train(kind, seed)
                grid.measure(kind, seed)
                grid.write()
        grid.measure_price()
    grid.write()
    print("\n".join(grid.lines()))


class Grid:
    """All trainings, by kind, method and seed, as they are kept below --output.

    Raises:
        InputError: the weights to start from cannot be used, or settings that no detector can have.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.output: Path = options.output
        self.base = replace(PRESETS["light"], **(BASE | given_options(options, Settings)))
        self.start = load_detector(options.weights)
        self.digest = file_digest(options.weights)

    # What decides the results; of files the names and contents, whose places are no matter.

    def training_options(self, method: str, seed: int) -> TrainingOptions:
        given = given_options(self.options, TrainingOptions) | {"seed": seed}
        given.pop("steps", None)
        if self.options.frozen:
            given["learn"] = LATER
        return TrainingOptions.chosen(self.options.steps, METHODS[method].options(given))

    def conditions(self, method: str, kind: str, seed: int) -> dict[str, Any]:
        names = ("rendered", "hold_out", "donors")
        data = {name: getattr(self.options, name) for name in names}
        data["annotations"] = self._names(self.options.annotations)
        settings = asdict(replace(self.base, **METHODS[method].settings))
        training = asdict(self.training_options(method, seed))
        everything = {"detector": settings, "training": training, "data": data | {"turn": KINDS[kind]}}
        return json.loads(
            json.dumps(
                everything
                | {
                    "start": self.digest,
                    "start_taught": self.options.start_taught,
                    "oracle": METHODS[method].oracle,
                }
            )
        )

    def built(self, method: str, seed: int) -> Detector:
        return built(METHODS[method], self.base, self.start, seed, taught=self.options.start_taught)

    def _names(self, files: list[str]) -> list[str]:
        return [Path(file).name for file in files] if self.options.root else []

    def directory(self, method: str, kind: str, seed: int) -> Path:
        return self.output / f"{kind}-{method}-{seed}"

    # Training.

    def train(self, kind: str, seed: int) -> None:
        """Train what is not trained yet, side by side."""
        trainees = {}
        for method in self.options.only:
            path = self.directory(method, kind, seed)
            conditions = self.conditions(method, kind, seed)
            directory = RunDirectory(path, conditions, resume=True, provenance={"method": method, "kind": kind})
            model = self.built(method, seed)
            trainee = Trainee.resumed(model, self.training_options(method, seed), directory)
            if trainee.state.step < trainee.options.steps:
                trainees[method] = trainee
                if isinstance(model.pool, OraclePool):
                    model.pool.donors = self.training_donors(kind)
            else:
                directory.close()
        if not trainees:
            return
        begun = time.process_time()
        try:
            train_side_by_side(
                trainees,
                training_pictures(self.options, self.base, KINDS[kind], seed),
                TrainingPace(),
                shared=self.options.frozen,
            )
        finally:
            for trainee in trainees.values():
                trainee.directory.close()
        minutes = (time.process_time() - begun) / 60
        for method in trainees:
            self.log(
                f"trained {kind} {method} {seed}: {self.options.steps} steps, {minutes:.1f} minutes of all together"
            )

    def log(self, line: str) -> None:
        """One line for everything that was finished."""
        with (self.output / "log.txt").open("a") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
        print(line, file=sys.stderr)

    # Poses for the oracle.

    def training_donors(self, kind: str) -> Donors:
        """Of some pictures of each part that show people with joints, as they are trained on."""

        def gather() -> Donors:
            pictures = training_pictures(self.options, self.base, KINDS[kind], 0)
            return Donors.gathered(self.start, posed_pictures(pictures, self.options.donors), resized=True)

        return self._kept_donors(f"donors-{kind}", gather)

    def _kept_donors(self, name: str, gather: Any) -> Donors:
        """Donors by the first stage that all start from; kept in a file, as they take minutes."""
        asked = (self.options.rendered, self.options.val_rendered, self.options.every, self.options.donors)
        key = "-".join([name.replace(" ", "-").replace(",", ""), self.digest[:8], *map(str, asked)])
        file = self.output / f"{key}.safetensors"
        if not file.exists():
            donors = gather()
            columns = {field: getattr(donors, field).contiguous() for field in ("boxes", "scene", "theta", "seen")}
            with whole_file(file) as temporary:
                save_file(columns, temporary)
        return Donors(**load_file(file))

    # Measuring.

    @cached_property
    def columns(self) -> dict[str, Column]:
        return columns(self.options)

    def figures_file(self, method: str, kind: str, seed: int, column: str) -> Path:
        return self.directory(method, kind, seed) / f"{column.replace(' ', '-').replace(',', '')}.json"

    def measured_on(self, column: str) -> dict[str, Any]:
        """The conditions that the figures of a column have besides those of the training."""
        if column.startswith("rendered"):
            return {"column": column, "pictures": self.options.val_rendered}
        if column.startswith("photographs"):
            names = self._names(self.options.val_annotations)
            return {"column": column, "annotations": names, "every": self.options.every}
        return {"column": column}

    def figures_conditions(self, method: str, kind: str, seed: int, column: str) -> dict[str, Any]:
        return self.conditions(method, kind, seed) | {"measured": self.measured_on(column)}

    def measure(self, kind: str, seed: int) -> None:
        """Measure what is not measured yet, of all methods on the same pictures."""
        pending: dict[str, list[str]] = {}
        for name, column in self.columns.items():
            able = [m for m in self.options.only if column.joints or not METHODS[m].oracle]
            pending[name] = [m for m in able if self.result(m, kind, seed, name) is None]
        asked = [m for m in self.options.only if any(m in methods for methods in pending.values())]
        if not asked:
            return
        models = {method: self.trained(method, kind, seed) for method in asked}
        if self.options.frozen:
            share_first_stage(list(models.values()))
        for name, column in self.columns.items():
            for model in (models[m] for m in pending[name]):
                if isinstance(model.pool, OraclePool):
                    model.pool.donors = self._kept_donors(f"donors-{name}", partial(donors_of, self.start, column))
            found_people = detect_side_by_side({m: models[m] for m in pending[name]}, column) if pending[name] else {}
            for method in pending[name]:
                file = self.figures_file(method, kind, seed, name)
                work = partial(figures, column, found_people[method])
                result = kept(file, self.figures_conditions(method, kind, seed, name), work)
                rate = result["same people"]
                shown = "nobody" if rate is None else f"miss rate {100 * rate:.1f} %"
                self.log(f"measured {kind} {method} {seed} on {name}: {shown}")

    def trained(self, method: str, kind: str, seed: int) -> Detector:
        model = self.built(method, seed)
        file = self.directory(method, kind, seed) / "last.safetensors"
        model.load_state_dict(load_detector(file).state_dict())
        return model.eval()

    def result(self, method: str, kind: str, seed: int, column: str) -> dict[str, Any] | None:
        file = self.figures_file(method, kind, seed, column)
        return found(file, self.figures_conditions(method, kind, seed, column))

    def measure_price(self) -> dict[str, Any]:
        """Processor seconds of a picture, all methods in turn, and parameters; trained or not is the same."""
        settings = {name: asdict(replace(self.base, **m.settings)) for name, m in METHODS.items() if not m.oracle}
        conditions = json.loads(json.dumps({"settings": settings, "threads": self.options.threads}))

        def work() -> dict[str, Any]:
            models = {name: built(METHODS[name], self.base, self.start, 0).eval() for name in settings}
            sample = open_dataset("synthetic", split="val", length=1)[0]
            image = torch.from_numpy(sample.image).permute(2, 0, 1) / 255

            @torch.inference_mode()
            def detect(model: Detector) -> None:
                model([image])

            seconds = in_turn({name: partial(detect, model) for name, model in models.items()}, ROUNDS, "cpu")
            parameters = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
            return {"seconds": seconds, "parameters": parameters}

        return kept(self.output / "price.json", conditions, work)

    # Writing.

    def results(self) -> Results:
        """By kind, method and seed, then by column, what is kept of this command's conditions."""
        everything: Results = {}
        for kind in KINDS:
            for method in METHODS:
                for seed in range(self.options.first_seed + self.options.seeds):
                    got = {name: self.result(method, kind, seed, name) for name in self.columns}
                    done = {name: without_conditions(one) for name, one in got.items() if one is not None}
                    if done:
                        everything.setdefault(kind, {}).setdefault(method, {})[str(seed)] = done
        return everything

    def price(self) -> dict[str, Any] | None:
        file = self.output / "price.json"
        return without_conditions(json.loads(file.read_text())) if file.exists() else None

    def lines(self) -> list[str]:
        said = [command("--root", "--fisheye", "--weights", "--output", "--kinds", "--threads"), ""]
        what = "the first stage frozen" if self.options.frozen else "the whole detector learning"
        training = f"{self.options.steps} steps of {self.training_options('none', 0).batch_size} pictures, {what}"
        if self.options.start_taught:
            training += ", taught transformers as the start has them"
        return [*said, f"{training}.", "", *lines(self.results(), self.price())]

    def write(self) -> None:
        """The tables, the figure and the raw figures, of what is kept."""
        if self.options.document:
            draw_figure(self.results(), self.options.document.parent / "pictures" / "angles.png")
            write_block(self.options.document, BLOCK, self.lines())
        if self.options.figures:
            write_figures(self.options.figures, BLOCK, {"results": self.results(), "price": self.price()})


def without_conditions(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name != "conditions"}


if __name__ == "__main__":
    run(main)
