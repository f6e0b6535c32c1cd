"""The order of the data: decided by seed and step alone, shared out between processes."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from upright.datasets.augmentation import Augmentation
from upright.datasets.batches import TrainingBatches, TrainingPictures, collate, to_tensors
from upright.errors import InputError

PORTRAIT = np.arange(23) % 3 == 0


def take(count: int, **options: int) -> list[list[tuple[int, int]]]:
    return list(islice(TrainingBatches(PORTRAIT, 4, 7, **options), count))


def test_starting_later_goes_on_with_the_same_batches() -> None:
    whole = take(20)
    for start in (1, 5, 6, 13):
        assert take(20 - start, start=start) == whole[start:]


def test_an_epoch_has_every_picture_and_no_mixed_batch() -> None:
    batches = TrainingBatches(PORTRAIT, 4, 7)
    epoch = batches.epoch(0)
    assert set(np.concatenate(epoch)) == set(range(23))
    assert all(len(set(PORTRAIT[batch])) == 1 and len(batch) == 4 for batch in epoch)
    assert len(epoch) == batches.steps_an_epoch == 6
    assert [b.tolist() for b in epoch] != [b.tolist() for b in batches.epoch(1)]


def test_processes_share_each_batch() -> None:
    whole = take(8)
    shares = [take(8, rank=rank, processes=2) for rank in (0, 1)]
    for batch, one, two in zip(whole, *shares, strict=True):
        assert sorted(one + two) == sorted(batch)
        assert len(one) == len(two)


def test_fewer_pictures_than_a_batch_still_make_one() -> None:
    (batch,) = islice(TrainingBatches(np.zeros(2, bool), 8, 0), 1)
    assert sorted(index for _, index in batch) == [0, 1]


def test_a_training_picture_depends_on_its_address_alone(boards) -> None:
    pictures = TrainingPictures([boards, boards], Augmentation(128, (96, 128), 0), seed=3)
    assert len(pictures) == 12
    one, again, later = pictures[(0, 8)], pictures[(0, 8)], pictures[(1, 8)]
    assert torch.equal(one[0], again[0])
    assert not torch.equal(one[0], later[0])
    assert one[1]["image_id"] == 3  # the third picture of the second part
    assert set(one[1]) == {"boxes", "labels", "ignore", "image_id", "keypoints", "turn"}


def test_targets_of_a_picture_without_people_keep_their_shapes(boards) -> None:
    empty = boards[0].rows(np.zeros(0, np.int64))
    image, target = to_tensors(empty)
    assert image.shape == (3, 128, 160)
    assert target["boxes"].shape == (0, 4)
    assert target["labels"].shape == (0,)
    assert target["keypoints"].shape == (0, 17, 3)


def test_an_unreadable_picture_comes_as_a_value_out_of_the_worker(boards) -> None:
    class Broken:
        sizes = boards.sizes[:1]

        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> None:
            raise InputError("the picture x.jpg is empty")

    pictures = TrainingPictures([boards, Broken()], Augmentation(128, (96, 128), 0), seed=0)
    with pytest.raises(InputError, match=r"x\.jpg"):
        raise collate([pictures[(0, 0)], pictures[(0, 6)]])
