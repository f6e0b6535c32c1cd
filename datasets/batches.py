"""From samples to the batches that a model learns from: targets, data order, several data sets in one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from upright.datasets.augmentation import Augmentation
from upright.datasets.mosaic import mosaic
from upright.datasets.sample import PedestrianDataset, Sample
from upright.errors import InputError

Target = dict[str, Any]  # tensors, and the id of the picture
MOSAICS = 2  # the random numbers of mosaics are a stream of their own: without any the others stay the same

Pair = tuple[Tensor, Target]


def to_tensors(sample: Sample) -> Pair:
    """Image uint8 (3, H, W) and target.

    That has boxes (n, 4), labels (n,) ones, ignore (n,) bool, keypoints (n, 17, 3), turn () and image_id.
    The joints are called keypoints because torchvision scales what has that name together with the picture.
    """
    return torch.from_numpy(np.ascontiguousarray(sample.image.transpose(2, 0, 1))), {
        "boxes": torch.from_numpy(sample.boxes.astype(np.float32)).reshape(-1, 4),
        "labels": torch.ones(len(sample.boxes), dtype=torch.int64),
        "ignore": torch.from_numpy(sample.ignore.astype(bool)),
        "keypoints": torch.from_numpy(sample.joints.astype(np.float32)),
        "turn": torch.tensor(sample.turn, dtype=torch.float32),
        "image_id": sample.id,
    }


def collate(items: list[Pair | InputError]) -> tuple[list[Tensor], list[Target]] | InputError:
    """Lists of images and targets; the first error if a picture could not be read."""
    for item in items:
        if isinstance(item, InputError):
            return item
    images, targets = zip(*items, strict=True)
    return list(images), list(targets)


class TrainingPictures(Dataset):
    """Augmented pictures of one or more data sets, addressed by (epoch, index).

    The augmentation depends on (seed, epoch, index) alone, not on the worker, so that a resumed run sees the same.
    An `InputError` is given back rather than raised, since a worker process would wrap it into a traceback.

    Args:
        parts: the data sets, one after the other.
        augmentation: of a whole picture.
        seed: of all that is drawn.
        quarter: the augmentation of a quarter of a mosaic, half as wide and high.
        mosaics: share of the pictures that are mosaics, 0 to 1.
    """

    def __init__(
        self,
        parts: Sequence[PedestrianDataset],
        augmentation: Augmentation,
        seed: int,
        quarter: Augmentation | None = None,
        mosaics: float = 0.0,
    ) -> None:
        self.parts = parts
        self.augmentation = augmentation
        self.seed = seed
        self.quarter = quarter
        self.mosaics = mosaics
        self._ends = list(accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def portrait(self) -> np.ndarray:
        """bool (len,): which pictures are taller than wide."""
        sizes = np.concatenate([part.sizes for part in self.parts])
        return sizes[:, 1] > sizes[:, 0]

    def __getitem__(self, address: tuple[int, int]) -> Pair | InputError:
        epoch, index = address
        seed = int(np.random.SeedSequence([self.seed, epoch, index]).generate_state(1)[0])
        generator = np.random.default_rng([seed, MOSAICS])
        try:
            if self.quarter is not None and generator.random() < self.mosaics:
                return to_tensors(self._mosaic(index, seed, self.quarter, generator))
            return to_tensors(self.augmentation(self._sample(index), seed))
        except InputError as error:
            return error

    def _sample(self, index: int) -> Sample:
        number = bisect_right(self._ends, index)
        part = self.parts[number]
        return part[index - (self._ends[number] - len(part))]

    def _mosaic(self, index: int, seed: int, quarter: Augmentation, generator: np.random.Generator) -> Sample:
        """The picture and three others, in the orientation of the picture."""
        first = self._sample(index)
        portrait = first.image.shape[0] > first.image.shape[1]
        others = [self._sample(int(i)) for i in generator.integers(len(self), size=3)]
        return mosaic([quarter(sample, seed + i, portrait) for i, sample in enumerate([first, *others])])


class TrainingBatches(Sampler[list[tuple[int, int]]]):
    """Addresses of the batches from step `start` on, for ever; (seed, step) alone decides them.

    Portrait and landscape pictures do not share a batch, which would be padded to a square. In distributed training
    each process takes its share of every batch.

    Args:
        portrait: bool (len,), of each picture.
        batch_size: pictures a step, of all processes together.
        seed: of the order.
        start: first step.
        rank, processes: which share of each batch.
    """

    def __init__(
        self,
        portrait: np.ndarray,
        batch_size: int,
        seed: int,
        *,
        start: int = 0,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.portrait = portrait
        self.batch_size = min(batch_size, len(portrait))
        self.seed = seed
        self.start = start
        self.rank = rank
        self.processes = processes

    @property
    def steps_an_epoch(self) -> int:
        return len(self.epoch(0))

    def epoch(self, number: int) -> list[np.ndarray]:
        """The batches of one epoch: each picture once, the rest of each orientation filled up from its own."""
        generator = np.random.default_rng([self.seed, number])
        batches: list[np.ndarray] = []
        for flag in (False, True):
            rows = generator.permutation(np.nonzero(self.portrait == flag)[0])
            if len(rows):
                rows = np.resize(rows, -(-len(rows) // self.batch_size) * self.batch_size)
                batches.extend(rows.reshape(-1, self.batch_size))
        return [batches[i] for i in generator.permutation(len(batches))]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        number, skip = divmod(self.start, self.steps_an_epoch)
        while True:
            for batch in self.epoch(number)[skip:]:
                yield [(number, int(index)) for index in batch[self.rank :: self.processes]]
            number, skip = number + 1, 0
