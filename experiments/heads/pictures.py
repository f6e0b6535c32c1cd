"""People at all angles, and beside each what the detector makes of them: set upright by the pose that it tells.

    python experiments/heads/pictures.py --output docs/pictures/upright_people.jpg --weights any-angle.safetensors \
        --turned "photographs, turned=../shared/data/people/coco_val2017.json" \
        --pictures "overhead fisheye=../shared/data/fisheye/boxes.json"

A band of pictures is the pictures of a COCO-style file as they are (--pictures) or each turned by another angle
(--turned); a band of rendered ones with the camera rolled by any angle stands below. Nobody is picked by hand: of each
30 degrees of the lean that the detector tells, its surest detection of at least 64 pixels is shown. Boxes and joints of
the files are not looked at.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from upright.datasets.registry import open_dataset
from upright.datasets.sample import PedestrianDataset
from upright.datasets.turning import turned_image
from upright.detector.detect import detect
from upright.detector.detected import Detected
from upright.detector.drawing import DARK, DEGREE, FONT, PALE, put_text
from upright.detector.model import Detector
from upright.detector.upright_crops import context_cell, upright_crop
from upright.detector.video_writer import write_picture
from upright.detector.weights import load_detector
from upright.errors import InputError
from upright.tools.command import run

BINS = 12  # of the lean, side by side
SMALLEST = 64  # pixels of the longer side of a box
GOLDEN = 137.5  # degrees from a picture's turn to the next one's: they spread over all directions
SIDE, WIDTH, GAP, TITLE = 128, 84, 6, 26  # pixels of the cells, between them, and of a band's title


@dataclass(frozen=True)
class Shown:
    """Somebody as in the picture and upright, uint8 (SIDE, SIDE, 3) and (SIDE, WIDTH, 3), RGB."""

    score: float
    lean: float
    before: np.ndarray
    after: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the picture to write")
    parser.add_argument("--weights", metavar="FILE", help="weights that tell how people stand (default: the released)")
    for flag, what in (("turned", "each turned by another angle"), ("pictures", "as they are")):
        parser.add_argument(
            f"--{flag}", nargs="+", default=[], metavar="TITLE=JSON", help=f"pictures of COCO-style files, {what}"
        )
    parser.add_argument(
        "--rendered", type=int, default=200, metavar="N", help="pictures of the rendered band, 0 for none (default 200)"
    )
    parser.add_argument("--threshold", type=float, metavar="X", help="lowest score, 0 to 1 (default: the weights' own)")
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu, cuda, cuda:1 ... (default cpu)")
    arguments = parser.parse_args()
    bands = [(title, turned_pictures(data)) for title, data in map(named_pictures, arguments.turned)]
    bands += [(title, plain_pictures(data)) for title, data in map(named_pictures, arguments.pictures)]
    if arguments.rendered:
        rolled = open_dataset("synthetic", split="val", roll=180.0, length=arguments.rendered)
        bands.append(("rendered, the camera rolled by any angle", plain_pictures(rolled)))
    if not bands:
        raise InputError("there are no pictures to show: give --turned, --pictures or --rendered")
    model = load_detector(arguments.weights, arguments.device)
    if not model.tells_pose:
        raise InputError("these weights do not tell how people stand: pass --weights that do")
    drawn = [band(title, surest(pictures, model, arguments.threshold)) for title, pictures in bands]
    write_picture(arguments.output, np.concatenate(drawn))


def named_pictures(text: str) -> tuple[str, PedestrianDataset]:
    """A band's title and the data set of a COCO-style file, whose pictures are named relative to it.

    Raises:
        InputError: it is not TITLE=JSON, or the file cannot be read.
    """
    title, separator, path = text.partition("=")
    if not (title and separator and path):
        raise InputError(f"{text} is no band of pictures: write TITLE=JSON")
    return title, open_dataset("coco", Path(path).parent, "val", annotations=[path])


def plain_pictures(dataset: PedestrianDataset) -> Iterator[np.ndarray]:
    """The pictures uint8 (H, W, 3), RGB, as they are."""
    return (dataset[index].image for index in range(len(dataset)))


def turned_pictures(dataset: PedestrianDataset) -> Iterator[np.ndarray]:
    """The pictures, each turned by another angle."""
    return (turned_image(dataset[index].image, GOLDEN * index % 360) for index in range(len(dataset)))


def surest(pictures: Iterator[np.ndarray], model: Detector, threshold: float | None = None) -> list[Shown | None]:
    """Of each of `BINS` ranges of the lean, from -180 to 180 degrees, the surest detection, or None."""
    best: list[Shown | None] = [None] * BINS
    for image in tqdm(pictures, desc="pictures", leave=False, disable=None):
        found: Detected = detect(image, model, threshold=threshold)
        assert found.lean is not None, "main has asked whether the model tells a pose"
        assert found.whole is not None
        assert found.parts is not None
        sides = (found.boxes[:, 2:] - found.boxes[:, :2]).max(axis=1, initial=0)
        for row in np.flatnonzero(sides >= SMALLEST):
            lean, score = float(found.lean[row]), float(found.scores[row])
            place = min(int((lean + 180) * BINS / 360), BINS - 1)
            held = best[place]
            if held is None or score > held.score:
                before = context_cell(image, found.boxes[row], found.whole[row], found.parts[row], [], SIDE)
                best[place] = Shown(score, lean, before, upright_crop(image, found.whole[row], (SIDE, WIDTH)))
    return best


def band(title: str, people: list[Shown | None]) -> np.ndarray:
    """People side by side: above as in the picture, with the outlines that are told, below upright. uint8, RGB."""
    canvas = np.full((TITLE + 2 * (SIDE + GAP) + TITLE, GAP + BINS * (SIDE + GAP), 3), DARK, np.uint8)
    cv2.putText(canvas, title, (GAP, 18), FONT, 0.5, PALE, 1, cv2.LINE_AA)
    for place, shown in enumerate(people):
        if shown is None:
            continue
        left, top = GAP + place * (SIDE + GAP), TITLE
        canvas[top : top + SIDE, left : left + SIDE] = shown.before
        middle = left + (SIDE - WIDTH) // 2
        canvas[top + SIDE + GAP : top + 2 * SIDE + GAP, middle : middle + WIDTH] = shown.after
        put_text(canvas, f"{shown.lean:+.0f}{DEGREE}", (middle, top + 2 * SIDE + GAP + 18), 0.45, PALE)
    return canvas


if __name__ == "__main__":
    run(main)
