"""COCO-style files: numbers untouched for the evaluation, repaired for training, faults in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from upright.datasets.coco import CocoPedestrians, joined, read_annotations
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
        ({"height": -40}, "a height in .* negative"),
        ({"vis_ratio": -0.5}, "a vis_ratio in .* negative"),
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


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "a\0b.png"], ids=["long", "null"])
def test_a_name_that_no_file_can_have_is_a_missing_picture(name: str, tmp_path: Path) -> None:
    path = write(tmp_path)
    content = json.loads(path.read_text())
    content["images"][0]["file_name"] = name
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="is missing"):
        CocoPedestrians(tmp_path, [path])


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


KEYPOINTS = [12, 9, 2, 13, 8, 1] + [0, 0, 0] * 15
OUTLINE = [10.5, 5, 22.5, 5, 22.5, 35, 10.5, 35]


def test_joints_and_outlines_come_with_their_people(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = CocoPedestrians(tmp_path, [write(tmp_path, {"keypoints": KEYPOINTS, "segmentation": [OUTLINE]})])
    assert data.annotations.joints.shape == (3, 17, 3)
    assert data.annotations.joints.dtype == np.float32
    sample = data[0]
    assert sample.joints[0, :3].tolist() == [[12, 9, 2], [13, 8, 1], [0, 0, 0]]
    assert not sample.joints[1].any()
    assert sample.outlines[0][0].tolist() == [[10.5, 5], [22.5, 5], [22.5, 35], [10.5, 35]]
    assert sample.outlines[1] == ()
    assert data[1].joints.shape == (1, 17, 3)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("keypoints", [None, [], [0] * 51])
def test_people_without_joints_have_none(
    tmp_path: Path, keypoints: list[int] | None, capsys: pytest.CaptureFixture
) -> None:
    assert not read_annotations(write(tmp_path, {"keypoints": keypoints})).joints.any()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("change", "left", "words"),
    [
        ({"keypoints": KEYPOINTS[:45]}, 0, "1 keypoints of people"),
        ({"keypoints": "nose"}, 0, "1 keypoints of people"),
        ({"keypoints": 7}, 0, "1 keypoints of people"),
        ({"keypoints": {"nose": 1}}, 0, "1 keypoints of people"),
        ({"keypoints": [float("nan"), *KEYPOINTS[1:]]}, 1, "1 single joints"),
        ({"keypoints": [*KEYPOINTS[:2], float("nan"), *KEYPOINTS[3:]]}, 1, "1 single joints"),
        ({"keypoints": [61, *KEYPOINTS[1:]]}, 1, "1 single joints"),
        ({"keypoints": [-1, *KEYPOINTS[1:5], 7, *KEYPOINTS[6:]]}, 0, "2 single joints"),
    ],
)
def test_joints_that_cannot_be_used_are_counted_in_one_line_and_not_labelled(
    tmp_path: Path, change: dict[str, Any], left: int, words: str, capsys: pytest.CaptureFixture
) -> None:
    joints = read_annotations(write(tmp_path, change)).joints
    assert (joints[..., 2] > 0).sum() == left
    assert np.isfinite(joints).all()
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 1
    assert words in warnings[0]
    assert "a.json" in warnings[0]


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [40, 60], "counts": "abc"},
        "round",
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5]],
        [OUTLINE, None],
        [[float("nan"), *OUTLINE[1:]]],
        [[40, 5, 50, 5, 50, 35]],
    ],
)
def test_outlines_that_are_no_polygons_round_their_box_are_counted_and_not_known(
    tmp_path: Path, segmentation: Any, capsys: pytest.CaptureFixture
) -> None:
    assert read_annotations(write(tmp_path, {"segmentation": segmentation})).outlines[0] == ()
    assert "1 segmentations" in capsys.readouterr().err


def test_the_run_length_mask_of_a_crowd_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    change = {"segmentation": {"size": [40, 60], "counts": "abc"}, "iscrowd": 1}
    assert read_annotations(write(tmp_path, change)).outlines[0] == ()
    assert capsys.readouterr().err == ""


def test_joints_outside_a_picture_of_unknown_size_are_not_labelled_either(tmp_path: Path) -> None:
    path = write(tmp_path)
    data = json.loads(path.read_text())
    data["annotations"][2]["keypoints"] = [100, 9, 2, *KEYPOINTS[3:]]
    data["annotations"][2]["segmentation"] = [[0, 0, 5, 0, 5, 9, 0, 90]]
    data["annotations"][2]["bbox"] = [0, 0, 5, 90]
    path.write_text(json.dumps(data))
    sample = CocoPedestrians(tmp_path, [path])[1]
    assert (sample.joints[0, :, 2] > 0).sum() == 1
    assert sample.outlines[0][0].max() == 40


def test_joined_files_keep_the_joints_of_each(tmp_path: Path) -> None:
    one = read_annotations(write(tmp_path, {"keypoints": KEYPOINTS, "segmentation": [OUTLINE]}))
    both = joined([one, read_annotations(write(tmp_path)), one])
    assert [bool(joints.any()) for joints in both.joints] == [True, *[False] * 5, True, False, False]
    assert [len(polygons) for polygons in both.outlines] == [1, *[0] * 5, 1, 0, 0]
