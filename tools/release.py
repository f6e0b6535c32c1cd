"""Make a released weights file of a run, with the exported detector beside it, and write its figures down.

    python tools/release.py runs/people/calibrated.safetensors
    python tools/release.py runs/people/calibrated.safetensors --figures synthetic=a.json coco_val2017=b.json \\
        --calibration calibration.json --times times.json

The figures are what `tools/evaluate.py --json` wrote for the released file; so it is called twice: first without
figures to write the file, then, after the evaluations, with them. `--calibration` is what `tools/calibrate.py --json`
wrote. Where the figures hold the data set of docs/peers.json, the card sets them beside other detectors; `--times` is
an object with "milliseconds" a picture by name of the detector, taken in one run, and "conditions".
"""

from __future__ import annotations

import argparse
from itertools import takewhile
from pathlib import Path
from typing import Any

from upright.errors import InputError
from upright.tools.command import run
from upright.tools.model_card import calibration_lines, evaluation_lines, peer_lines, read_figures
from upright.tools.report import write_block

LIMIT = 16e6  # bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="of a run")
    parser.add_argument("--output", type=Path, default=Path("weights/upright-light.safetensors"), metavar="FILE")
    parser.add_argument("--card", type=Path, default=Path("weights/README.md"), metavar="FILE", help="the model card")
    parser.add_argument("--readme", type=Path, default=Path("README.md"), metavar="FILE", help="gets the first table")
    parser.add_argument("--figures", nargs="+", default=[], metavar="NAME=JSON", help="of tools/evaluate.py")
    parser.add_argument("--calibration", type=Path, metavar="JSON", help="of tools/calibrate.py")
    parser.add_argument(
        "--reliability", type=Path, default=Path("docs/pictures/reliability.png"), metavar="FILE", help="its plot"
    )
    parser.add_argument(
        "--peers", type=Path, default=Path("docs/peers.json"), metavar="JSON", help="of other detectors"
    )
    parser.add_argument("--times", type=Path, metavar="JSON", help="milliseconds a picture by detector, and conditions")
    arguments = parser.parse_args()

    from upright.detector.export import export_onnx
    from upright.detector.weights import load_detector, read_metadata, save_weights

    settings, provenance = read_metadata(arguments.weights)
    model = load_detector(arguments.weights)
    # All that is read comes before all that is written.
    blocks = figure_blocks(arguments, sum(parameter.numel() for parameter in model.parameters()))
    save_weights(arguments.output, model, provenance, half=True)
    exported = arguments.output.with_suffix(".onnx")
    # Of the released file: its numbers are those that float16 holds.
    export_onnx(exported, load_detector(arguments.output), provenance)
    size = arguments.output.stat().st_size
    for file in (arguments.output, exported):
        if file.stat().st_size > LIMIT:
            raise InputError(
                f"{file} has {file.stat().st_size / 1e6:.1f} MB, a released one at most {LIMIT / 1e6:.0f} MB"
            )
    lines = [f"`{arguments.output.name}`, {size / 1e6:.1f} MB, float16. Trained by", ""]
    for stage in stages(provenance):
        lines += ["```", stage["command"], "```", "", f"up to step {stage['steps']}.", ""]
    if "average" in provenance:
        lines += ["First stage averaged by", "", "```", provenance["average"]["command"], "```", ""]
    if "calibration" in provenance:
        lines += ["Scores calibrated by", "", "```", provenance["calibration"]["command"], "```", ""]
    lines += ["Settings:", "", "```json", settings.to_json(), "```"]
    for name, block in {"training": lines, **blocks}.items():
        write_block(arguments.card, name, block)
    if "figures" in blocks:
        write_block(arguments.readme, "figures", list(takewhile(bool, blocks["figures"])))


def figure_blocks(arguments: argparse.Namespace, parameters: int) -> dict[str, list[str]]:
    """The blocks of the card that the given figures fill, by name."""
    blocks = {}
    if arguments.figures:
        reports = named_reports(arguments.figures)
        blocks["figures"] = evaluation_lines(reports)
        peers = read_figures(arguments.peers, "hand")
        if peers["data"] in reports:
            times = read_figures(arguments.times, "hand") if arguments.times else {}
            blocks["peers"] = peer_lines(peers, reports, arguments.output.stem, parameters / 1e6, times)
    if arguments.calibration:
        figures = read_figures(arguments.calibration, "tools/calibrate.py --json")
        blocks["calibration"] = calibration_lines(figures, arguments.reliability, arguments.card)
    return blocks


def named_reports(named: list[str]) -> dict[str, dict[str, Any]]:
    """The reports in NAME=JSON files, by name."""
    parts = (item.partition("=") for item in named)
    return {name: read_figures(path, "tools/evaluate.py --json") for name, _, path in parts}


def stages(provenance: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs that the weights came through, the first one first."""
    earlier = stages(provenance["started_from"]) if "started_from" in provenance else []
    return [*earlier, {"command": provenance["command"], "steps": provenance["steps"]}]


if __name__ == "__main__":
    run(main)
