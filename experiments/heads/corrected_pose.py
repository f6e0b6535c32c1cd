"""What it is worth to correct the pose by a second look: the same weights with and without it, on turned photographs.

    python experiments/heads/corrected_pose.py weights/upright-any-angle.safetensors --root PICTURES \\
        --document docs/head.md --figures docs/head.json

PICTURES is a folder with a COCO-style file of people with outlines and joints. People of 64 pixels and more count, as
docs/pose.md says; pictures in which nobody has joints are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from upright.datasets.hold_out import with_joints
from upright.datasets.registry import open_dataset
from upright.datasets.turned import TurnedPedestrians
from upright.detector.engines.torch_engine import TorchEngine
from upright.detector.evaluation.pose import pose_figures
from upright.detector.inference import detect_dataset
from upright.detector.model import Detector
from upright.detector.weights import load_detector
from upright.errors import InputError
from upright.experiments.harness import refuse_places, write_places
from upright.tools.command import run
from upright.tools.model_card import POSE_COLUMNS, pose_cells
from upright.tools.report import table

BLOCK = "corrected"
TURNS = (45.0, 90.0, 135.0, 180.0)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("weights", type=Path, metavar="WEIGHTS", help="whose second look corrects the pose")
    p.add_argument("--root", required=True, metavar="PICTURES", help="folder of pictures with COCO-style files")
    p.add_argument("--annotations", nargs="+", default=["coco_val2017.json"], metavar="FILE", help="to measure on")
    p.add_argument("--document", type=Path, metavar="FILE", help="Markdown whose block to rewrite")
    p.add_argument("--figures", type=Path, metavar="FILE", help="JSON whose entry to rewrite")
    return p


def main() -> None:
    options = parser().parse_args()
    refuse_places(options, BLOCK)
    corrects, alone = load_detector(options.weights).eval(), load_detector(options.weights).eval()
    second_look = alone.roi_heads.second_look
    if second_look is None or second_look.localisation is None:
        raise InputError(f"{options.weights} does not correct the pose: train it with --pose-from second_look")
    second_look.localisation = None
    pictures = with_joints(open_dataset("coco", options.root, "val", annotations=options.annotations))
    results = {}
    for degrees in TURNS:
        turned = TurnedPedestrians(pictures, degrees)
        results[f"{degrees:g}"] = {"transformers": figures(alone, turned), "second look": figures(corrects, turned)}
    text = lines(results)
    print("\n".join(text))
    write_places(options, BLOCK, text, results)


def figures(model: Detector, turned: TurnedPedestrians) -> dict[str, Any]:
    """Of people of 64 pixels and more, as `pose_figures`.

    Raises:
        InputError: nobody has a labelled trunk.
    """
    found = pose_figures(turned.annotations, detect_dataset(TorchEngine(model), turned))
    if found is None:
        raise InputError("nobody's trunk is labelled in these pictures: give --annotations with joints")
    return found["large"]


def lines(results: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """The table, by angle and by who says the pose."""
    rows = [[degrees, says, *pose_cells(one)] for degrees, both in results.items() for says, one in both.items()]
    return table(["turned by", "pose of", *POSE_COLUMNS], rows)


if __name__ == "__main__":
    run(main)
