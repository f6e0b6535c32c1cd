"""COCO-style files: numbers untouched for the evaluation, repaired for training, faults in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from upright.datasets.coco import CocoPedestrians, read_annotations
from upright.errors import InputError


def write(folder: Path, change: dict[str, Any] | None = None, name: str = "a.json") -> Path:
    """Two pictures 60 x 40, three boxes; `change` replaces fields of the first annotation."""
    for number in (1, 2):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((40, 60, 3), 90, np.uint8))
    data = {
        "images": [{"id": 7, "file_name": "1.png", "width": 60, "height": 40}, {"id": 3, "file_name": "2.png"}],
        "annotations": [
            {"id": 1, "image_id": 7, "bbox": [10.5, 5, 12, 30], "iscrowd": 0} | (change or {}),
            {"id": 2, "image_id": 7, "bbox": [20, 5, 12, 30], "iscrowd": 1, "category_id": 1},
            {"id": 3, "image_id": 3, "bbox": [0, 0, 5, 9], "ignore": 1, "vis_bbox": [1, 1, 2, 3], "vis_ratio": 0.65},
        ],
    }
    (folder / name).write_text(json.dumps(data))
    return folder / name


def test_columns_hold_the_files_own_numbers(tmp_path: Path) -> None:
    annotations = read_annotations(write(tmp_path, {"bbox": [-4.25, 5, 12, 30], "height": 31}))
    assert annotations.image_ids == [7, 3]
    assert annotations.image_index.tolist() == [0, 0, 1]
    assert annotations.boxes[0].tolist() == [-4.25, 5, 12, 30]
    assert annotations.height.tolist() == [31, 30, 9]
    assert annotations.ignore.tolist() == [False, True, True]
    assert annotations.visible_ratio.tolist() == [1, 1, 0.65]
    assert annotations.visible_ratio.dtype == np.float64
    assert annotations.visible[2].tolist() == [1, 1, 2, 3]
    assert annotations.sizes.tolist() == [[60, 40], [0, 0]]


def test_samples_are_clipped_and_counted_in_one_warning(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = CocoPedestrians(tmp_path, [write(tmp_path, {"bbox": [-4, 5, 12, 50]})])
    sample = data[0]
    assert sample.boxes.tolist() == [[0, 5, 8, 40], [20, 5, 32, 35]]
    assert sample.boxes.dtype == np.float32
    assert sample.ignore.tolist() == [False, True]
    assert (sample.visible == sample.boxes).all()
    assert data[1].visible.tolist() == [[1, 1, 3, 4]]
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 1
    assert warnings[0].startswith("warning: 1 boxes")


def test_boxes_that_are_no_people_are_background_in_training(tmp_path: Path) -> None:
    sample = CocoPedestrians(tmp_path, [write(tmp_path, {"category_id": 5})])[0]
    assert (sample.boxes.tolist(), sample.ignore.tolist()) == ([[20, 5, 32, 35]], [True])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bbox": [1, 2, 0, 5]}, "positive"),
        ({"bbox": [1, 2, 3, -5]}, "positive"),
        ({"bbox": [1, 2, float("nan"), 5]}, "finite"),
        ({"bbox": [1, 2, float("inf"), 5]}, "finite"),
        ({"bbox": [1, 2, 3]}, "four numbers"),
        ({"bbox": ["a", 2, 3, 4]}, "four numbers"),
        ({"bbox": None}, "four numbers"),
        ({"bbox": [100, 5, 10, 10]}, "outside"),
        ({"bbox": [1, -30, 10, 10]}, "outside"),
        ({"image_id": 99}, "unknown image id 99"),
        ({"id": 2}, "more than once"),
        ({"image_id": [7]}, "wrong type"),
        ({"height": "tall"}, "wrong type"),
        ({"height": float("nan")}, "not finite"),
        ({"vis_ratio": float("nan")}, "not finite"),
        ({"category_id": "person"}, "wrong type"),
        ({"bbox": [10**400, 0, 1, 1]}, "four numbers"),
        ({"vis_bbox": [1, 2, float("nan"), 3]}, "has the vis_bbox"),
    ],
)
def test_annotations_that_cannot_be_used_are_refused_by_name(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = write(tmp_path, change)
    with pytest.raises(InputError, match=words) as caught:
        read_annotations(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"images": [], "annotations": 3}', '{"images": [{}], "annotations": []}']
)
def test_files_that_are_no_annotations_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(InputError, match=r"b\.json"):
        read_annotations(tmp_path / "b.json")


def test_a_missing_picture_is_found_before_training(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "2.png").unlink()
    with pytest.raises(InputError, match=r"2\.png is missing"):
        CocoPedestrians(tmp_path, [path])


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    data = CocoPedestrians(tmp_path, [write(tmp_path)])
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InputError, match="30 x 20"):
        data[0]


def test_files_are_joined_but_an_image_id_stands_in_one_alone(tmp_path: Path) -> None:
    write(tmp_path)
    other = json.loads((tmp_path / "a.json").read_text())
    for image in other["images"]:
        image["id"] += 100
    for row in other["annotations"]:
        row["image_id"] += 100
    (tmp_path / "b.json").write_text(json.dumps(other))
    both = CocoPedestrians(tmp_path, ["a.json", "b.json"])
    assert both.annotations.image_ids == [7, 3, 107, 103]
    assert both[3].id == 103
    assert len(both[2].boxes) == 2
    with pytest.raises(InputError, match="more than once"):
        CocoPedestrians(tmp_path, ["a.json", "a.json"])


def test_files_that_both_count_from_1_are_joined_and_numbered_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write(tmp_path)
    for number in (3, 4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((40, 60, 3), 90, np.uint8))
    other = json.loads((tmp_path / "a.json").read_text())
    for image, name in zip(other["images"], ("3.png", "4.png"), strict=True):
        image["file_name"] = name
    (tmp_path / "b.json").write_text(json.dumps(other))
    both = CocoPedestrians(tmp_path, ["a.json", "b.json"])
    assert both.annotations.image_ids == [1, 2, 3, 4]
    assert [len(both[i].boxes) for i in range(4)] == [2, 1, 2, 1]
    assert Path(both[2].path or "").name == "3.png"
    assert "share image ids" in capsys.readouterr().err


def named(folder: Path, categories: object, ids: tuple[int, ...] = (1, 1, 1)) -> Path:
    path = write(folder)
    data = json.loads(path.read_text())
    for row, number in zip(data["annotations"], ids, strict=True):
        row["category_id"] = number
    path.write_text(json.dumps(data if categories is None else data | {"categories": categories}))
    return path


def test_categories_name_the_person_whatever_its_number(tmp_path: Path) -> None:
    path = named(tmp_path, [{"id": 1, "name": "car"}, {"id": 0, "name": " Pedestrian "}], (0, 1, 0))
    annotations = read_annotations(path)
    assert annotations.category.tolist() == [1, 0, 1]
    assert annotations.person_ids == {0}
    assert read_annotations(path, person="CAR").category.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("categories", "ids", "person", "words"),
    [
        ([{"id": 1, "name": "car"}, {"id": 2, "name": "dog"}], (1, 1, 1), None, "car, dog, none is a person"),
        ([{"id": 1, "name": "person"}], (1, 1, 1), "walker", "none is called 'walker'"),
        (None, (0, 0, 3), None, "boxes of 0, 3: add 'categories'"),
        (None, (0, 0, 3), "walker", "--person NUMBER"),
        ([{"id": "1", "name": "person"}], (1, 1, 1), None, "no number 'id'"),
        (["person"], (1, 1, 1), None, "no number 'id'"),
    ],
)
def test_without_a_person_the_categories_are_listed(
    categories: object, ids: tuple[int, ...], person: str | None, words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        read_annotations(named(tmp_path, categories, ids), person)


def test_a_number_is_a_person_where_categories_have_no_names(tmp_path: Path) -> None:
    assert read_annotations(named(tmp_path, None, (0, 3, 0)), person="0").category.tolist() == [1, 0, 1]


@pytest.mark.parametrize(("value", "ignored"), [("0", False), ("false", False), ("1", True), (0, False), (1, True)])
def test_flags_may_be_text(value: object, ignored: bool, tmp_path: Path) -> None:
    assert read_annotations(write(tmp_path, {"ignore": value})).ignore.tolist()[0] is ignored


def test_a_byte_order_mark_and_backslashes_are_no_faults(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "im").mkdir()
    for number in (1, 2):
        (tmp_path / f"{number}.png").rename(tmp_path / "im" / f"{number}.png")
    text = path.read_text()
    path.write_text("\ufeff" + text.replace("1.png", "im\\\\1.png").replace("2.png", "im\\\\2.png"), "utf-8")
    assert CocoPedestrians(tmp_path, [path]).annotations.file_names == ["im/1.png", "im/2.png"]


def test_boxes_given_as_corners_are_suspected(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = write(tmp_path, {"bbox": [10, 5, 22, 38]})
    data = json.loads(path.read_text())
    data["annotations"][1]["bbox"] = [20, 5, 52, 35]
    path.write_text(json.dumps(data))
    CocoPedestrians(tmp_path, [path])
    assert "are they corners" in capsys.readouterr().err


def test_the_people_pack_is_read_whole(shared: Path) -> None:
    data = CocoPedestrians(shared / "data/people", ["coco_val.json"])
    assert (len(data), len(data.annotations.boxes), data.annotations.ignore.sum()) == (381, 1008, 21)
