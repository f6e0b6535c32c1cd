"""Short trainings side by side: the same steps, seed and pictures, and one thing that differs from the base.

    python experiments/detector/trainings.py --root PICTURES --body BODY --head-weights HEAD --imagenet IMAGENET \\
        --document docs/detector.md --figures docs/detector.json

Each row is a training by tools/train.py below --runs, then its last weights measured on --val-annotations. It can be
stopped at any time: the same command goes on where it was, and what is finished is not done again. Document and
figures are written after every row.

BODY and HEAD are the two files of NanoDet-Plus-m that the first stage starts from, IMAGENET torchvision's weights of
MobileNetV2; without IMAGENET its row is left out.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from upright.datasets.hold_out import hold_out
from upright.datasets.registry import open_dataset
from upright.detector.engines.torch_engine import TorchEngine
from upright.detector.inference import detect_dataset
from upright.detector.weights import load_detector
from upright.errors import InputError
from upright.experiments.detector.measure import COLUMNS, Figures, cells, measure
from upright.experiments.harness import found, kept, positive, refuse_places, write_places
from upright.tools.command import run
from upright.tools.report import table

BLOCK = "trainings"
ANNOTATIONS = ("street_train.json", "voc_train.json", "coco_train.json", "coco2_train.json", "neg_train.json")

# What all rows have in common. Files are called by the flags that name them: they lie elsewhere on every machine.
BASE = {
    "--backbone-weights": "BODY HEAD",
    "--backbone-rate": "0.3",
    "--precision": "bfloat16",
    "--min-height": "10",
    "--validate-every": "0",
    "--device": "cpu",
}


@dataclass(frozen=True)
class Row:
    """A training of the table.

    Attributes:
        asks: what is compared, in words.
        flags: of tools/train.py that differ from `BASE`.
        rendered: share of rendered pictures among all, under 1.
        left_out: annotation files that are not trained on.
    """

    asks: str
    flags: dict[str, str] = field(default_factory=dict)
    rendered: float = 0.0
    left_out: tuple[str, ...] = ()


ROWS = {
    "base": Row("the preset `light`"),
    "anchors": Row(
        "proposals of torchvision's anchors on the same maps, the region's score alone",
        {"--proposals": "anchors", "--fusion": "region", "--backbone-weights": "BODY"},
    ),
    "region's score": Row("the region's score alone", {"--fusion": "region"}),
    "sum": Row("the sum of both stages' logits instead of the product of their scores", {"--fusion": "sum"}),
    "gradient to the maps": Row("the region head's losses reach the first stage too", {"--head-gradient": "maps"}),
    "no dropout": Row("a region head without dropout", {"--head-dropout": "0"}),
    "class": Row("a region's score learnt as person or not, instead of overlap", {"--score-target": "class"}),
    "mobilenet": Row(
        "MobileNetV2 with ImageNet weights (preset `mobilenet`)",
        {
            "--preset": "mobilenet",
            "--crop-height": "480",
            "--crop-width": "640",
            "--max-size": "640",
            "--backbone-weights": "IMAGENET",
        },
    ),
    "rendered fifth": Row("rendered pictures besides, a fifth of all", rendered=0.2),
    "rendered half": Row("rendered pictures besides, half of all", rendered=0.5),
    "no empty pictures": Row("without the pictures without anybody", left_out=("neg_train.json",)),
    "no average": Row("the last weights instead of their moving average", {"--ema-decay": "0"}),
    "first stage 1.0": Row("the first stage learns as fast as the rest", {"--backbone-rate": "1.0"}),
    "first stage 0.1": Row("the first stage learns at a tenth", {"--backbone-rate": "0.1"}),
    "no transformers": Row("RoIAlign instead of transformers", {"--transformers": "0"}),
    "mosaics": Row("half of the pictures made of four", {"--mosaics": "0.5"}),
}


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--root", required=True, metavar="PICTURES", help="folder of pictures with COCO-style files")
    p.add_argument("--annotations", nargs="+", default=list(ANNOTATIONS), metavar="FILE", help="to train on")
    p.add_argument("--val-annotations", nargs="+", default=["coco_val2017.json"], metavar="FILE", help="to measure on")
    p.add_argument("--hold-out", type=int, default=15, metavar="N", help="as for tools/train.py (default 15)")
    p.add_argument("--body", required=True, metavar="FILE", help="nanodet_plus_m_416_coco.safetensors")
    p.add_argument("--head-weights", required=True, metavar="FILE", help="nanodet_plus_m_416_coco_head.safetensors")
    p.add_argument("--imagenet", metavar="FILE", help="mobilenet_v2_imagenet.safetensors, for the row mobilenet")
    p.add_argument("--steps", type=positive, default=200, metavar="N", help="of each training (default 200)")
    p.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N", help="a training each (default 0)")
    p.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="NAME", help=", ".join(ROWS))
    p.add_argument("--runs", type=Path, default=Path("runs/compare"), metavar="DIR", help="default runs/compare")
    p.add_argument("--document", type=Path, metavar="FILE", help=f"Markdown whose block '{BLOCK}' to rewrite")
    p.add_argument("--figures", type=Path, metavar="FILE", help=f"JSON whose entry '{BLOCK}' to rewrite")
    return p


def main() -> None:
    options = parser().parse_args()
    # What would fail after hours of training fails here.
    for file in filter(None, (options.body, options.head_weights, options.imagenet)):
        if not Path(file).is_file():
            raise InputError(f"the weights {file} do not exist: see --help for what they are")
    refuse_places(options, BLOCK)
    comparison = Comparison(options)

    names = [name for name in options.only if name != "mobilenet" or options.imagenet]
    if len(names) < len(options.only):
        print("mobilenet is left out: name its weights by --imagenet", file=sys.stderr)
    for name in names:
        for seed in options.seeds:
            comparison.refuse_other(name, seed)
    # Seeds outside, rows inside: what is cut short has compared all rows.
    for seed in options.seeds:
        for number, name in enumerate(names, start=1):
            print(f"row {number} of {len(names)}: {name}, seed {seed}", file=sys.stderr)
            comparison.finish(name, seed)
            comparison.write()
    print("\n".join(comparison.lines()))


class Comparison:
    """The rows as they are kept below --runs.

    Args:
        options: of the command line.

    Raises:
        InputError: pictures or annotations cannot be used.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.validation = open_dataset("coco", options.root, "val", annotations=options.val_annotations)

    def refuse_other(self, name: str, seed: int) -> None:
        """Raises InputError where a row is kept of other steps, pictures or flags."""
        file = self._file(name, seed)
        if file.exists() and found(file, self._conditions(name, seed)) is None:
            raise InputError(f"{file} was trained on other conditions than this command's: pass another --runs")

    def finish(self, name: str, seed: int) -> Figures:
        """Train and measure what is not kept yet."""
        return kept(self._file(name, seed), self._conditions(name, seed), partial(self._work, name, seed))

    def write(self) -> None:
        """The table and the raw figures, of what is kept."""
        write_places(self.options, BLOCK, self.lines(), self.results())

    def results(self) -> dict[str, dict[str, Any]]:
        """By row and seed what is kept of it for this command's conditions."""
        everything: dict[str, dict[str, Any]] = {}
        for name in ROWS:
            for seed in self.options.seeds:
                if (result := found(self._file(name, seed), self._conditions(name, seed))) is not None:
                    everything.setdefault(name, {})[str(seed)] = result
        return everything

    def lines(self) -> list[str]:
        """The command and the table, differences to the base over the seeds that both have."""
        options, results = self.options, self.results()
        places = "--root PICTURES --body BODY --head-weights HEAD --imagenet IMAGENET"
        seeds = " ".join(map(str, options.seeds))
        base = results.get("base", {})
        rows = []
        for name, by_seed in results.items():
            shared = [seed for seed in by_seed if seed in base] if name != "base" else []
            own = [by_seed[seed] for seed in shared or by_seed]
            step = statistics.fmean(one["seconds_a_step"] for one in own)
            figures = cells(own, [base[seed] for seed in shared] or None)
            rows.append([name, ROWS[name].asks, str(len(own)), *figures, f"{step:.2f}"])
        measured = " and ".join(Path(file).name for file in options.val_annotations)
        return [
            f"`python experiments/detector/trainings.py {places} --steps {options.steps} --seeds {seeds} "
            "--document docs/detector.md --figures docs/detector.json`",
            "",
            f"{options.steps} steps of 8 pictures, measured on the {len(self.validation)} pictures of {measured}; in "
            "brackets the difference to the base:",
            "",
            *table(["row", "what differs", "seeds", *COLUMNS.values(), "processor s a step"], rows),
        ]

    def _file(self, name: str, seed: int) -> Path:
        return self.options.runs / f"{name.replace(' ', '-')}-{seed}.json"

    def _conditions(self, name: str, seed: int) -> dict[str, Any]:
        """What decides a row's figures; of files the names, whose places are no matter."""
        return {
            "arguments": self.arguments(name, seed),
            "val_annotations": [Path(file).name for file in self.options.val_annotations],
        }

    def arguments(self, name: str, seed: int) -> list[str]:
        """The flags of tools/train.py that decide a row, files by the names of `BASE`, annotations without folder."""
        row, options = ROWS[name], self.options
        flags = {**BASE, "--hold-out": str(options.hold_out), "--max-steps": str(options.steps), "--seed": str(seed)}
        flags |= row.flags
        if row.rendered:
            flags["--extra-synthetic"] = str(round(self.photographs * row.rendered / (1 - row.rendered)))
        annotations = [Path(file).name for file in self._annotations(row)]
        return [
            "--dataset",
            "coco",
            "--annotations",
            *annotations,
            *(word for flag, values in flags.items() for word in (flag, *values.split())),
        ]

    def _annotations(self, row: Row) -> list[str]:
        return [file for file in self.options.annotations if Path(file).name not in row.left_out]

    @cached_property
    def photographs(self) -> int:
        """How many are trained on."""
        dataset = open_dataset("coco", self.options.root, "train", annotations=self.options.annotations)
        return len(hold_out(dataset, self.options.hold_out)[0] if self.options.hold_out else dataset)

    def _work(self, name: str, seed: int) -> dict[str, Any]:
        options, directory = self.options, self._file(name, seed).with_suffix("")
        files = {"BODY": options.body, "HEAD": options.head_weights, "IMAGENET": options.imagenet}
        files |= {Path(file).name: file for file in options.annotations}
        arguments = [files.get(word, word) for word in self.arguments(name, seed)]
        train([*arguments, "--root", options.root, "--output", str(directory), "--resume"])
        model = load_detector(directory / "last.safetensors")
        detections = detect_dataset(TorchEngine(model), self.validation)
        return measure(self.validation.annotations, detections) | {"seconds_a_step": seconds_a_step(directory)}


