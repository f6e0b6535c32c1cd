"""How far back from the trained first stage to the one it started from: means of both, measured on held-out pictures.

    python experiments/detector/averages.py LAST EARLIER --backbone-weights BODY HEAD --root PICTURES --hold-out 15 \\
        --document docs/detector.md --figures docs/detector.json

LAST is a weights file, EARLIER one that its training started from, BODY and HEAD what that one started from (as for
tools/average.py, which makes the weights of a row). Nothing is trained.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from upright.datasets.hold_out import hold_out
from upright.datasets.registry import open_dataset
from upright.detector.engines.torch_engine import TorchEngine
from upright.detector.inference import detect_dataset
from upright.detector.weights import average_first_stages, fill_first_stage, load_detector
from upright.experiments.detector.measure import COLUMNS, Figures, cells, measure
from upright.experiments.detector.trainings import ANNOTATIONS
from upright.experiments.harness import refuse_places, write_places
from upright.tools.command import run
from upright.tools.report import table

BLOCK = "averages"
# Of the last weights, the earlier ones, and the start.
SHARES = (
    (1, 0, 0),
    (0, 1, 0),
    (0, 0, 1),
    (0.85, 0, 0.15),
    (0.7, 0, 0.3),
    (0.5, 0, 0.5),
    (0.5, 0.5, 0),
    (0.5, 0.25, 0.25),
    (0.25, 0.5, 0.25),
    (0.4, 0.3, 0.3),
)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("last", type=Path, metavar="LAST", help="the trained weights")
    p.add_argument("earlier", type=Path, metavar="EARLIER", help="weights on the way there")
    p.add_argument("--backbone-weights", nargs="+", required=True, metavar="FILE", help="what both started from")
    p.add_argument("--root", required=True, metavar="PICTURES", help="folder of pictures with COCO-style files")
    p.add_argument("--annotations", nargs="+", default=list(ANNOTATIONS), metavar="FILE", help="of the training")
    p.add_argument("--hold-out", type=int, default=15, metavar="N", help="as for tools/train.py (default 15)")
    p.add_argument("--document", type=Path, metavar="FILE", help=f"Markdown whose block '{BLOCK}' to rewrite")
    p.add_argument("--figures", type=Path, metavar="FILE", help=f"JSON whose entry '{BLOCK}' to rewrite")
    return p


def main() -> None:
    options = parser().parse_args()
    refuse_places(options, BLOCK)
    dataset = open_dataset("coco", options.root, "train", annotations=options.annotations)
    held_out = hold_out(dataset, options.hold_out)[1]

    sources = [load_detector(path) for path in (options.last, options.earlier, options.last)]
    fill_first_stage(sources[2], options.backbone_weights)
    rows: dict[str, Figures] = {}
    model = load_detector(options.last)
    for shares in SHARES:
        average_first_stages([model, *sources], [0, *shares])
        found = detect_dataset(TorchEngine(model), held_out)
        rows[" / ".join(f"{share:g}" for share in shares)] = measure(held_out.annotations, found)
    lines = average_lines(rows, len(held_out))
    print("\n".join(lines))
    write_places(options, BLOCK, lines, {"rows": rows})


def average_lines(rows: dict[str, Figures], pictures: int) -> list[str]:
    """The table; the first row is what the others are compared with."""
    own = next(iter(rows.values()))
    body = [[name, *cells([row], None if row is own else [own])] for name, row in rows.items()]
    said = f"{pictures} pictures held out of the training, in brackets the difference to the last weights alone:"
    return [said, "", *table(["last / earlier / start", *COLUMNS.values()], body)]


if __name__ == "__main__":
    run(main)
