"""Pictures held out: those that a plain loop over each file would hold out, with all that belongs to them."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upright.datasets.coco import CocoPedestrians, read_annotations
from upright.datasets.hold_out import DatasetRows, annotations_of_rows, held_out, hold_out, with_joints
from upright.errors import InputError

FILES = ("street_train.json", "voc_train.json", "coco_train.json", "neg_train.json")


@given(st.lists(st.integers(0, 9), max_size=4), st.integers(2, 6))
def test_pictures_are_counted_within_each_part(lengths: list[int], every: int) -> None:
    expected = []
    for length in lengths:
        for place in range(length):
            expected.append(place % every == every - 1)
    assert held_out(lengths, every).tolist() == expected


def test_the_two_parts_are_the_whole_with_all_annotations(boards) -> None:
    boards.annotations.attributes["pose"] = np.array(list("abcdef"))
    joints = np.ones((6, 17, 3), np.float32) * np.arange(6)[:, None, None]
    boards.annotations = replace(boards.annotations, joints=joints)
    rest, aside = hold_out(boards, 3)
    assert [part.annotations.joints[:, 0, 0].tolist() for part in (rest, aside)] == [[0, 1, 3, 4], [2, 5]]
    assert [part.annotations.image_ids for part in (rest, aside)] == [[1, 2, 4, 5], [3, 6]]
    assert [len(rest), len(aside)] == [4, 2]
    assert aside.annotations.attributes["pose"].tolist() == ["c", "f"]
    assert aside.sizes.tolist() == [[160, 128]] * 2
    for part in (rest, aside):
        for row, box in enumerate(part.annotations.boxes):
            assert part.annotations.image_index[row] == row
            sample = part[row]
            assert sample.id == part.annotations.image_ids[row]
            np.testing.assert_array_equal(sample.boxes[0, :2], box[:2].astype(np.float32))


@given(st.data())
def test_annotations_of_rows_are_those_that_a_loop_takes(boards_with_crowds, data: st.DataObject) -> None:
    whole = boards_with_crowds
    rows = sorted(data.draw(st.sets(st.integers(0, len(whole.image_ids) - 1))))
    part = annotations_of_rows(whole, np.array(rows, np.int64))
    columns = [one.name for one in fields(part) if isinstance(getattr(part, one.name), np.ndarray)]
    assert {name: len(getattr(part, name)) for name in columns} == {
        name: len(rows) if name == "sizes" else len(part.boxes) for name in columns
    }
    expected = [
        (place, whole.boxes[box].tolist(), bool(whole.ignore[box]))
        for box in range(len(whole.boxes))
        for place, row in enumerate(rows)
        if whole.image_index[box] == row
    ]
    got = zip(part.image_index.tolist(), part.boxes.tolist(), part.ignore.tolist(), strict=True)
    assert list(got) == expected
    assert part.file_names == [whole.file_names[row] for row in rows]


@pytest.fixture(scope="module")
def boards_with_crowds(tmp_path_factory: pytest.TempPathFactory):
    """Five pictures, one of them empty, whose boxes do not stand in the order of the pictures."""
    path = tmp_path_factory.mktemp("a") / "a.json"
    images = [{"id": number, "file_name": f"{number}.png", "width": 99, "height": 99} for number in range(5)]
    boxes = [(4, 0), (0, 1), (2, 0), (0, 0), (4, 1), (3, 0)]
    annotations = [
        {"image_id": image, "iscrowd": crowd, "bbox": [n + 1, 2, 3, 4]} for n, (image, crowd) in enumerate(boxes)
    ]
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return read_annotations(path)


@pytest.mark.parametrize("every", [-1, 1, 7])
def test_a_number_that_holds_out_everything_or_nothing_is_refused(boards, every: int) -> None:
    with pytest.raises(InputError, match=f"--hold-out {every} "):
        hold_out(boards, every)


def test_files_of_the_real_pictures_are_counted_one_by_one(shared: Path) -> None:
    root = shared / "data/people"
    whole = CocoPedestrians(root, FILES)
    rest, aside = hold_out(whole, 15)
    expected = []
    for name in FILES:
        images = json.loads((root / name).read_text())["images"]
        expected += [image["file_name"] for place, image in enumerate(images) if place % 15 == 14]
    assert aside.annotations.file_names == expected
    assert isinstance(rest, DatasetRows)
    assert len(rest) + len(aside) == len(whole)
    assert len(rest.annotations.boxes) + len(aside.annotations.boxes) == len(whole.annotations.boxes)


def test_pictures_with_joints_are_those_in_which_somebody_has_one(boards) -> None:
    joints = np.zeros((6, 17, 3), np.float32)
    joints[1, 4] = (30, 40, 1)
    joints[4, :2] = (9, 9, 2)
    boards.annotations = replace(boards.annotations, joints=joints)
    some = with_joints(boards)
    assert some.annotations.image_ids == [2, 5]
    assert some.annotations.joints[:, :, 2].any(axis=1).tolist() == [True, True]
    assert some[1].id == 5
    boards.annotations = replace(boards.annotations, joints=np.zeros_like(joints))
    assert len(with_joints(boards)) == 0