def train(arguments: Sequence[str]) -> None:
    """Run tools/train.py to the end.

    Raises:
        SystemExit: it ended with a fault, which it has printed.
        KeyboardInterrupt: this process was stopped, and the training has saved its state.
    """
    if status := finished([sys.executable, "-m", "upright.tools.train", *arguments]):
        raise SystemExit(status)


def finished(command: Sequence[str]) -> int:
    """Exit status of a command that hears of a signal to this process, once, and gets the time to save its work."""
    # In a session of its own: a terminal would send Ctrl-C to both, and a second one ends a training at once.
    process = subprocess.Popen(command, start_new_session=True)
    try:
        with polite_kill_as_interrupt():
            return process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise


@contextmanager
def polite_kill_as_interrupt() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt, as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def seconds_a_step(directory: Path) -> float:
    """Median processor seconds of a step, of the log of a run; what loads pictures is another process.

    Raises:
        InputError: the log is not there or has no times.
    """
    file = directory / "log.jsonl"
    try:
        entries = [json.loads(line) for line in file.read_text().splitlines()]
        return statistics.median(e["processor_seconds_a_step"] for e in entries if "losses" in e)
    except (OSError, ValueError, KeyError):
        raise InputError(f"{file} holds no times of steps: delete the run and train again") from None


if __name__ == "__main__":
    run(main)
