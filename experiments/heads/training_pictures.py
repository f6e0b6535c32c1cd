"""What all methods learn from: photographs, where there are some, and rendered pictures, upright or turned."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import torch

from upright.datasets.augmentation import Augmentation
from upright.datasets.batches import Pair, TrainingPictures
from upright.datasets.hold_out import hold_out
from upright.datasets.registry import open_dataset
from upright.datasets.sample import PedestrianDataset
from upright.detector.settings import Settings
from upright.errors import InputError

MIN_HEIGHT = 10.0  # of people who are learnt from, pixels


class MarkedPictures(TrainingPictures):
    """Training pictures that say in their targets whether they are rendered, as the last part is."""

    def __getitem__(self, address: tuple[int, int]) -> Pair | InputError:
        pair = super().__getitem__(address)
        if not isinstance(pair, InputError):
            first = len(self) - len(self.parts[-1])
            pair[1]["rendered"] = torch.tensor(float(address[1] >= first))
        return pair


def parts(options: argparse.Namespace, turn: float) -> list[PedestrianDataset]:
    """The data sets; cameras of rendered pictures are rolled by up to `turn` degrees."""
    rendered = open_dataset("synthetic", split="train", length=options.rendered, roll=turn, poses="all")
    if not options.root:
        return [rendered]
    photographs = open_dataset("coco", options.root, "train", annotations=options.annotations)
    if options.hold_out:
        photographs = hold_out(photographs, options.hold_out)[0]
    return [photographs, rendered]


def training_pictures(options: argparse.Namespace, settings: Settings, turn: float, seed: int) -> MarkedPictures:
    """The augmented pictures, turned by up to `turn` degrees.

    Args:
        options: of the command line.
        settings: of the detectors.
        turn: 0 to 180.
        seed: of all that is drawn.
    """
    crop = (settings.crop_height, settings.crop_width)
    return MarkedPictures(parts(options, turn), Augmentation(settings.training_side, crop, MIN_HEIGHT, turn), seed)


def posed_pictures(pictures: MarkedPictures, most: int) -> Iterator[Pair]:
    """Of each part about so many pictures of people with joints, as they are trained on."""
    chosen, first = [], 0
    for part in pictures.parts:
        annotations = part.annotations
        posed = annotations.image_index[(annotations.joints[..., 2] > 0).any(axis=1)]
        rows = sorted(set(posed.tolist()))
        chosen += [first + row for row in rows[:: max(1, len(rows) // most)]]
        first += len(part)
    print(f"poses of the people in {len(chosen)} pictures", file=sys.stderr)
    for row in chosen:
        pair = pictures[0, row]
        if isinstance(pair, InputError):
            raise pair
        yield pair
