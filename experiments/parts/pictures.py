"""Pictures of the experiment on parts: where the transformers look, and what the classes are."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor

from upright.output import whole_file

COLOURS = ("#ff3b30", "#34c8ff", "#ffd60a", "#5cff5c")


def draw_windows(file: Path, images: Tensor, shown: dict[str, list]) -> None:
    """Each network's windows on the same pictures.

    Args:
        file: to write, PNG.
        images: uint8 (n, 3, side, side).
        shown: theta (n, N, 3) of each network's windows.
    """
    side = images.shape[-1]
    figure, grid = plt.subplots(
        len(shown), len(images), figsize=(1.5 * len(images), 1.62 * len(shown) + 0.3), squeeze=False
    )
    for row, (name, thetas) in zip(grid, shown.items(), strict=True):
        row[0].set_ylabel(name)
        for axes, image, theta in zip(row, images, thetas, strict=True):
            axes.imshow(image.permute(1, 2, 0).numpy())
            axes.set(xticks=[], yticks=[], xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))
            for (scale, x, y), colour in zip(theta, COLOURS, strict=False):
                corner = ((x - scale + 1) * side / 2 - 0.5, (y - scale + 1) * side / 2 - 0.5)
                axes.add_patch(Rectangle(corner, scale * side, scale * side, fill=False, color=colour, linewidth=1.8))
    most = max(len(thetas[0]) for thetas in shown.values())
    handles = [Rectangle((0, 0), 1, 1, fill=False, color=colour, linewidth=1.8) for colour in COLOURS[:most]]
    labels = [f"transformer {k}" for k in range(1, most + 1)]
    figure.legend(handles, labels, loc="lower center", ncols=most, frameon=False, fontsize=9)
    figure.subplots_adjust(
        left=0.04, right=0.995, top=0.99, bottom=0.3 / figure.get_figheight(), wspace=0.04, hspace=0.04
    )
    _save(figure, file)


def draw_classes(file: Path, images: Tensor, labels: Tensor, classes: list[str], most: int = 24) -> None:
    """One picture of each of the first `most` classes, with its name below.

    Args:
        file: to write, PNG.
        images: uint8 (n, 3, side, side).
        labels: (n,).
        classes: their names, as in classes.txt.
        most: how many at most.
    """
    first = {label: k for k, label in reversed(list(enumerate(labels.tolist())))}
    chosen = sorted(first)[:most]
    columns = 8
    rows = -(-len(chosen) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(1.15 * columns, 1.35 * rows), squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, label in zip(grid.flat, chosen, strict=False):
        axes.imshow(images[first[label]].permute(1, 2, 0).numpy())
        axes.set_title(classes[label].partition(".")[2].replace("_", " "), fontsize=6.5, y=-0.16)
    figure.subplots_adjust(left=0.005, right=0.995, top=0.995, bottom=0.05, wspace=0.04, hspace=0.16)
    _save(figure, file)


def _save(figure: Figure, file: Path) -> None:
    """As PNG of 256 colours, a third of the size."""
    with whole_file(file) as temporary:
        figure.savefig(temporary, dpi=110)
        Image.open(temporary).convert("RGB").quantize(256).save(temporary, optimize=True)
    plt.close(figure)
