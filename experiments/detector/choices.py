"""What can be chosen at inference, for given weights: scores of both stages, proposals, input side, suppression.

    python experiments/detector/choices.py WEIGHTS --root PICTURES --annotations coco_val2017.json \\
        --body BODY --head-weights HEAD --document docs/detector.md --figures docs/detector.json

BODY and HEAD are the two files of NanoDet-Plus-m that the first stage starts from; without them the table of the first
stage as it comes is left out. Nothing is trained. A table varies one choice and leaves the others as the weights have
them; all tables are written in the end.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from upright.datasets.registry import open_dataset
from upright.datasets.sample import PedestrianDataset
from upright.detector.engines.torch_engine import detect_pictures
from upright.detector.model import Detector, build_detector
from upright.detector.settings import PRESETS
from upright.detector.weights import fill_first_stage, load_detector
from upright.errors import InputError
from upright.experiments.detector.measure import COLUMNS, Figures, cells, measure
from upright.experiments.detector.variants import Variant, dense_proposals, detect_first_stage, detect_variants
from upright.experiments.harness import in_turn, refuse_places, write_places
from upright.tools.command import run
from upright.tools.report import table

SHARES = (0.3, 0.5, 0.7, 0.8)
BOX_SHARES = (0.0, 0.3, 0.5, 1.0)
PROPOSALS = (30, 50, 100, 200)
SIDES = ((416, 640), (480, 640), (480, 864), (544, 864), (640, 1000))
SUPPRESSIONS = (0.45, 0.5, 0.55, 0.6, 0.65)
DECAYS = (0.5, 1.0, 2.0)  # that of the preset among them
STRETCHED = (416, 416)  # what the first stage was trained on
ROUNDS = 9  # of a timing
TIMED = ("proposals", "sides")
FIRST_STAGE = "first_stage"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("weights", type=Path, metavar="WEIGHTS", help="a weights file with dense proposals")
    p.add_argument("--root", required=True, metavar="PICTURES", help="folder of pictures with COCO-style files")
    p.add_argument("--annotations", nargs="+", default=["coco_val2017.json"], metavar="FILE", help="to measure on")
    p.add_argument("--body", metavar="FILE", help="nanodet_plus_m_416_coco.safetensors")
    p.add_argument("--head-weights", metavar="FILE", help="nanodet_plus_m_416_coco_head.safetensors")
    p.add_argument("--document", type=Path, metavar="FILE", help="Markdown whose blocks to rewrite")
    p.add_argument("--figures", type=Path, metavar="FILE", help="JSON whose entries to rewrite")
    return p


def main() -> None:
    options = parser().parse_args()
    if bool(options.body) != bool(options.head_weights):
        raise InputError("--body and --head-weights belong together: give both or neither")
    model = load_detector(options.weights)
    dense_proposals(model)  # refused at once, not after the first pass
    choices = tables(Variant.of(model.settings))
    refuse_places(options, *choices, *([FIRST_STAGE] if options.body else []))
    dataset = open_dataset("coco", options.root, "val", annotations=options.annotations)

    figures = measured(model, dataset, choices)
    report = {name: choice_lines(options, len(dataset), rows) for name, rows in figures.items()}
    if options.body:
        own = next(row for row in figures["scores"].values() if row["chosen"])
        figures[FIRST_STAGE] = first_stage_rows(options, dataset, Variant.of(model.settings).sides)
        figures[FIRST_STAGE]["both stages"] = own
        report[FIRST_STAGE] = first_stage_lines(options, len(dataset), figures[FIRST_STAGE])
    for name, lines in report.items():
        print("\n".join(["", name, "", *lines]))
        write_places(options, name, lines, {"weights": options.weights.name, "rows": figures[name]})


def tables(own: Variant) -> dict[str, dict[str, Variant]]:
    """By block of the document the rows of its table; that of the weights' own choices is in each."""
    shares = {*SHARES, own.share} if own.fusion == "product" and own.share < 1 else SHARES
    overlaps = SUPPRESSIONS if own.decay else {*SUPPRESSIONS, own.suppression}
    decays = {*DECAYS, own.decay} if own.decay else DECAYS
    return {
        "scores": {
            "the region's alone": replace(own, fusion="region"),
            **{f"product, share {s:g}": replace(own, fusion="product", share=s) for s in sorted(shares)},
            "the proposal's alone": replace(own, fusion="product", share=1.0),
            "sum of the logits": replace(own, fusion="sum"),
        },
        "boxes": {f"{share:g}": replace(own, box_share=share) for share in sorted({*BOX_SHARES, own.box_share})},
        "proposals": {str(n): replace(own, proposals=n) for n in sorted({*PROPOSALS, own.proposals})},
        "sides": {f"{low} / {high}": replace(own, sides=(low, high)) for low, high in sorted({*SIDES, own.sides})},
        "suppressions": {
            **{f"hard, {overlap:g}": replace(own, suppression=overlap, decay=0.0) for overlap in sorted(overlaps)},
            **{f"matrix, decay {decay:g}": replace(own, decay=decay) for decay in sorted(decays)},
        },
    }


