"""Whole detectors side by side, those with and without transformers: what runs and their evaluations say.

    python tools/train.py --transformers 4 ... --output runs/four
    python tools/train.py --transformers 0 ... --output runs/none
    python tools/evaluate.py --dataset synthetic --weights runs/four/last.safetensors --json runs/four/synthetic.json
    python tools/evaluate.py --dataset synthetic --weights runs/none/last.safetensors --json runs/none/synthetic.json
    python experiments/heads/whole_detectors.py runs/four runs/none --document docs/head.md

Each run holds its last weights, the log of its training and what `tools/evaluate.py --json` wrote there, one file for
each data set. Measured is the last state of a training, never the best.
"""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from upright.detector.weights import read_metadata
from upright.errors import InputError
from upright.tools.command import run
from upright.tools.report import number, percent, table, write_block

SUBSETS = ("Reasonable", "All")
NOT_EVALUATIONS = ("settings.json",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--document", type=Path, metavar="FILE", help="Markdown whose 'whole' block to rewrite")
    arguments = parser.parse_args()
    lines = report(arguments.runs)
    print("\n".join(lines))
    if arguments.document:
        write_block(arguments.document, "whole", lines)


def report(runs: list[Path]) -> list[str]:
    """The commands, then a row for each data set and run, then those by pose and lean, then theta."""
    lines: list[str] = []
    rows: list[list[str]] = []
    groups: dict[tuple[str, str], list[str]] = {}
    thetas: list[list[str]] = []
    for directory in runs:
        name = directory.name
        provenance = read_metadata(directory / "last.safetensors")[1]
        lines += [f"{name}, {provenance['steps']} steps:", "", "```", shown(provenance["command"], name), "```", ""]
        for data, figures in evaluations(directory).items():
            coco = [number(figures["coco"][measure]) for measure in ("AP", "AP50")]
            rates = [percent(figures["subsets"][subset]["lamr_corrected"]) for subset in SUBSETS]
            rows.append([data, name, str(figures["images"]), *rates, *coco])
            for group, value in (figures.get("poses", {}) | figures.get("leans", {})).items():
                groups.setdefault((data, group), [str(value["ground_truths"])]).append(percent(value["lamr"]))
        thetas += [[name, *row] for row in theta_rows(directory)]
    rows.sort(key=lambda row: row[0])
    lines += table(["data set", "run", "pictures", *(f"MR {subset}" for subset in SUBSETS), "AP", "AP50"], rows)
    names = [directory.name for directory in runs]
    lines += ["", *table(["data set", "", "people", *names], [[*group, *cells] for group, cells in groups.items()])]
    if thetas:
        lines += ["", "Theta of the regions of the last step that was logged:", ""]
        lines += table(["run", "transformer", "mean", "deviation between regions", "at bounds"], thetas)
    return lines


def shown(command: str, name: str) -> str:
    """The command of a training; wherever its run lay, for readers it lies in runs/."""
    words = shlex.split(command)
    if "--output" in words[:-1]:
        words[words.index("--output") + 1] = f"runs/{name}"
    return shlex.join(words)


def evaluations(directory: Path) -> dict[str, dict[str, Any]]:
    """What `tools/evaluate.py --json` wrote into a run, by data set.

    Raises:
        InputError: nothing, or a file that it did not write.
    """
    found = {}
    for file in sorted(directory.glob("*.json")):
        if file.name in NOT_EVALUATIONS:
            continue
        figures = json.loads(file.read_text())
        if "subsets" not in figures:
            raise InputError(f"{file} was not written by tools/evaluate.py --json: move it away")
        found[file.stem] = figures
    if not found:
        raise InputError(f"{directory} holds no evaluation: run tools/evaluate.py --json {directory}/NAME.json first")
    return found


def theta_rows(directory: Path) -> list[list[str]]:
    """Transformer, mean, standard deviation and share at the bounds, of the last entry of the log that has theta."""
    entries = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    thetas = [entry["theta"] for entry in entries if entry.get("theta")]
    if not thetas:
        return []
    return [
        [number_of, vector(one["mean"]), vector(one["std"]), percent(one["at_bounds"])]
        for number_of, one in thetas[-1].items()
    ]


def vector(values: list[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)


if __name__ == "__main__":
    run(main)
