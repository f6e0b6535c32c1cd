"""Pictures side by side, and their people with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from upright.errors import InputError
from upright.experiments.video.walls import GREY, Walls


def test_every_person_stands_in_the_wall_as_in_the_picture(boards) -> None:
    walls = Walls(boards, 2)
    assert len(walls) == 2
    assert walls.sizes.tolist() == [[320, 256]] * 2
    assert walls.annotations.image_index.tolist() == [0, 0, 0, 0, 1, 1]
    for row, (x, y, width, height) in enumerate(walls.annotations.boxes.astype(int).tolist()):
        wall = walls[row // 4]
        left, top, wide, tall = boards.annotations.boxes[row].astype(int).tolist()
        assert (width, height) == (wide, tall)
        person = boards[row].image[top : top + tall, left : left + wide]
        np.testing.assert_array_equal(wall.image[y : y + height, x : x + width], person)
        assert [x, y, x + width, y + height] in wall.boxes.astype(int).tolist()
    assert (walls[1].image[128:] == GREY).all(), "two places of the last wall are empty"


def test_one_picture_across_is_the_data_set(boards) -> None:
    walls = Walls(boards, 1)
    np.testing.assert_array_equal(walls.annotations.boxes, boards.annotations.boxes)
    np.testing.assert_array_equal(walls[4].image, boards[4].image)


def test_pictures_of_unknown_size_are_refused(boards) -> None:
    boards.annotations = replace(boards.annotations, sizes=np.zeros((6, 2), np.int64))
    with pytest.raises(InputError, match="how large"):
        Walls(boards, 2)
