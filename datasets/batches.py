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
from upright.datasets.sample import PedestrianDataset, Sample
from upright.errors import InputError

Target = dict[str, Any]  # tensors, and the id of the picture
Pair = tuple[Tensor, Target]


def to_tensors(sample: Sample) -> Pair:
    """Image uint8 (3, H, W) and target: boxes (n, 4), labels (n,) ones, ignore (n,) bool, keypoints (n, 17, 3).

    The joints are called keypoints because torchvision scales what has that name together with the picture.
    """
    return torch.from_numpy(np.ascontiguousarray(sample.image.transpose(2, 0, 1))), {
        "boxes": torch.from_numpy(sample.boxes.astype(np.float32)).reshape(-1, 4),
        "labels": torch.ones(len(sample.boxes), dtype=torch.int64),
        "ignore": torch.from_numpy(sample.ignore.astype(bool)),
        "keypoints": torch.from_numpy(sample.joints.astype(np.float32)),
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
    """

    def __init__(self, parts: Sequence[PedestrianDataset], augmentation: Augmentation, seed: int) -> None:
        self.parts = parts
        self.augmentation = augmentation
        self.seed = seed
        self._ends = list(accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def portrait(self) -> np.ndarray:
        """bool (len,): which pictures are taller than wide."""
        sizes = np.concatenate([part.sizes for part in self.parts])
        return sizes[:, 1] > sizes[:, 0]

    def __getitem__(self, address: tuple[int, int]) -> Pair | InputError:
        epoch, index = address
        number = bisect_right(self._ends, index)
        part = self.parts[number]
        try:
            sample = part[index - (self._ends[number] - len(part))]
        except InputError as error:
            return error
        seed = int(np.random.SeedSequence([self.seed, epoch, index]).generate_state(1)[0])
        return to_tensors(self.augmentation(sample, seed))


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
