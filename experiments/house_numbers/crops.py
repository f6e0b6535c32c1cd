"""Crops of house numbers: the window around all digits, the classes of the five places, whole splits in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from upright.datasets.pictures import read_picture
from upright.errors import InputError
from upright.experiments.house_numbers.digit_struct import ANNOTATIONS, read_annotations
from upright.output import whole_file

# Digits a network reads at most, as Goodfellow et al. 2013; longer numbers are left out (there is one in train).
LONGEST = 5
# The class of a place behind the last digit.
NONE = 10
# Side of the window, of the tight box around all digits: 30 % more (Goodfellow et al. 2013, section 5.1).
GROWN = 1.3
# Side in pixels of the crops that show the box grown by that much. Crops of 128 pixels are "inflated", they "include
# more background" (Jaderberg et al. 2015, table 2): the window grows with the side and digits keep their size.
SIDE = 64

BATCH = 200  # crops, where nothing is learned


def window(boxes: np.ndarray, size: int) -> tuple[float, float, float, float]:
    """What a crop of size x size pixels shows: left, top, right, bottom in pixels of the picture, maybe off it.

    Args:
        boxes: (n, 4) of the digits, left, top, width, height in pixels.
        size: 64 for the tight box around all digits and 30 % more, 128 for twice that.
    """
    low, high = boxes[:, :2].min(0), (boxes[:, :2] + boxes[:, 2:]).max(0)
    centre, half = (low + high) / 2, (high - low) / 2 * GROWN * size / SIDE
    return (*(centre - half), *(centre + half))


def crop(picture: np.ndarray, boxes: np.ndarray, size: int) -> np.ndarray:
    """The window around all digits as uint8 (size, size, 3); the picture's edge is repeated beyond it."""
    left, top, right, bottom = window(boxes, size)
    x, y = round(left), round(top)
    width, height = max(1, round(right) - x), max(1, round(bottom) - y)
    rows = np.arange(y, y + height).clip(0, picture.shape[0] - 1)
    columns = np.arange(x, x + width).clip(0, picture.shape[1] - 1)
    shrinks = width >= size and height >= size
    mode = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(picture[rows[:, None], columns], (size, size), interpolation=mode)


def classes(digits: Sequence[int]) -> list[int]:
    """The classes of the five places: digits, then `NONE`."""
    return [*digits, *[NONE] * (LONGEST - len(digits))]


def read_splits(folders: Sequence[Path], size: int, crops: Path) -> dict[str, list | int]:
    """Decode splits once: the crops of all go to one .npy file, to be mapped into memory.

    Args:
        folders: each of pictures and digitStruct.mat.
        size: side of the crops in pixels.
        crops: the file to write, uint8 (N, size, size, 3).

    Returns:
        `labels`, the classes (N, 5) of the five places, and `left_out`, how many numbers have no digit or more than 5.

    Raises:
        InputError: annotations or a picture cannot be read, or no number is left.
    """
    everything = [(folder, number) for folder in folders for number in read_annotations(folder / ANNOTATIONS)]
    numbers = [(folder, number) for folder, number in everything if 1 <= len(number.digits) <= LONGEST]
    if not numbers:
        raise InputError(f"{folders[0] / ANNOTATIONS} has no number of 1 to {LONGEST} digits: fetch it again")
    with whole_file(crops) as temporary:
        shape = (len(numbers), size, size, 3)
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        for index, (folder, number) in enumerate(tqdm(numbers, f"{folders[0].name}, pictures", leave=False)):
            array[index] = crop(read_picture(folder / number.name), number.boxes, size)
        array.flush()
    return {
        "labels": [classes(number.digits) for _, number in numbers],
        "left_out": len(everything) - len(numbers),
    }


@dataclass(frozen=True)
class Crops:
    """Pictures (N, size, size, 3) uint8 and the classes (N, 5) int64 of their five places."""

    pictures: np.ndarray
    labels: Tensor
    left_out: int

    def batch(self, chosen: np.ndarray, device: str) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, size, size) float32, each of mean 0 and deviation 1, and classes (B, 5)."""
        pictures = torch.from_numpy(self.pictures[chosen]).to(device).permute(0, 3, 1, 2).float()
        std, mean = torch.std_mean(pictures, (1, 2, 3), keepdim=True)
        pictures = (pictures - mean) / std.clamp(min=1)
        return pictures, self.labels[torch.from_numpy(chosen)].to(device)

    def batches(self, count: int, device: str) -> Iterator[tuple[Tensor, Tensor]]:
        """The first `count` crops, or all if there are fewer, as `batch` gives them."""
        chosen = np.arange(min(count, len(self.labels)))
        for start in range(0, len(chosen), BATCH):
            yield self.batch(chosen[start : start + BATCH], device)
