"""Posed pedestrians wear what their class says, stand where their points say, and are written whole."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from upright.datasets.synthetic.composition import compose
from upright.datasets.synthetic.scene import generator
from upright.errors import InputError
from upright.experiments.parts.birds import Birds, read_birds
from upright.experiments.parts.posed_pedestrians import (
    CLASSES,
    SIDE,
    attributes_right,
    draw_scene,
    locate,
    write_pedestrians,
)

TRAIN, TEST = 24, 8


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pedestrians")
    write_pedestrians(root, TRAIN, TEST)
    return root


@pytest.fixture(scope="module")
def birds(root: Path) -> Birds:
    return read_birds(root)


def test_classes_take_turns_in_both_splits(birds: Birds) -> None:
    assert birds.labels.tolist() == [*range(24), *range(8)]
    assert birds.train.sum() == TRAIN
    assert len(birds.classes) == len(CLASSES) == 24
    assert birds.classes[23] == "024.brim_blue_sand_bag"


def test_points_lie_in_the_person_s_box_and_the_picture(birds: Birds) -> None:
    low, high = birds.boxes[:, None, :2], birds.boxes[:, None, :2] + birds.boxes[:, None, 2:]
    assert not np.isnan(birds.locations).any()
    # The ears stand for the width of head and hair, a little more than the mask where the head is narrow.
    assert ((birds.locations > low - 3) & (birds.locations < high + 3)).all()
    assert ((birds.locations > 0) & (birds.locations < SIDE)).all()
    # Whoever stands upright is as tall as the box; a lean makes it lower.
    assert (birds.boxes[:, 3] > 0.4 * SIDE).all()
    assert (birds.boxes[:, 3] < 0.84 * SIDE).all()


def place(birds: Birds, index: int, *names: str) -> tuple[int, int]:
    """Column and row of the middle of some points."""
    return tuple(np.rint(birds.locations[index, [birds.points.index(n) for n in names]].mean(axis=0)).astype(int))


def test_clothes_have_the_colours_of_the_class(birds: Birds) -> None:
    right = np.zeros(2)
    for index, path in enumerate(birds.paths):
        blue, _, red = cv2.split(cv2.imread(str(birds.folder / "images" / path)).astype(int))
        _, upper, lower, _ = CLASSES[birds.labels[index]]
        for k, (points, expected) in enumerate(
            ((("neck", "left hip", "right hip"), upper == "blue"), (("left hip", "left knee"), lower == "blue"))
        ):
            x, y = place(birds, index, *points)
            right[k] += ((blue > red)[y - 2 : y + 3, x - 2 : x + 3].mean() > 0.5) == expected
    # Hands, hair and bags may cover a place.
    assert right.min() >= 28


def test_bags_hang_below_the_right_hand() -> None:
    """The picture of somebody with a bag and one of the same person without differ there."""
    assert CLASSES[0][:3] == CLASSES[1][:3]
    below = 0
    for index in range(6):
        pictures = []
        for label in (0, 1):
            view, placed = draw_scene(generator(0, index, 0), label)
            pictures.append(np.full((SIDE, SIDE, 3), 128, np.uint8))
            compose(view, [placed], pictures[-1])
        rows, _ = np.nonzero(np.abs(pictures[1].astype(int) - pictures[0]).max(axis=2) > 20)
        below += len(rows) > 30 and rows.mean() > locate(placed)["right hand"][1]
    assert below == 6


def test_a_stopped_writing_goes_on_to_the_same_pictures(root: Path, birds: Birds) -> None:
    file = birds.folder / "images" / birds.paths[5]
    kept = birds.folder / "images" / birds.paths[6]
    before, tables = file.read_bytes(), {p: p.read_bytes() for p in birds.folder.rglob("*.txt")}
    time = kept.stat().st_mtime_ns
    file.unlink()
    for table in tables:
        if table.name != "pedestrians.txt":
            table.unlink()
    write_pedestrians(root, TRAIN, TEST)
    assert file.read_bytes() == before
    assert kept.stat().st_mtime_ns == time
    assert {p: p.read_bytes() for p in birds.folder.rglob("*.txt")} == tables


def test_other_pictures_are_not_mixed_in(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds other pictures than 24 to train on, 9 to test"):
        write_pedestrians(root, TRAIN, TEST + 1)
    (tmp_path / "CUB_200_2011").mkdir()
    with pytest.raises(InputError, match="choose another folder"):
        write_pedestrians(tmp_path, TRAIN, TEST)


def test_attributes_are_counted_one_by_one() -> None:
    first = CLASSES.index(("bare", "red", "blue", "empty"))
    bag = CLASSES.index(("bare", "red", "blue", "bag"))
    hat = CLASSES.index(("brim", "blue", "blue", "empty"))
    assert attributes_right(np.array([first, bag, hat]), np.array([first, first, first])) == pytest.approx(
        [2 / 3, 2 / 3, 1, 2 / 3]
    )
