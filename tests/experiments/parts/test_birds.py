"""CUB-200-2011 as distributed is read: tables, pictures made square, parts where they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from upright.errors import InputError
from upright.experiments.parts.birds import MARGIN, PARTS, read_birds, write_tables

TABLES = {
    "images.txt": "1 001.Black_footed_Albatross/a 46.jpg\n2 002.Laysan_Albatross/b.jpg\n",
    "image_class_labels.txt": "1 1\n2 2\n",
    "train_test_split.txt": "1 0\n2 1\n",
    "classes.txt": "1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n",
    "bounding_boxes.txt": "1 60.0 27.0 325.0 304.0\n2 139.0 30.0 153.0 264.0\n",
    "parts/parts.txt": "1 back\n2 left eye\n3 crown\n",
    "parts/part_locs.txt": (
        "1 1 0.0 0.0 0\n1 2 100.0 20.0 1\n1 3 80.0 40.0 1\n2 1 7.0 5.0 1\n2 2 0.0 0.0 0\n2 3 0.0 0.0 0\n"
    ),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in TABLES.items():
        file = tmp_path / "CUB_200_2011" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    wide = np.zeros((100, 200, 3), np.uint8)
    wide[:, 50:100] = (0, 0, 255)  # BGR: the left half of the middle square is red
    grey = np.full((60, 60), 90, np.uint8)
    for name, image in (("001.Black_footed_Albatross/a 46.jpg", wide), ("002.Laysan_Albatross/b.jpg", grey)):
        file = tmp_path / "CUB_200_2011" / "images" / name
        file.parent.mkdir(parents=True)
        cv2.imwrite(str(file), image, (cv2.IMWRITE_JPEG_QUALITY, 100))
    return tmp_path


def test_tables_are_read(root: Path) -> None:
    birds = read_birds(root)
    assert birds.paths == ["001.Black_footed_Albatross/a 46.jpg", "002.Laysan_Albatross/b.jpg"]
    assert birds.labels.tolist() == [0, 1]
    assert birds.train.tolist() == [False, True]
    assert birds.boxes[1].tolist() == [139, 30, 153, 264]
    assert birds.points == ["back", "left eye", "crown"]
    assert np.isnan(birds.locations[0, 0]).all()
    assert birds.locations[0, 1].tolist() == [100, 20]
    assert read_birds(root / "CUB_200_2011").paths == birds.paths


def test_the_middle_square_is_cut_out_and_parts_with_it(root: Path) -> None:
    image, boxes = read_birds(root).square(0, 50)
    assert image.shape == (50, 50, 3)
    assert image[25, 10, 0] > 240
    assert image[25, 10, 2] < 15
    assert image[25, 40].max() < 15
    # 200 x 100 halved, columns 25 to 75 of it: the eye (100, 20) falls on (25, 10), the crown (80, 40) on (15, 20).
    margin = 2 * MARGIN
    expected = [2 * 15 / 50 - 1 - margin, 2 * 10 / 50 - 1 - margin, 2 * 25 / 50 - 1 + margin, 2 * 20 / 50 - 1 + margin]
    assert boxes[list(PARTS).index("head")].tolist() == pytest.approx(expected)
    assert np.isnan(boxes[list(PARTS).index("torso")]).all()  # its only point is hidden


def test_grey_pictures_have_three_channels(root: Path) -> None:
    image, _ = read_birds(root).square(1, 120)
    assert image.shape == (120, 120, 3)
    assert abs(int(image[60, 60, 1]) - 90) < 3


def test_written_tables_are_read_as_they_were(root: Path) -> None:
    birds = read_birds(root)
    for name in TABLES:
        (root / "CUB_200_2011" / name).unlink()
    write_tables(birds)
    for name, text in TABLES.items():
        assert (root / "CUB_200_2011" / name).read_text() == text, name


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "images.txt").unlink(), "holds no CUB_200_2011"),
        (lambda folder: (folder / "classes.txt").unlink(), "classes.txt cannot be read"),
        (lambda folder: (folder / "classes.txt").write_text("1\n"), "classes.txt, line 1: 2 columns"),
        (lambda folder: (folder / "image_class_labels.txt").write_text("1 1\n2 3\n"), "names classes that"),
        (lambda folder: (folder / "train_test_split.txt").write_text("2 1\n1 0\n"), "of images.txt, in order"),
        (lambda folder: (folder / "bounding_boxes.txt").write_text("1 1 1 1 x\n2 1 1 1 1\n"), "is not a number"),
        (lambda folder: (folder / "parts" / "parts.txt").write_text("1 back\n3 crown\n2 tail\n"), "in their order"),
    ],
)
def test_what_cannot_be_used_is_named(root: Path, spoil: Callable[[Path], None], said: str) -> None:
    spoil(root / "CUB_200_2011")
    with pytest.raises(InputError, match=said):
        read_birds(root)


def test_a_damaged_picture_is_named(root: Path) -> None:
    (root / "CUB_200_2011" / "images" / "002.Laysan_Albatross" / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"b\.jpg: it is damaged"):
        read_birds(root).square(1, 50)
