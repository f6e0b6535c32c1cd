"""The table, the differences, the answer and the figure of the comparison by angle."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from upright.experiments.harness import seeds as shown_seeds
from upright.experiments.harness import spread
from upright.experiments.heads.columns import FISHEYE, LEAN_STEP, ROLLS, TURNS, rolled, turned
from upright.experiments.heads.methods import KINDS, METHODS, Method
from upright.output import whole_file
from upright.tools.report import table

BLOCK = "angles"
# By kind, method and seed, then by column, what `columns.figures` gives.
Results = dict[str, dict[str, dict[str, dict[str, Any]]]]

# Of the table: what it calls a column, the column, the figure. Miss rates in percent.
SHOWN = [
    *((f"rendered, roll {roll}", rolled(roll), "Reasonable") for roll in ROLLS),
    *((f"rendered, roll {roll}, Heavy", rolled(roll), "Heavy") for roll in (0, 180)),
    *(
        (f"photographs, {degrees} degrees" if degrees else "photographs", turned(degrees), "Reasonable")
        for degrees in (0, *TURNS)
    ),
    ("fisheye, AP50", FISHEYE, "AP50"),
]
RATIOS = ("AP50",)  # shown as they are

# What is compared: the second against the first.
PAIRS = [
    ("none", "untaught"),
    ("untaught", "taught"),
    ("none", "taught"),
    ("taught", "box"),
    ("box", "canonical"),
    ("none", "canonical"),
    ("none", "oracle"),
    ("box", "oracle"),
    ("canonical", "oracle"),
]
WANTED = 3.0  # points at any roll that the whole has to gain


def lines(results: Results, price: dict[str, Any] | None) -> list[str]:
    """The table, what it says, the miss rates by lean, and the figure."""
    runs = [list(by_seed) for methods in results.values() for by_seed in methods.values()]
    if not runs:
        return ["Nothing is measured yet."]
    people = next(iter(next(iter(next(iter(results.values())).values())).values()))
    counts = ", ".join(
        f"{name} {one['people']['Reasonable']} ({one['people']['posed']})" for name, one in people.items()
    )
    return [
        f"Log-average miss rates in percent (Reasonable where nothing else is said), {shown_seeds(runs)}; AP50 as it "
        "is; time as a share of that without transformers. Lower miss rates are better.",
        "",
        *main_table(results, price),
        "",
        f"People that count as Reasonable, and in brackets those of 50 pixels whose pose is known: {counts}.",
        "",
        *answer(results),
        "",
        "Differences in points of the miss rate, the second method less the first for the same seed: below 0 the "
        "second misses fewer. Bold: of one sign in every seed, where there are several.",
        "",
        *difference_table(results),
        "",
        "Rendered people, roll up to 180, by how far they lean to either side in the picture (degrees); people whose "
        "longer side has 50 pixels, so that the same people count at every angle:",
        "",
        *lean_table(results),
        "",
        "![Miss rate over the angle, one curve a method](pictures/angles.png)",
    ]


def values(results: Results, kind: str, method: str, column: str, figure: str) -> dict[str, float]:
    """A figure by seed, of those that have it; miss rates in percent."""
    found = {}
    for seed, columns in results.get(kind, {}).get(method, {}).items():
        value = columns.get(column, {}).get(figure)
        if value is not None:
            found[seed] = value if figure in RATIOS else 100 * value
    return found


def main_table(results: Results, price: dict[str, Any] | None) -> list[str]:
    rows = []
    for kind, methods in results.items():
        for method, by_seed in methods.items():
            cells = []
            for _, column, figure in SHOWN:
                got = list(values(results, kind, method, column, figure).values())
                cells.append(spread(got, 3 if figure in RATIOS else 1) if got else "")
            rows.append([METHODS[method].words, kind, str(len(by_seed)), *cells, *price_cells(method, price)])
    head = ["", "trained on", "seeds", *(name for name, _, _ in SHOWN), "time", "parameters, M"]
    return table(head, rows)


def price_cells(method: str, price: dict[str, Any] | None) -> list[str]:
    if price is None or method not in price["seconds"]:
        return ["", ""]
    seconds = price["seconds"]
    return [f"{seconds[method] / seconds['none']:.2f}", f"{price['parameters'][method] / 1e6:.2f}"]


def differences(results: Results, kind: str, pair: tuple[str, str], column: str, figure: str) -> list[float]:
    """Second less first, of the seeds that both have."""
    first, second = (values(results, kind, method, column, figure) for method in pair)
    return [second[seed] - first[seed] for seed in first if seed in second]


def difference_table(results: Results) -> list[str]:
    shown = [one for one in SHOWN if one[2] not in RATIOS]
    rows = []
    for kind in results:
        for pair in PAIRS:
            by_column = [differences(results, kind, pair, column, figure) for _, column, figure in shown]
            if any(by_column):
                rows.append([f"{pair[0]} to {pair[1]}", kind, *map(difference_cell, by_column)])
    return table(["", "trained on", *(name for name, _, _ in shown)], rows)


def difference_cell(found: list[float]) -> str:
    if not found:
        return ""
    if len(found) == 1:
        return f"{found[0]:+.1f}"
    text = f"{statistics.fmean(found):+.1f} ({min(found):+.1f} to {max(found):+.1f})"
    return f"**{text}**" if min(found) > 0 or max(found) < 0 else text


def answer(results: Results) -> list[str]:
    """What the figures say to the questions that were asked before."""
    said = []
    for kind in results:
        questions = [
            ("No transformers to taught with the canonical look", ("none", "canonical")),
            ("Plain box to canonical crop", ("box", "canonical")),
            ("No transformers to the oracle", ("none", "oracle")),
        ]
        for words, pair in questions:
            for name, column in (("at any roll", rolled(180)), ("at roll 0", rolled(0))):
                found = differences(results, kind, pair, column, "Reasonable")
                if found:
                    said.append(
                        f"- {kind} training, {name}: {words}: {difference_cell(found)} points, {verdict(found)}."
                    )
    return said


def verdict(found: list[float]) -> str:
    mean = statistics.fmean(found)
    if len(found) == 1:
        return "one seed, which decides nothing"
    if max(found) < 0:
        return f"better in every seed{', by the 3 points asked for' if mean <= -WANTED else ''}"
    return "worse in every seed" if min(found) > 0 else "no difference that these seeds could show"


def lean_steps() -> list[str]:
    return [f"{low} to {low + LEAN_STEP}" for low in range(0, 180, LEAN_STEP)]


def lean_values(results: Results, kind: str, method: str, step: str) -> list[float]:
    """Miss rates of a step of the lean, in percent, of all seeds."""
    found = []
    for columns in results.get(kind, {}).get(method, {}).values():
        rate = columns.get(rolled(180), {}).get("leans", {}).get(step)
        if rate is not None:
            found.append(100 * rate)
    return found


def lean_table(results: Results) -> list[str]:
    rows = []
    for kind, methods in results.items():
        for method in methods:
            cells = [lean_values(results, kind, method, step) for step in lean_steps()]
            rows.append([METHODS[method].words, kind, *(spread(c) if c else "" for c in cells)])
    return table(["", "trained on", *lean_steps()], rows)


def draw_figure(results: Results, file: Path) -> None:
    """Miss rate over the angle: rendered people by lean, photographs by turn; a row of panels a training."""
    kinds = [kind for kind in KINDS if kind in results]
    if not kinds:
        return
    figure = Figure(figsize=(11, 4.2 * len(kinds)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(kinds), 2, squeeze=False, sharey=True)
    middles = [low + LEAN_STEP / 2 for low in range(0, 180, LEAN_STEP)]
    for row, kind in zip(axes, kinds, strict=True):
        for method in results[kind]:
            by_lean = [lean_values(results, kind, method, step) for step in lean_steps()]
            draw_curve(row[0], METHODS[method], middles, by_lean)
            turns = [0, *TURNS]
            by_turn = [list(values(results, kind, method, turned(d), "same people").values()) for d in turns]
            draw_curve(row[1], METHODS[method], turns, by_turn)
        row[0].set_title(f"rendered people; trained on {kind} pictures")
        row[0].set_xlabel("lean in the picture, degrees to either side")
        row[0].set_ylabel("log-average miss rate, %")
        row[1].set_title(f"photographs; trained on {kind} pictures")
        row[1].set_xlabel("degrees that the picture is turned by")
        for axis in row:
            axis.set_xlim(0, 180)
            axis.set_xticks(range(0, 181, 30))
            axis.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as temporary:
        figure.savefig(temporary, dpi=100, format="png")


def draw_curve(axis: Axes, method: Method, angles: Sequence[float], rates: list[list[float]]) -> None:
    """The mean of the seeds over the angle, and a band from the smallest to the largest; where there are some."""
    known = [(angle, some) for angle, some in zip(angles, rates, strict=True) if some]
    at = [angle for angle, _ in known]
    mean, low, high = ([of(some) for _, some in known] for of in (statistics.fmean, min, max))
    axis.plot(at, mean, color=method.colour, label=method.words, marker=".")
    axis.fill_between(at, low, high, color=method.colour, alpha=0.15, lw=0)
