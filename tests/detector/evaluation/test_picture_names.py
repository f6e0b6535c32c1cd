"""Detections belong to the picture of the same name, whatever its number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from upright.datasets.sample import Annotations
from upright.detector.evaluation import read_detections
from upright.errors import InputError


def pictures(names: list[str], ids: list[int] | None = None, person: int = 1) -> Annotations:
    return Annotations(
        image_ids=list(ids or range(1, len(names) + 1)),
        file_names=names,
        sizes=np.tile(np.array([[640, 480]]), (len(names), 1)),
        image_index=np.zeros(0, np.int64),
        boxes=np.zeros((0, 4)),
        visible=np.zeros((0, 4)),
        ignore=np.zeros(0, bool),
        height=np.zeros(0),
        visible_ratio=np.zeros(0),
        category=np.zeros(0, np.int64),
        person_ids=frozenset({person}),
    )


def found(folder: Path, names: list[str], category: int = 1) -> Path:
    """A detection in each picture, whose score tells its place; ids from 1."""
    path = folder / "detections.json"
    images = [{"id": i, "file_name": name} for i, name in enumerate(names, start=1)]
    results = [
        {"image_id": i, "category_id": category, "bbox": [1, 2, 3, 4], "score": i / 10}
        for i in range(1, len(names) + 1)
    ]
    path.write_text(json.dumps({"images": images, "detections": results}))
    return path


@pytest.mark.parametrize(
    ("truth", "detected", "rows"),
    [
        (["a.jpg", "b.jpg"], ["b.jpg", "a.jpg"], [1, 0]),
        (["a.jpg", "b.jpg"], ["photos/b.jpg", "/data/photos/a.jpg"], [1, 0]),
        (["im/a.jpg", "im/b.jpg"], ["im\\b.jpg", ".\\im\\a.jpg"], [1, 0]),
        (["x/1.jpg", "y/1.jpg"], ["root/y/1.jpg", "root/x/1.jpg"], [1, 0]),
        (["a.jpg", "a.jpg"], ["a.jpg", "a.jpg"], [0, 1]),
        (["1", "2"], ["b.jpg", "a.jpg"], [0, 1]),  # a data set without names: their ids stand for them
    ],
)
def test_names_decide_and_not_numbers(truth: list[str], detected: list[str], rows: list[int], tmp_path: Path) -> None:
    assert read_detections(found(tmp_path, detected), pictures(truth)).image_index.tolist() == rows


def test_ids_of_another_kind_are_no_hindrance(tmp_path: Path) -> None:
    truth = pictures(["a.jpg", "b.jpg"], [37666, 84533])
    assert read_detections(found(tmp_path, ["b.jpg", "a.jpg"]), truth).image_index.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("truth", "detected", "words"),
    [
        (["a.jpg", "b.jpg"], ["a.jpg", "c.jpg"], r'"c\.jpg" \(image 2\) is not a picture'),
        (["b.jpg", "c.jpg", "x/1.jpg", "y/1.jpg"], ["b.jpg", "w/1.jpg"], "could be several"),
        (["a.jpg", "b.jpg"], ["p/a.jpg", "q/a.jpg"], "are the same picture"),
    ],
)
def test_names_that_contradict_each_other_are_refused(
    truth: list[str], detected: list[str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_detections(found(tmp_path, detected), pictures(truth))
    assert "\n" not in str(caught.value)


def test_pictures_that_the_file_does_not_know_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read_detections(found(tmp_path, ["b.jpg"]), pictures(["a.jpg", "b.jpg", "c.jpg"]))
    assert "2 of 3 pictures of the data set are not in it" in capsys.readouterr().err


def test_lists_use_the_ground_truths_number_of_a_person_and_others_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = found(tmp_path, ["a.jpg", "b.jpg"], category=0)
    content = json.loads(path.read_text())
    truth = pictures(["a.jpg", "b.jpg"], person=0)
    content["detections"][0]["category_id"] = 3
    path.write_text(json.dumps(content["detections"]))
    assert read_detections(path, truth).scores.tolist() == [0.2]
    assert "1 detections are of other categories (3) than people (0)" in capsys.readouterr().err


def test_this_projects_own_files_call_a_person_1(tmp_path: Path) -> None:
    path = found(tmp_path, ["a.jpg"])
    assert len(read_detections(path, pictures(["a.jpg"], person=0))) == 1


def test_a_byte_order_mark_is_nothing(tmp_path: Path) -> None:
    path = found(tmp_path, ["a.jpg"])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_detections(path, pictures(["a.jpg"]))) == 1
