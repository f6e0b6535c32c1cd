"""What --size and --tiles find of small people in large pictures, and what they take.

    python experiments/video/small_people.py --root PICTURES --annotations coco_val2017.json \\
        --document docs/video.md --figures docs/video.json

The large pictures are walls of 3 x 3 pictures of the data set, in which people keep their size in pixels. Each row is
what tools/evaluate.py finds with its flags. It can be stopped at any time: the same command goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from upright.datasets.registry import open_dataset
from upright.detector.engines.engine import Engine
from upright.detector.engines.torch_engine import choose_device
from upright.detector.inference import detect_dataset
from upright.experiments.detector.measure import COLUMNS, cells, measure
from upright.experiments.harness import in_turn, kept, positive, read_figures, write_figures
from upright.experiments.video.walls import Walls
from upright.tools.command import run
from upright.tools.engine_flags import chosen_engine
from upright.tools.report import around_block, table, write_block

BLOCK = "small_people"
ROUNDS = 3  # of a timing


@dataclass(frozen=True)
class View:
    """How pictures are looked at: the values of --size and --tiles, None where the flag is left out."""

    size: int | None = None
    tiles: int | None = None

    @property
    def name(self) -> str:
        flags = [] if self.size is None else [f"`--size {self.size}`"]
        if self.tiles is not None:
            flags.append(f"`--tiles {self.tiles}`" if self.tiles else "`--tiles`")
        return " ".join(flags) or "neither"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--root", required=True, metavar="PICTURES", help="folder of pictures")
    p.add_argument("--annotations", nargs="+", default=["coco_val2017.json"], metavar="FILE", help="COCO JSON below it")
    p.add_argument("--across", type=positive, default=3, metavar="N", help="pictures beside each other (default 3)")
    p.add_argument("--weights", metavar="FILE", help="a weights file (default: the released one)")
    p.add_argument("--sizes", type=int, nargs="*", default=[640, 960, 1440], metavar="N", help="default 640 960 1440")
    p.add_argument(
        "--tiles", type=int, nargs="*", default=[0, 320], metavar="N", help="0: --tiles without a side (default 0 320)"
    )
    p.add_argument("--device", metavar="D", help="default: a GPU where there is one")
    p.add_argument("--runs", type=Path, default=Path("runs/small_people"), metavar="DIR", help="default %(default)s")
    p.add_argument("--document", type=Path, metavar="FILE", help=f"Markdown whose block '{BLOCK}' to rewrite")
    p.add_argument("--figures", type=Path, metavar="FILE", help=f"JSON whose entry '{BLOCK}' to rewrite")
    return p


def main() -> None:
    options = parser().parse_args()
    if options.document:
        around_block(options.document, BLOCK)
    if options.figures:
        read_figures(options.figures)
    walls = Walls(open_dataset("coco", options.root, "val", annotations=options.annotations), options.across)
    views = [View(), *(View(size=size) for size in options.sizes), *(View(tiles=side) for side in options.tiles)]
    engines = {view: engine_of(options, view) for view in views}  # refused before anything is measured
    given = {name: getattr(options, name) for name in ("annotations", "across", "weights")}
    rows = {}
    for number, view in enumerate(views):
        conditions = {**given, "size": view.size, "tiles": view.tiles}
        rows[view] = kept(options.runs / f"{number}.json", conditions, partial(found, engines[view], walls))
    conditions = {**given, "sizes": options.sizes, "tiles": options.tiles, "device": options.device}
    seconds = kept(options.runs / "seconds.json", conditions, partial(times, options, engines, walls))
    lines = report(options, walls, rows, seconds)
    if options.document:
        write_block(options.document, BLOCK, lines)
    if options.figures:
        write_figures(
            options.figures, BLOCK, {view.name: {**row, "seconds": seconds[view.name]} for view, row in rows.items()}
        )
    print("\n".join(lines))


def engine_of(options: argparse.Namespace, view: View) -> Engine:
    """The detector as tools/evaluate.py runs it with these flags."""
    flags = {"engine": "torch", "precision": "float32", "size": view.size, "tiles": view.tiles}
    return chosen_engine(argparse.Namespace(weights=options.weights, device=options.device, **flags))


def found(engine: Engine, walls: Walls) -> dict[str, Any]:
    """The figures of `measure`."""
    return dict(measure(walls.annotations, detect_dataset(engine, walls)))


def times(options: argparse.Namespace, engines: dict[View, Engine], walls: Walls) -> dict[str, Any]:
    """Seconds for the first wall by the name of the view."""
    image = walls[0].image
    work = {view.name: partial(engine.detect, [image]) for view, engine in engines.items()}
    return dict(in_turn(work, ROUNDS, choose_device(options.device)))


def report(
    options: argparse.Namespace, walls: Walls, rows: dict[View, dict[str, Any]], seconds: dict[str, Any]
) -> Sequence[str]:
    """What was measured, and the table; in brackets the difference to neither flag."""
    first = rows[View()]
    width, height = walls.sizes[0].tolist()
    shown = [
        [view.name, *cells([row], None if view == View() else [first]), f"{seconds[view.name]:.2f}"]
        for view, row in rows.items()
    ]
    return [
        f"{len(walls)} walls of {options.across} x {options.across} pictures of {', '.join(options.annotations)}, "
        f"{width} x {height} pixels; in brackets the difference to neither flag, seconds a wall of "
        f"{'one GPU' if choose_device(options.device).type == 'cuda' else 'a processor'}:",
        "",
        *table(["flags", *COLUMNS.values(), "s"], shown),
    ]


if __name__ == "__main__":
    run(main)
