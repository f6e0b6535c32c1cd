"""Make a released weights file of a run, and write its figures into the model card and the README.

    python tools/release.py runs/people/last.safetensors --figures synthetic=a.json coco_val=b.json

The figures are what `tools/evaluate.py --json` wrote for the released file; so it is called twice: first without
figures to write the file, then, after the evaluations, with them.
"""

from __future__ import annotations

import argparse
import json
from itertools import takewhile
from pathlib import Path
from typing import Any

from upright.errors import InputError
from upright.tools.command import run
from upright.tools.report import number, percent, table, write_block

SUBSETS = ("Reasonable", "Small", "Heavy", "All")
LIMIT = 16e6  # bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="of a run")
    parser.add_argument("--output", type=Path, default=Path("weights/upright-light.safetensors"), metavar="FILE")
    parser.add_argument("--card", type=Path, default=Path("weights/README.md"), metavar="FILE", help="the model card")
    parser.add_argument("--readme", type=Path, default=Path("README.md"), metavar="FILE", help="gets the first table")
    parser.add_argument("--figures", nargs="+", default=[], metavar="NAME=JSON", help="of tools/evaluate.py")
    arguments = parser.parse_args()

    from upright.detector.weights import load_detector, read_metadata, save_weights

    settings, provenance = read_metadata(arguments.weights)
    save_weights(arguments.output, load_detector(arguments.weights), provenance, half=True)
    size = arguments.output.stat().st_size
    if size > LIMIT:
        raise InputError(f"{arguments.output} has {size / 1e6:.1f} MB, a released file at most {LIMIT / 1e6:.0f} MB")
    lines = [f"`{arguments.output.name}`, {size / 1e6:.1f} MB, float16. Trained by", ""]
    for stage in stages(provenance):
        lines += ["```", stage["command"], "```", "", f"up to step {stage['steps']}.", ""]
    lines += ["Settings:", "", "```json", settings.to_json(), "```"]
    write_block(arguments.card, "training", lines)
    if arguments.figures:
        lines = figure_lines(arguments.figures)
        write_block(arguments.card, "figures", lines)
        write_block(arguments.readme, "figures", list(takewhile(bool, lines)))


def stages(provenance: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs that the weights came through, the first one first."""
    earlier = stages(provenance["started_from"]) if "started_from" in provenance else []
    return [*earlier, {"command": provenance["command"], "steps": provenance["steps"]}]


def figure_lines(named: list[str]) -> list[str]:
    reports = {}
    for item in named:
        name, _, path = item.partition("=")
        try:
            reports[name] = json.loads(Path(path).read_text())
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot read the figures {path} ({error}): write them by tools/evaluate.py --json"
            ) from None
    head = ["data set", "pictures", "AP", "AP50", *(f"MR {name}" for name in SUBSETS)]
    rows = [
        [name, str(report["images"]), number(report["coco"]["AP"]), number(report["coco"]["AP50"])]
        + [percent(report["subsets"][subset]["lamr"]) for subset in SUBSETS]
        for name, report in reports.items()
    ]
    lines = table(head, rows)
    for name, report in reports.items():
        if report.get("poses"):
            poses = report["poses"]
            values = [[pose, str(v["ground_truths"]), percent(v["lamr"])] for pose, v in poses.items()]
            lines += ["", f"By pose ({name}):", "", *table(["pose", "people", "MR"], values)]
    return lines


if __name__ == "__main__":
    run(main)