def measured(
    model: Detector, dataset: PedestrianDataset, choices: dict[str, dict[str, Variant]]
) -> dict[str, dict[str, dict[str, Any]]]:
    """The figures of each row, "chosen" of what the weights come with, and "seconds" a picture where they differ."""
    own = Variant.of(model.settings)
    different = {variant for rows in choices.values() for variant in rows.values()}
    figures: dict[Variant, Figures] = {}
    for sides in sorted({variant.sides for variant in different}):
        names = {str(variant): variant for variant in different if variant.sides == sides}
        found = detect_variants(model, dataset, names)
        figures |= {names[name]: measure(dataset.annotations, one) for name, one in found.items()}
    result: dict[str, dict[str, dict[str, Any]]] = {
        table_name: {name: {**figures[v], "chosen": v == own} for name, v in rows.items()}
        for table_name, rows in choices.items()
    }
    for table_name in TIMED:
        for name, seconds in times(model, dataset, choices[table_name]).items():
            result[table_name][name]["seconds"] = seconds
    return result


def times(model: Detector, dataset: PedestrianDataset, rows: dict[str, Variant]) -> dict[str, float]:
    """Processor seconds of the first picture, median of rounds in which the variants take turns."""
    image = dataset[0].image

    def work(variant: Variant) -> Callable[[], object]:
        def detect() -> None:
            variant.apply(model)
            detect_pictures(model, [image])

        return detect

    return in_turn({name: work(variant) for name, variant in rows.items()}, ROUNDS, "cpu")


def first_stage_rows(
    options: argparse.Namespace, dataset: PedestrianDataset, sides: tuple[int, int]
) -> dict[str, dict[str, Any]]:
    """The figures of the first stage before any training of ours.

    Raises:
        InputError: its files cannot be used.
    """
    model = build_detector(PRESETS["light"]).eval()
    fill_first_stage(model, [options.body, options.head_weights])
    find = partial(detect_first_stage, model, dataset)
    height, width = STRETCHED
    found = {
        f"first stage as it comes, stretched to {height} x {width}": find(sides=STRETCHED, stretched=True),
        f"first stage as it comes, aspect kept, {sides[0]} / {sides[1]}": find(sides=sides, stretched=False),
    }
    return {name: dict(measure(dataset.annotations, one)) for name, one in found.items()}


def choice_lines(options: argparse.Namespace, pictures: int, rows: dict[str, dict[str, Any]]) -> list[str]:
    """A table; the row that the weights come with is marked, the others show the difference to it."""
    own = next(row for row in rows.values() if row["chosen"])
    timed = "seconds" in own
    body = []
    for name, row in rows.items():
        shown = cells([row], None if row["chosen"] else [own])
        shown += [f"{1e3 * row['seconds']:.0f}"] if timed else []
        body.append([f"**{name}**" if row["chosen"] else name, *shown])
    head = ["", *COLUMNS.values(), *(["processor ms a picture"] if timed else [])]
    words = "; in bold what the weights come with, in brackets the difference to it:"
    return [*said(options, pictures, words), "", *table(head, body)]


def first_stage_lines(options: argparse.Namespace, pictures: int, rows: dict[str, dict[str, Any]]) -> list[str]:
    body = [[name, *cells([row])] for name, row in rows.items()]
    return [*said(options, pictures, ":"), "", *table(["", *COLUMNS.values()], body)]


def said(options: argparse.Namespace, pictures: int, end: str) -> list[str]:
    files = " and ".join(Path(file).name for file in options.annotations)
    return [f"{options.weights.name} on the {pictures} pictures of {files}{end}"]


if __name__ == "__main__":
    run(main)
