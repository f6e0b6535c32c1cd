"""Small people in large pictures: how much of them is found at larger input sides, and in tiles.

    python experiments/video/views.py --root FISHEYE --annotations boxes.json --document docs/video.md

Nothing is trained.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from upright.datasets.registry import open_dataset
from upright.detector.engines.engine import Engine
from upright.detector.engines.torch_engine import TorchEngine, choose_device
from upright.detector.inference import detect_dataset
from upright.detector.tiles import TiledEngine
from upright.detector.weights import load_detector
from upright.experiments.detector.measure import COLUMNS, cells, measure
from upright.tools.command import run
from upright.tools.report import around_block, table, write_block

BLOCK = "views"
SIZES = (480, 640, 800, 960)
TILES = (640, 480)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--weights", type=Path, metavar="FILE", help="default: the released ones")
    p.add_argument("--root", required=True, metavar="PICTURES", help="folder of pictures with COCO-style files")
    p.add_argument("--annotations", nargs="+", required=True, metavar="FILE", help="to measure on")
    p.add_argument("--document", type=Path, metavar="FILE", help=f"Markdown whose block '{BLOCK}' to rewrite")
    return p


def main() -> None:
    options = parser().parse_args()
    if options.document:
        around_block(options.document, BLOCK)
    dataset = open_dataset("coco", options.root, "val", annotations=options.annotations)
    model = load_detector(options.weights, choose_device())

    def sized(side: int) -> Engine:
        engine = TorchEngine(model)
        engine.resize(side)
        return engine

    own = model.settings.min_size
    views = {f"`--size {side}`": (side, None) for side in SIZES} | {f"`--tiles {side}`": (own, side) for side in TILES}
    body, first = [], None
    for name, (side, tile) in views.items():
        engine = sized(side) if tile is None else TiledEngine(sized(side), tile)
        row = measure(dataset.annotations, detect_dataset(engine, dataset))
        first = row if first is None else first
        body.append([name, *cells([row], None if row is first else [first])])
    said = f"{len(dataset)} pictures of {' and '.join(Path(file).name for file in options.annotations)}:"
    lines = [said, "", *table(["", *COLUMNS.values()], body)]
    print("\n".join(lines))
    if options.document:
        write_block(options.document, BLOCK, lines)


if __name__ == "__main__":
    run(main)
