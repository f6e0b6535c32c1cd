"""The data set: disjoint splits, annotations without pictures, clear refusals."""

from __future__ import annotations

import numpy as np
import pytest

from upright.datasets.synthetic import SyntheticPedestrians, contact_sheet
from upright.datasets.synthetic.splits import LENGTHS
from upright.errors import InputError

SIZE = (320, 240)


def test_splits_and_seeds_never_share_a_series():
    seeds = [SyntheticPedestrians(split, seed=seed).seed for split in LENGTHS for seed in range(20)]
    assert len(set(seeds)) == len(seeds)
    pictures = [SyntheticPedestrians(split, 1, SIZE)[0].image for split in LENGTHS]
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[1], pictures[2])


def test_default_lengths():
    assert {split: len(SyntheticPedestrians(split)) for split in LENGTHS} == LENGTHS


def test_sizes_are_known_without_rendering(monkeypatch):
    dataset = SyntheticPedestrians("val", 3, SIZE)
    for name in ("render", "measure"):
        monkeypatch.setattr(f"upright.datasets.synthetic.scene.Series.{name}", None)
    assert dataset.sizes.tolist() == [list(SIZE)] * 3
    assert dataset.sizes.dtype == np.int64


def test_a_shorter_data_set_is_the_beginning_of_a_longer_one():
    short, long = (SyntheticPedestrians("val", n, SIZE) for n in (2, 5))
    assert np.array_equal(short[1].image, long[1].image)
    assert short[1].id == long[1].id == 2


def test_annotations_are_those_of_the_samples():
    dataset = SyntheticPedestrians("test", 6, SIZE)
    table = dataset.annotations
    assert table is dataset.annotations
    assert table.image_ids == [1, 2, 3, 4, 5, 6]
    assert len(set(table.file_names)) == 6
    assert table.sizes.tolist() == [list(SIZE)] * 6
    assert np.all(np.diff(table.image_index) >= 0)
    for name in ("boxes", "visible", "height", "visible_ratio"):
        assert getattr(table, name).dtype == np.float64
    for i in range(6):
        sample, mine = dataset[i], table.image_index == i
        x, y, w, h = table.boxes[mine].T
        corners = np.clip(np.stack((x, y, x + w, y + h), axis=1), 0, (*SIZE, *SIZE))
        assert np.array_equal(corners.astype(np.float32), sample.boxes)
        x, y, w, h = table.visible[mine].T
        assert np.array_equal(np.stack((x, y, x + w, y + h), axis=1).astype(np.float32), sample.visible)
        assert np.array_equal(table.ignore[mine], sample.ignore)
        assert np.array_equal(table.visible_ratio[mine].astype(np.float32), sample.visible_ratio)
        for name in ("pose", "lean", "label"):
            assert np.array_equal(table.attributes[name][mine], sample.attributes[name])
    assert np.array_equal(table.height, table.boxes[:, 3])
    area = table.boxes[:, 2] * table.boxes[:, 3]
    assert np.array_equal(table.visible_ratio, table.visible[:, 2] * table.visible[:, 3] / area)


def test_rolled_cameras_and_all_poses_are_other_pictures_with_the_same_ids():
    plain = SyntheticPedestrians("val", 3, SIZE)
    rolled = SyntheticPedestrians("val", 3, SIZE, roll=90, poses="all")
    assert rolled.annotations.image_ids == plain.annotations.image_ids
    assert not np.array_equal(rolled[1].image, plain[1].image)
    for i in range(3):
        mine = rolled.annotations.image_index == i
        assert np.array_equal(rolled[i].joints, rolled.annotations.joints[mine])
        assert np.array_equal(rolled[i].attributes["lean"], rolled.annotations.attributes["lean"][mine])


def test_an_index_out_of_range_ends_a_loop():
    dataset = SyntheticPedestrians("val", 2, SIZE)
    assert len(list(dataset)) == 2
    for index in (2, -1):
        with pytest.raises(IndexError):
            dataset[index]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("training",), "'training'"),
        (("train", 0), "length 0"),
        (("train", 5, (40, 480)), "40 x 480"),
        (("train", 5, (640, 480), -1), "seed -1"),
    ],
)
def test_bad_arguments_are_one_line_that_names_them(arguments, named):
    with pytest.raises(InputError) as error:
        SyntheticPedestrians(*arguments)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("option", "named"), [({"roll": 181}, "181 degrees"), ({"poses": "none"}, "'none'")])
def test_impossible_rolls_and_poses_are_refused(option, named):
    with pytest.raises(InputError, match=named):
        SyntheticPedestrians("val", 3, **option)


def test_contact_sheet_holds_every_picture():
    sheet = contact_sheet(SyntheticPedestrians("val", 3, SIZE), range(3), columns=2, width=160, boxes=True)
    assert sheet.shape == (240, 320, 3)
    assert sheet.dtype == np.uint8
    assert (sheet[120:, 160:] == 255).all()
    assert sheet[:120].std() > 5
