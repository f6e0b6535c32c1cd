"""The figures of a model card in Markdown, from what the other tools wrote as JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from upright.detector.detected import PART_NAMES
from upright.errors import InputError
from upright.tools.evaluation_tables import POSE_GROUPS
from upright.tools.report import number, percent, table

SUBSETS = ("Reasonable", "Small", "Heavy", "All")
SIZES = ("small", "medium", "large")
POSE_COLUMNS = (
    *("found", "error of the lean", "over 90 degrees", "slope", "head inside"),
    *(f"IoU {part}" for part in PART_NAMES),
)
Reports = dict[str, dict[str, Any]]


def read_figures(path: str | Path, tool: str) -> dict[str, Any]:
    """The JSON object in a file that a tool wrote.

    Raises:
        InputError: it cannot be read; the message says which tool writes it.
    """
    try:
        figures = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the figures {path} ({error}): write them by {tool}") from None
    if not isinstance(figures, dict):
        raise InputError(f"the figures {path} are not an object: write them by {tool}")
    return figures


def evaluation_lines(reports: Reports) -> list[str]:
    """Tables of what `tools/evaluate.py --json` wrote, by data set: the main one first, up to an empty line.

    Raises:
        InputError: a report lacks a figure.
    """
    try:
        lines = _main_table(reports) + _sizes(reports) + _at_threshold(reports)
        for name, report in reports.items():
            if report.get("poses"):
                rows = [[pose, str(v["ground_truths"]), percent(v["lamr"])] for pose, v in report["poses"].items()]
                lines += ["", f"By pose ({name}):", "", *table(["pose", "people", "MR"], rows)]
        lines += _how_they_stand(reports)
    except KeyError as error:
        raise InputError(f"the figures lack {error}: write them again by tools/evaluate.py --json") from None
    return lines


def _main_table(reports: Reports) -> list[str]:
    head = ["data set", "pictures", "AP", "AP50", *(f"MR {name}" for name in SUBSETS)]
    rows = [
        [name, str(report["images"]), number(report["coco"]["AP"]), number(report["coco"]["AP50"])]
        + [percent(report["subsets"][subset]["lamr"]) for subset in SUBSETS]
        for name, report in reports.items()
    ]
    return table(head, rows)


def _sizes(reports: Reports) -> list[str]:
    rows = [[name, *(number(report["coco"][f"AP_{size}"]) for size in SIZES)] for name, report in reports.items()]
    words = "AP by the area of a person's box: small under 32 x 32 px, large over 96 x 96:"
    return ["", words, "", *table(["data set", *SIZES], rows)]


def _at_threshold(reports: Reports) -> list[str]:
    """Recall by height, and false people; each row with the threshold that it holds for."""
    figures = {name: report["at_threshold"] for name, report in reports.items()}
    heights = list(next(iter(figures.values()))["by_height"])
    recall = [
        [name, f"{one['threshold']:.3g}", *(_share_of(one["by_height"][height]) for height in heights)]
        for name, one in figures.items()
    ]
    false = []
    for name, one in figures.items():
        empty = one["empty"]
        shares = [percent(one["precision"]), number(one["false_people"])]
        alarms = [str(empty["pictures"]), number(empty["false_people"]), percent(empty["alarmed_share"])]
        false.append([name, *shares, *alarms])
    head = ["data set", "precision", "false people a picture"]
    head += ["pictures without people", "false people on each", "with one at least"]
    return [
        *("", "Recall at the default threshold, by height of person in px (and how many there are):", ""),
        *table(["data set", "threshold", *heights], recall),
        *("", "What is shown at that threshold and is nobody:", ""),
        *table(head, false),
    ]


def _how_they_stand(reports: Reports) -> list[str]:
    """Errors of lean and parts, of reports that have them, by group of people; nothing where none has."""
    rows = []
    for name, report in reports.items():
        for group, words in POSE_GROUPS.items() if report.get("pose") else ():
            rows.append([name, words, *pose_cells(report["pose"][group])])
    if not rows:
        return []
    words = "How people stand, of those found whose trunk is labelled ([what the figures are](../docs/pose.md)):"
    return ["", words, "", *table(["data set", "people", *POSE_COLUMNS], rows)]


def pose_cells(one: dict[str, Any]) -> list[str]:
    """What `POSE_COLUMNS` names, of one group of people, see `upright.detector.evaluation.pose.pose_figures`."""
    error = "n/a" if one["lean_error"] is None else f"{one['lean_error']:.1f}"
    figures = [error, percent(one["upside_down"]), number(one["slope"]), percent(one["head_inside"])]
    return [str(one["found"]), *figures, *(number(one["overlap"][part]) for part in PART_NAMES)]


def _share_of(group: dict[str, Any]) -> str:
    return f"{percent(group['recall'])} ({group['people']})"


def peer_lines(
    peers: dict[str, Any], reports: Reports, ours: str, parameters: float, times: dict[str, Any]
) -> list[str]:
    """Ours beside other detectors on the data set that their figures are of.

    Args:
        peers: docs/peers.json.
        reports: of `tools/evaluate.py`, by data set.
        ours: what to call our detector.
        parameters: of ours, in millions.
        times: "milliseconds" a picture by name of the detector, and "conditions", how they were taken; or empty.

    Raises:
        InputError: there is no report of that data set, or of other pictures of it.
    """
    report = reports.get(peers["data"])
    if report is None:
        raise InputError(f"the peers' figures are of {peers['data']}: add --figures {peers['data']}=JSON")
    if report["images"] != peers["pictures"]:
        raise InputError(
            f"the peers' figures are of {peers['pictures']} pictures of {peers['data']}, ours of {report['images']}: "
            "evaluate the same ones"
        )
    mine = {"AP": report["coco"]["AP"], "AP50": report["coco"]["AP50"]}
    mine |= {"name": ours, "licence": "", "conditions": "torch", "parameters": parameters}
    mine["lamr"] = report["subsets"]["Reasonable"]["lamr"]
    head = ["detector", "AP", "AP50", "MR Reasonable", "parameters"]
    rows = []
    for one in [mine, *peers["detectors"]]:
        said = ", ".join(part for part in (one["licence"], one["conditions"]) if part)
        name = one["name"] + (f" ({said})" if said else "")
        rows.append([name, number(one["AP"]), number(one["AP50"]), percent(one["lamr"]), f"{one['parameters']:.1f} M"])
    lines = [peers["source"], ""]
    if times:
        head.append("ms a picture")
        measured = times["milliseconds"]
        for row, one in zip(rows, [mine, *peers["detectors"]], strict=True):
            row.append(f"{measured[one['name']]:.1f}" if one["name"] in measured else "")
        lines += [f"Times: {times['conditions']}.", ""]
    return [*lines, *table(head, rows)]


def calibration_lines(figures: dict[str, Any], plot: Path, card: Path) -> list[str]:
    """What `tools/calibrate.py --json` wrote, and its plot.

    Args:
        figures: of that tool.
        plot: the picture, which must be there.
        card: the document, whose folder the picture's path is relative to.
    """
    if not plot.is_file():
        raise InputError(f"the reliability plot {plot} is missing: write it by tools/calibrate.py --plot")
    before, after, shown = figures["before"], figures["after"], figures["at_threshold"]
    return [
        f"![Share of detections that are right, by score]({os.path.relpath(plot, card.parent)})",
        "",
        f"Fitted on {figures['pictures']} pictures that were not trained on: scale {figures['score_scale']:.4f}, "
        f"shift {figures['score_shift']:.4f} of the logit. Expected calibration error "
        f"{number(before['expected_error'])} before, {number(after['expected_error'])} after. The default threshold "
        f"{figures['threshold']:.3g} has the best F1 there of those that show at most "
        f"{figures['false_people']:g} people on a picture without anybody: precision {percent(shown['precision'])}, "
        f"recall {percent(shown['recall'])} of {shown['people']} people.",
    ]
