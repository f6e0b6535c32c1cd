"""Pictures of figures: the benchmark's familiar curves, and how far scores can be trusted."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from upright.detector.evaluation.calibration import Reliability
from upright.detector.evaluation.miss_rate import Result, SubsetResult
from upright.detector.evaluation.protocols import PROTOCOLS
from upright.errors import InputError
from upright.output import whole_file

if TYPE_CHECKING:  # matplotlib is imported where a plot is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# As in the benchmarks' own plots.
_FPPI_LIMITS = (1e-3, 1e1)
_MISS_RATE_LIMITS = (0.02, 1.0)
_MISS_RATE_TICKS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.64, 0.8, 1.0)
_COLUMNS = 3
_BARS = ("0.72", "C0", "C1", "C2")  # the first one is what was there before


def plot_curves(path: str | os.PathLike[str], results: Mapping[str, Result], *, title: str = "") -> None:
    """Draw the curves of one or several detectors, one panel a subset, into a picture file.

    Args:
        path: the file; its ending chooses the format (.png, .pdf, .svg ...). It is replaced whole or not at all.
        results: by the detector's name, all of one protocol and the same subsets. Of a result that holds all of
            the protocol's subsets, its main ones are drawn.
        title: above the panels.

    Raises:
        InputError: matplotlib cannot write that format, or nothing can be written there.
    """
    path = Path(path)
    names = _subsets(next(iter(results.values())))
    columns = min(_COLUMNS, len(names)) if len(names) != 4 else 2
    rows = math.ceil(len(names) / columns)
    figure = _figure(path, 5.2 * columns, 4.4 * rows + 0.4)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    colours = {name: f"C{index % 10}" for index, name in enumerate(results)}
    for panel, subset in zip(panels, names, strict=False):
        _draw_panel(panel, subset, {name: result.subsets[subset] for name, result in results.items()}, colours)
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    if title:
        figure.suptitle(title, fontsize=12)
    with whole_file(path) as temporary:
        figure.savefig(temporary)


def plot_reliability(path: str | os.PathLike[str], results: Mapping[str, Reliability], *, title: str = "") -> None:
    """Draw how often detections of about the same score are right, above how many there are of each score.

    Args:
        path: the file, as in `plot_curves`.
        results: by name (before, after), in the order of the legend, all in bins of the same equal width.
        title: above the panels.

    Raises:
        InputError: as `plot_curves`.
    """
    path = Path(path)
    figure = _figure(path, 5.6, 6.2)
    shares, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for place, (name, result) in enumerate(results.items()):
        width = (result.high - result.low) * 0.88 / len(results)
        left = result.low + (result.high - result.low) * 0.06 + place * width
        error = "no detections" if math.isnan(result.expected_error) else f"error {result.expected_error:.3f}"
        colour = _BARS[place % len(_BARS)]
        shares.bar(left, result.right, width, align="edge", color=colour, label=f"{name}: {error}")
        counts.bar(left, result.count, width, align="edge", color=colour)
    shares.plot((0, 1), (0, 1), color="0.2", linewidth=1.2, linestyle="--", label="a score that is a probability")
    shares.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of detections that are right")
    shares.legend(loc="upper left", fontsize=9, framealpha=0.9, title="expected calibration error", title_fontsize=8)
    # From under 1, so that a single detection is seen too.
    counts.set(yscale="log", xlabel="score", ylabel="detections")
    counts.set_ylim(bottom=0.7)
    counts.set_xticks(np.arange(11) / 10)
    for panel in (shares, counts):
        panel.grid(color="0.88", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    if title:
        figure.suptitle(title, fontsize=11)
    with whole_file(path) as temporary:
        figure.savefig(temporary)


def _figure(path: Path, width: float, height: float) -> Figure:
    """An empty figure, width and height in inches, that can be saved under that name; InputError where it cannot."""
    # Without pyplot: no window system, nothing global.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=110)
    formats = FigureCanvasAgg(figure).get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in formats:
        raise InputError(f"{path}: not a picture format; end the name in one of .{', .'.join(sorted(formats))}")
    return figure


def _subsets(result: Result) -> list[str]:
    protocol = PROTOCOLS[result.protocol]
    return list(protocol.main if set(result.subsets) == set(protocol.subsets) else result.subsets)


def _draw_panel(panel: Axes, subset: str, results: dict[str, SubsetResult], colours: dict[str, str]) -> None:
    # Best first, as the benchmarks' legends have it; those without a figure last.
    ranked = sorted(results.items(), key=lambda item: (math.isnan(item[1].lamr), item[1].lamr))
    for name, result in ranked:
        label = f"n/a {name}" if math.isnan(result.lamr) else f"{result.lamr:.2%} {name}"
        fppi, miss_rate = _steps(result)
        panel.plot(fppi, miss_rate, color=colours[name], linewidth=1.8, label=label)
        if len(fppi):
            # Beyond its last detection a curve is read there, though it has nothing more to draw.
            x, y = (fppi[-1], max(fppi[-1], _FPPI_LIMITS[1])), (miss_rate[-1], miss_rate[-1])
            panel.plot(x, y, color=colours[name], linewidth=1.2, linestyle=":")
    count = next(iter(results.values())).ground_truths
    panel.set_title(f"{subset}  ({count} people)", fontsize=11)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlim(*_FPPI_LIMITS)
    panel.set_ylim(*_MISS_RATE_LIMITS)
    panel.set_yticks(_MISS_RATE_TICKS, [f"{tick:g}" for tick in _MISS_RATE_TICKS])
    panel.set_yticks([], minor=True)
    panel.axvspan(1e-2, 1e0, color="0.95", zorder=0)  # where the miss rate is averaged
    panel.grid(color="0.85", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.set_xlabel("false positives per image")
    panel.set_ylabel("miss rate")
    panel.legend(loc="lower left", fontsize=8, framealpha=0.9, title="log-average miss rate", title_fontsize=8)


def _steps(result: SubsetResult) -> tuple[np.ndarray, np.ndarray]:
    """The curve as it is read: a step at each false positive; it starts at a miss rate of 1 on the left."""
    if result.curve is None:
        return np.zeros(0), np.zeros(0)
    fppi, miss_rate = result.curve.fppi, result.curve.miss_rate
    # Of the points at one false positive rate only the last is ever read.
    last = np.flatnonzero(np.append(np.diff(fppi) > 0, True)) if len(fppi) else np.zeros(0, int)
    fppi, miss_rate = fppi[last], miss_rate[last]
    left = fppi <= _FPPI_LIMITS[0]
    start = miss_rate[left][-1] if left.any() else 1.0
    fppi, miss_rate = fppi[~left], miss_rate[~left]
    x = np.concatenate([[_FPPI_LIMITS[0]], np.repeat(fppi, 2)])
    y = np.concatenate([[start], np.repeat(np.concatenate([[start], miss_rate]), 2)[1:-1]])
    # A miss rate of 0 has no place on the scale: it lies on its lower edge.
    return x, np.maximum(y, _MISS_RATE_LIMITS[0])
