"""The tables and the figures of the experiment on parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from upright.experiments.harness import command, minutes, seeds, spread
from upright.experiments.parts.birds import PARTS
from upright.experiments.parts.networks import NETWORKS, TILES
from upright.experiments.parts.posed_pedestrians import ATTRIBUTES
from upright.tools.report import table

PAPER = {"CNN": "82.3", "2 x ST": "83.1 (224 px), 83.9 (448 px)", "4 x ST": "84.1 (448 px)"}


@dataclass(frozen=True)
class Outcome:
    """What was measured.

    Attributes:
        results: by network, what is kept of each seed.
        windows: what `look` says of each seed, by network, of those with windows.
        times: milliseconds of "step" and "inference", by network.
        conditions: of the trainings.
    """

    results: dict[str, list[dict[str, Any]]]
    windows: dict[str, list[dict[str, list]]]
    times: dict[str, Any]
    conditions: dict[str, Any]

    @property
    def made(self) -> bool:
        return self.conditions["data"] == "made"

    def ratio(self, kind: str, name: str) -> float:
        """The time of "step" or "inference" against the CNN's."""
        return self.times[kind][name] / self.times[kind]["CNN"]


def report(outcome: Outcome) -> list[str]:
    """What networks classify, means over the seeds; where windows look, seed by seed: they part differently."""
    conditions, times = outcome.conditions, outcome.times
    train, test = conditions["pictures"]
    side, what = conditions["size"], "synthetic pedestrians" if outcome.made else "pictures of CUB-200-2011"
    return [
        command("--backbone-weights"),
        "",
        f"{train} {what} to train on, {test} to test, {side} px, crops of {side // 2} px; {conditions['steps']} steps "
        f"of {conditions['batch']}, {seeds(outcome.results.values())}.",
        f"Minutes are the processor's, of a training. Times are those of the CNN's {times['step']['CNN']:.0f} ms a "
        f"step and {times['inference']['CNN']:.0f} ms a batch at inference, the processor's too on a CPU.",
        "",
        *accuracy_table(outcome),
        "",
        "Share of the part's box that lies in the window (mean over the test pictures), the part that is nearest to "
        "the window's centre in most pictures, in how many it is, the standard deviation of the centre between "
        "pictures (the picture is 2 wide), and how far to the side the centre goes where the torso's goes by 1 (0 is a "
        "fixed crop, 1 keeps the person in its place), one seed / the next:",
        "",
        *window_table(outcome),
        "",
        "![Windows of the transformers on test pictures](pictures/parts_windows.png)",
        "",
        "![A picture of each of the first classes](pictures/parts_classes.png)",
    ]


def accuracy_table(outcome: Outcome) -> list[str]:
    """A row a network: accuracy, the share of each attribute that is right, times."""
    attributes = ATTRIBUTES if outcome.made else ()
    rows = []
    for name, runs in outcome.results.items():
        right = np.mean([r["attributes"] for r in runs], axis=0) if outcome.made else []
        rows.append(
            [
                name,
                spread([r["accuracy"] for r in runs]),
                PAPER.get(name, ""),
                *(f"{100 * share:.1f}" for share in right),
                *(f"{outcome.ratio(kind, name):.2f}" for kind in ("step", "inference")),
                minutes(runs),
            ]
        )
    head = ["network", "accuracy, %", "paper (birds)", *attributes, "step, times", "inference, times", "minutes"]
    return table(head, rows)


def window_table(outcome: Outcome) -> list[str]:
    """A row a window: where it starts, what of the parts lies in it, how far it moves."""
    rows = []
    for name, (transformers, moves) in NETWORKS.items():
        # Windows that stay where they are look at the same for every seed.
        looked = outcome.windows.get(name, [])[: None if moves else 1]
        for k in range(transformers if looked else 0):
            rows.append(
                [
                    f"{name}, {k + 1}",
                    "({:g}, {:g})".format(*TILES[transformers][k]),
                    *(" / ".join(f"{r['overlap'][k][part]:.2f}" for r in looked) for part in range(len(PARTS))),
                    " / ".join(r["part"][k] for r in looked),
                    " / ".join(f"{100 * r['stays'][k]:.0f}" for r in looked),
                    " / ".join(f"{r['deviation'][k]:.2f}" for r in looked),
                    " / ".join(f"{r['follows'][k]:.2f}" for r in looked),
                ]
            )
    head = ["window", "starts at (x, y)", *PARTS, "nearest part", "stays on it, %", "deviation", "follows"]
    return table(head, rows)


def figures(outcome: Outcome) -> dict[str, Any]:
    """The entry of docs/experiments.json, a value a seed."""
    entry: dict[str, Any] = {"data": outcome.conditions["data"]}
    entry |= {name: [round(r["accuracy"], 2) for r in runs] for name, runs in outcome.results.items()}
    for kind in ("step", "inference"):
        entry[f"{kind}_ratio"] = {name: round(outcome.ratio(kind, name), 3) for name in outcome.windows}
    said = {"stays": "stays_on_part", "deviation": "theta_deviation", "follows": "follows_torso", "overlap": "overlap"}
    for key, words in said.items():
        entry[words] = {
            name: [np.round(one[key], 4).tolist() for one in runs] for name, runs in outcome.windows.items()
        }
    entry["part"] = {name: [one["part"] for one in runs] for name, runs in outcome.windows.items()}
    return entry
