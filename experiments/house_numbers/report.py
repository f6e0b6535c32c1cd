"""The table and the figures of the experiment on house numbers."""

from __future__ import annotations

import argparse
from typing import Any

import torch

from upright.experiments.harness import command, minutes, seeds, spread
from upright.experiments.house_numbers.crops import LONGEST, Crops
from upright.experiments.house_numbers.networks import NETWORKS, build
from upright.experiments.house_numbers.times import timing
from upright.experiments.training import parameters
from upright.tools.report import table

# Sequence error in percent by the side of the crops in pixels (table 2).
PAPER = {
    64: {"CNN": 4.0, "ST single": 3.7, "ST multi": 3.6},
    128: {"CNN": 5.6, "ST single": 3.9, "ST multi": 3.9},
}

# What is kept of each seed, by the side of the crops in pixels and the name of the network.
Results = dict[int, dict[str, list[dict[str, Any]]]]


def report(
    arguments: argparse.Namespace, results: Results, timed: dict[int, dict[str, Any]], data: dict[int, list[Crops]]
) -> list[str]:
    """The block of the document: what was trained on what, how long, the table."""
    head = ["network"]
    head += [f"{size} px, {whose}" for size in results for whose in ("paper", "here")]
    head += ["reads", "step", "inference", "minutes", "parameters, millions"]
    train, test = next(iter(data.values()))
    said = ", ".join(f"{size} px: {seeds(networks.values())}" for size, networks in results.items())
    how = timing(arguments)
    return [
        command("--mnist"),
        "",
        f"Sequence error in percent ({said}) on {len(test.labels)} "
        f"{'composed house numbers' if arguments.made else 'house numbers of SVHN'} after {arguments.steps} steps of "
        f"{arguments.batch} of {len(train.labels)} others; networks of {arguments.width:g} of the paper's channels. "
        f"{train.left_out + test.left_out} numbers without a digit or with more than {LONGEST} are left out. The other "
        "columns are size by size. Reads: the share of the crop's side that all transformers together leave to the "
        "last layers (1 is all of it, less is magnified). Minutes are the processor's, of a training; step and "
        f"inference are times of networks of {how['width']:g} of the paper's channels in float32, {how['batch']} crops "
        f"at once, the CNN's being 1 (medians of {how['rounds']}; paper: ST multi 6 % slower):",
        "",
        *table(head, rows(arguments, results, timed)),
    ]


def rows(arguments: argparse.Namespace, results: Results, timed: dict[int, dict[str, Any]]) -> list[list[str]]:
    """The rows of the table, a network each."""
    lines = []
    for name in NETWORKS:
        row = [name]
        for size in results:
            row += [f"{PAPER[size][name]:.1f}", spread([one["error"] for one in results[size][name]])]
        row.append(", ".join(spread([one["share_read"] for one in results[size][name]], 2) for size in results))
        for what in ("step_ratio", "inference_ratio"):
            ratios = (one.get(what) for one in timed.values())
            row.append(", ".join(f"{one.get(name, 1.0):.2f}" if one else "not run" for one in ratios))
        row.append(", ".join(minutes(results[size][name]) for size in results))
        with torch.device("meta"):
            networks = [build(name, size, arguments.width) for size in results]
        row.append(", ".join(f"{parameters(network) / 1e6:.2f}" for network in networks))
        lines.append(row)
    return lines


def figures(arguments: argparse.Namespace, results: Results, timed: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """The entry of docs/experiments.json: by size errors and shares read of every seed, and ratios of times."""
    entry: dict[str, Any] = {"data": "made" if arguments.made else "svhn"}
    for size, networks in results.items():
        errors = {name: [one["error"] for one in runs] for name, runs in networks.items()}
        ratios = {what: timed[size].get(what) for what in ("step_ratio", "inference_ratio")}
        shares = {name: [one["share_read"] for one in runs] for name, runs in networks.items()}
        entry[str(size)] = errors | {"share_read": shares} | ratios
    return entry
