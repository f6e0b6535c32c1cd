"""A detector for one camera: trained on with a hundred of its pictures, measured on others before and after.

    python experiments/detector/camera.py --root PICTURES --annotations street_train.json --prefix images/city_ \\
        --weights START --document docs/detector.md --figures docs/detector.json

The pictures of the camera are those of the annotations whose file names begin with --prefix. Of these --pictures are
drawn to train on by tools/train.py, all others are measured on. START must not have seen them. It can be stopped at any
time: the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from upright.datasets.registry import open_dataset
from upright.detector.engines.torch_engine import TorchEngine
from upright.detector.inference import detect_dataset
from upright.detector.weights import load_detector
from upright.errors import InputError
from upright.experiments.detector.measure import COLUMNS, Figures, cells, measure
from upright.experiments.detector.trainings import train
from upright.experiments.harness import kept, positive, refuse_places, write_places
from upright.output import whole_file
from upright.tools.command import run
from upright.tools.report import table

BLOCK = "camera"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--root", required=True, type=Path, metavar="PICTURES", help="folder of pictures")
    p.add_argument("--annotations", required=True, metavar="FILE", help="COCO JSON with the camera's pictures")
    p.add_argument("--prefix", default="", help="file names of the camera's pictures begin so (default: all)")
    p.add_argument("--weights", required=True, metavar="FILE", help="to start from")
    p.add_argument("--pictures", type=positive, default=100, metavar="N", help="to train on (default 100)")
    p.add_argument("--steps", type=positive, default=400, metavar="N", help="of 8 pictures (default 400)")
    p.add_argument("--learning-rate", default="0.0002", metavar="X", help="at its highest (default 0.0002)")
    p.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N", help="a draw and a training each")
    p.add_argument("--runs", type=Path, default=Path("runs/camera"), metavar="DIR", help="default runs/camera")
    p.add_argument("--document", type=Path, metavar="FILE", help=f"Markdown whose block '{BLOCK}' to rewrite")
    p.add_argument("--figures", type=Path, metavar="FILE", help=f"JSON whose entry '{BLOCK}' to rewrite")
    return p


def main() -> None:
    options = parser().parse_args()
    refuse_places(options, BLOCK)
    results = {}
    for seed in options.seeds:
        conditions = {
            name: str(getattr(options, name))
            for name in ("annotations", "prefix", "pictures", "steps", "learning_rate")
        }
        results[str(seed)] = kept(options.runs / f"{seed}.json", conditions, partial(work, options, seed))
    lines = report(options, results)
    write_places(options, BLOCK, lines, results)
    print("\n".join(lines))


def work(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train with one draw of the camera's pictures and measure on the rest, before and after."""
    mine, others = drawn(options, seed)
    directory = options.runs / str(seed)
    before = measured(options.weights, options.root, others)
    start = time.monotonic()
    train(
        [
            *("--dataset", "coco", "--root", str(options.root), "--annotations", str(mine.absolute())),
            *("--val-annotations", str(others.absolute()), "--validate-every", "0", "--weights", options.weights),
            *("--max-steps", str(options.steps), "--learning-rate", options.learning_rate, "--backbone-rate", "0.3"),
            *("--precision", "bfloat16", "--min-height", "10", "--device", "cpu", "--seed", str(seed)),
            *("--output", str(directory), "--resume"),
        ]
    )
    seconds = time.monotonic() - start
    after = measured(directory / "last.safetensors", options.root, others)
    return {
        "before": before,
        "after": after,
        "seconds": seconds,
        "measured_on": len(json.loads(others.read_text())["images"]),
    }


def drawn(options: argparse.Namespace, seed: int) -> tuple[Path, Path]:
    """Annotations of the pictures to train on, and of the others, written below --runs.

    Raises:
        InputError: the file cannot be read, or has not more than --pictures of the camera.
    """
    file = options.root / options.annotations
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the annotations {file} ({error}): give a COCO JSON below --root") from None
    images = [image for image in content["images"] if image["file_name"].startswith(options.prefix)]
    if len(images) <= options.pictures:
        raise InputError(
            f"{file} has {len(images)} pictures whose names begin with '{options.prefix}': fewer --pictures than that "
            "leave some to measure on"
        )
    order = np.random.default_rng(seed).permutation(len(images))
    files = []
    for name, rows in (("train", order[: options.pictures]), ("others", order[options.pictures :])):
        chosen = [images[row] for row in sorted(rows)]
        ids = {image["id"] for image in chosen}
        part = {
            **content,
            "images": chosen,
            "annotations": [one for one in content["annotations"] if one["image_id"] in ids],
        }
        options.runs.mkdir(parents=True, exist_ok=True)
        files.append(options.runs / f"{seed}-{name}-annotations.json")
        with whole_file(files[-1]) as temporary:
            temporary.write_text(json.dumps(part), encoding="utf-8")
    return files[0], files[1]


def measured(weights: str | Path, root: Path, annotations: Path) -> Figures:
    """The figures of `measure` for a weights file."""
    dataset = open_dataset("coco", root, "val", annotations=[str(annotations.absolute())])
    return measure(dataset.annotations, detect_dataset(TorchEngine(load_detector(weights)), dataset))


def report(options: argparse.Namespace, results: dict[str, dict[str, Any]]) -> list[str]:
    """The command and the table, means over the seeds."""
    before = [one["before"] for one in results.values()]
    after = [one["after"] for one in results.values()]
    minutes = sum(one["seconds"] for one in results.values()) / len(results) / 60
    pictures = next(iter(results.values()))["measured_on"]
    seeds = " ".join(map(str, options.seeds))
    return [
        f"`python experiments/detector/camera.py --root PICTURES --annotations {options.annotations} "
        f"--prefix '{options.prefix}' --weights START --pictures {options.pictures} --steps {options.steps} "
        f"--learning-rate {options.learning_rate} --seeds {seeds} --document docs/detector.md "
        "--figures docs/detector.json`",
        "",
        f"{options.pictures} pictures of the camera, {options.steps} steps of 8 in {minutes:.0f} minutes, measured on "
        f"its {pictures} others; in brackets the difference to before:",
        "",
        *table(["detector", *COLUMNS.values()], [["before", *cells(before)], ["after", *cells(after, before)]]),
    ]


if __name__ == "__main__":
    run(main)
