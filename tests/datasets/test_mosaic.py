"""Mosaics: where people of the four pictures are afterwards, and which pictures become one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from upright.datasets.augmentation import Augmentation
from upright.datasets.batches import TrainingPictures
from upright.datasets.mosaic import mosaic
from upright.datasets.sample import Sample


def sample(number: int, people: int) -> Sample:
    """A picture 20 x 10 of one grey, with people at x = 1, 2, ..., whose first joint is in the middle."""
    boxes = np.array([[1 + i, 2, 5 + i, 9] for i in range(people)], np.float32).reshape(-1, 4)
    joints = np.zeros((people, 17, 3), np.float32)
    joints[:, 0] = np.reshape([[3 + i, 5, 2] for i in range(people)], (-1, 3))
    return Sample(
        image=np.full((10, 20, 3), number, np.uint8),
        boxes=boxes,
        visible=boxes + np.float32(0.5),
        ignore=np.arange(people) % 2 == 1,
        visible_ratio=np.full(people, number / 10, np.float32),
        attributes={"lean": np.full(people, number, np.float32)} | ({"pose": np.zeros(people)} if number else {}),
        id=number,
        path=None,
        joints=joints,
        outlines=None,  # filled in
    )


def test_people_move_with_their_quarter() -> None:
    whole = mosaic([sample(0, 1), sample(1, 2), sample(2, 0), sample(3, 1)])
    assert whole.image.shape == (20, 40, 3)
    assert whole.image[::10, ::20, 0].tolist() == [[0, 1], [2, 3]]
    assert whole.boxes.tolist() == [[1, 2, 5, 9], [21, 2, 25, 9], [22, 2, 26, 9], [21, 12, 25, 19]]
    assert np.array_equal(whole.visible, whole.boxes + 0.5)
    assert whole.joints[:, 0].tolist() == [[3, 5, 2], [23, 5, 2], [24, 5, 2], [23, 15, 2]]
    assert whole.ignore.tolist() == [False, False, True, False]
    assert set(whole.attributes) == {"lean"}  # what all four have
    assert whole.attributes["lean"].tolist() == [0, 1, 1, 3]
    assert whole.id == 0


class Greys:
    """Eight landscape pictures, each of one grey."""

    sizes = np.array([[20, 10]] * 8)

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Sample:
        return replace(sample(index, 1), image=np.full((10, 20, 3), 20 * index, np.uint8))


@pytest.mark.parametrize(("share", "quarters"), [(0.0, {1}), (1.0, {2, 3, 4})])
def test_the_share_of_mosaics(share: float, quarters: set[int]) -> None:
    whole, quarter = Augmentation(40, (40, 80), 0), Augmentation(20, (20, 40), 0)
    pictures = TrainingPictures([Greys()], whole, 0, quarter, share)
    pictures.augmentation = pictures.quarter = PlainResize()
    for index in range(8):
        image, _ = pictures[(0, index)]
        assert len(np.unique(image)) in quarters
    again, _ = pictures[(0, 3)]
    first, _ = pictures[(0, 3)]
    assert np.array_equal(again, first)


class PlainResize:
    """Changes nothing, so that greys stay what they are."""

    def __call__(self, sample: Sample, seed: int, portrait: bool | None = None) -> Sample:
        return sample
