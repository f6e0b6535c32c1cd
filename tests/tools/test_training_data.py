"""What is said of a training's data before its first step: nobody to learn from, nothing to validate on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from upright.datasets.annotated import AnnotatedPictures
from upright.detector.settings import PRESETS
from upright.errors import InputError
from upright.tools import train


def arguments(*flags: object) -> argparse.Namespace:
    return train.parser().parse_args([*map(str, flags), "--output", "unused"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A picture with an ignore region, and another file in which that counts."""
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((40, 60, 3), np.uint8))
    row = {"id": 1, "image_id": 1, "bbox": [1, 2, 10, 20], "category_id": 1}
    for name, ignore in (("nobody.json", 1), ("somebody.json", 0)):
        content = {"images": [{"id": 1, "file_name": "1.png"}], "annotations": [row | {"ignore": ignore}]}
        (tmp_path / name).write_text(json.dumps(content))
    return tmp_path


def test_nobody_who_counts_stops_the_training(root: Path) -> None:
    flags = ("--dataset", "coco", "--root", root, "--annotations")
    nobody, somebody = arguments(*flags, "nobody.json"), arguments(*flags, "somebody.json")
    train.refuse_nobody(train.training_parts(somebody)[0], somebody)
    with pytest.raises(InputError, match=r"of 1 boxes in .* none counts as a person"):
        train.refuse_nobody(train.training_parts(nobody)[0], nobody)


def test_rendered_people_are_enough(root: Path) -> None:
    given = arguments("--dataset", "coco", "--root", root, "--annotations", "nobody.json", "--extra-synthetic", 2)
    train.refuse_nobody(train.training_parts(given)[0], given)


def test_pictures_with_joints_come_as_often_as_is_asked(root: Path) -> None:
    path = root / "somebody.json"
    content = json.loads(path.read_text())
    content["images"].append({"id": 2, "file_name": "1.png"})
    content["annotations"].append(content["annotations"][0] | {"id": 2, "image_id": 2, "keypoints": [5, 6, 2] * 17})
    path.write_text(json.dumps(content))
    flags = ("--dataset", "coco", "--root", root, "--annotations", "somebody.json", "--joints-times", "3")
    given = arguments(*flags)
    pictures = train.training_pictures(train.training_parts(given)[0], PRESETS["light"], given, seed=0)
    assert [part.annotations.image_ids for part in pictures.parts] == [[1, 2], [2], [2]]
    assert len(pictures) == 4


@pytest.fixture
def yolo(tmp_path: Path) -> Callable[[str], Path]:
    def make(folder: str) -> Path:
        place = tmp_path / "yolo" / folder
        place.mkdir(parents=True)
        cv2.imwrite(str(place / "a.png"), np.zeros((40, 60, 3), np.uint8))
        labels = Path(str(place).replace("images", "labels"))
        labels.mkdir(parents=True, exist_ok=True)
        (labels / "a.txt").write_text("0 0.5 0.5 0.2 0.5\n")
        (tmp_path / "yolo" / "classes.txt").write_text("person\n")
        return tmp_path / "yolo"

    return make


@pytest.mark.parametrize(
    ("folder", "words"), [("images/train", "no 'val'"), ("images", "has no split of its own for it")]
)
def test_a_data_set_without_a_split_to_validate_on_trains_without(
    folder: str, words: str, yolo: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments("--dataset", "yolo", "--root", yolo(folder))
    assert len(train.training_parts(given)[0][0]) == 1
    assert train.validation_set(given, None) is None
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: no validation: ")
    assert words in warning


def test_a_split_that_is_there_validates(yolo: Callable[[str], Path]) -> None:
    yolo("images/train")
    assert isinstance(
        train.validation_set(arguments("--dataset", "yolo", "--root", yolo("images/val")), None), AnnotatedPictures
    )
