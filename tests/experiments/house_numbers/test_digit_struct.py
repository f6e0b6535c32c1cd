"""SVHN's format: what is written is MATLAB's layout, what is read is what it says, crops show what they should."""

from __future__ import annotations

from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from scipy.io.matlab import matfile_version

from upright.errors import InputError
from upright.experiments.house_numbers.digit_struct import (
    HouseNumber,
    crop,
    read_annotations,
    read_splits,
    window,
    write_annotations,
)


def house_number(name: str, digits: tuple[int, ...], seed: int = 0) -> HouseNumber:
    boxes = np.random.default_rng(seed).uniform(-3, 40, (len(digits), 4)).round(2)
    return HouseNumber(name, boxes, digits)


@pytest.fixture
def numbers() -> list[HouseNumber]:
    lengths = [(), (0,), (1, 0, 9), (2, 3, 4, 5, 6), (1, 2, 3, 4, 5, 6)]
    return [house_number(f"{i + 1}.png", digits, i) for i, digits in enumerate(lengths)]


def test_what_is_written_is_read_again(tmp_path: Path, numbers: list[HouseNumber]) -> None:
    file = tmp_path / "train" / "digitStruct.mat"
    write_annotations(file, numbers)
    again = read_annotations(file)
    assert [(n.name, n.digits) for n in again] == [(n.name, n.digits) for n in numbers]
    for a, b in zip(again, numbers, strict=True):
        np.testing.assert_array_equal(a.boxes, b.boxes)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_the_file_is_matlab_7_3_and_laid_out_as_other_readers_of_svhn_expect(
    tmp_path: Path, numbers: list[HouseNumber]
) -> None:
    file = tmp_path / "digitStruct.mat"
    write_annotations(file, numbers)
    assert matfile_version(str(file)) == (2, 0)
    with h5py.File(file) as mat:
        assert set(mat) == {"#refs#", "digitStruct"}
        assert mat["digitStruct"].attrs["MATLAB_class"] == b"struct"
        names, boxes = mat["digitStruct"]["name"], mat["digitStruct"]["bbox"]
        assert names.shape == boxes.shape == (5, 1)
        assert "".join(chr(letter[0]) for letter in mat[names[2, 0]][()]) == "3.png"
        assert mat[names[2, 0]].attrs["MATLAB_class"] == b"char"
        single, several = mat[boxes[1, 0]], mat[boxes[2, 0]]
        assert single["label"].shape == (1, 1)
        assert single["label"][0, 0] == 10  # the digit 0
        assert single["left"][0, 0] == numbers[1].boxes[0, 0]
        assert [mat[reference][0, 0] for reference in several["label"][:, 0]] == [1, 10, 9]
        heights = [mat[reference][0, 0] for reference in several["height"][:, 0]]
        np.testing.assert_array_equal(heights, numbers[2].boxes[:, 3])


def by_hand(file: Path, labels: list[float]) -> None:
    """A file of one picture, written without the writer: boxes 10 wide and 20 high, beside each other at 5, 7."""
    with h5py.File(file, "w", userblock_size=512) as mat:
        refs = mat.create_group("#refs#")
        struct = refs.create_group("b")
        columns = {"height": 20.0, "top": 7.0, "width": 10.0}
        for field in ("height", "left", "top", "width", "label"):
            values = [
                {"label": label, "left": 5.0 + 10 * i}.get(field, columns.get(field)) for i, label in enumerate(labels)
            ]
            if len(values) == 1:
                struct[field] = np.array([values])
                continue
            struct.create_dataset(field, (len(values), 1), h5py.ref_dtype)
            for i, value in enumerate(values):
                refs[f"{field}{i}"] = np.array([[value]])
                struct[field][i, 0] = refs[f"{field}{i}"].ref
        refs["n"] = np.array([[ord(letter)] for letter in "12.png"], np.uint16)
        for name, target in (("name", refs["n"]), ("bbox", struct)):
            mat.create_dataset(f"digitStruct/{name}", (1, 1), h5py.ref_dtype)[0, 0] = target.ref


@pytest.mark.parametrize(("labels", "digits"), [([7.0], (7,)), ([10.0, 2.0], (0, 2))])
def test_files_of_others_are_read(tmp_path: Path, labels: list[float], digits: tuple[int, ...]) -> None:
    by_hand(tmp_path / "digitStruct.mat", labels)
    (number,) = read_annotations(tmp_path / "digitStruct.mat")
    assert (number.name, number.digits) == ("12.png", digits)
    np.testing.assert_array_equal(number.boxes, [[5 + 10 * i, 7, 10, 20] for i in range(len(labels))])


@pytest.mark.parametrize("label", [0.0, 11.0, 1.5, np.nan])
def test_labels_that_are_no_digits_are_refused(tmp_path: Path, label: float) -> None:
    by_hand(tmp_path / "digitStruct.mat", [1.0, label])
    with pytest.raises(InputError, match=r"digitStruct\.mat is no .*12\.png"):
        read_annotations(tmp_path / "digitStruct.mat")


def test_files_that_are_missing_or_of_another_kind_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "digitStruct.mat"
    with pytest.raises(InputError, match="is missing: unpack"):
        read_annotations(file)
    file.write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(InputError, match="fetch it again"):
        read_annotations(file)
    with h5py.File(file, "w") as mat:
        mat["something"] = 1
    with pytest.raises(InputError, match="fetch it again"):
        read_annotations(file)


def test_the_window_is_the_box_around_all_digits_grown_by_30_percent() -> None:
    boxes = np.array([[10.0, 20, 10, 20], [30, 16, 10, 20]])  # together 10 to 40 and 16 to 40
    assert window(boxes, 64) == pytest.approx((5.5, 12.4, 44.5, 43.6))
    assert window(boxes, 128) == pytest.approx((-14.0, -3.2, 64.0, 59.2))


def test_a_crop_shows_its_window_and_repeats_the_edge_beyond_the_picture() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    side = 64 / 1.3  # grown to 64 pixels, from 12 on and from 18 on
    inside = np.array([[12 + 64 * 0.15 / 1.3, 18 + 64 * 0.15 / 1.3, side, side]])
    np.testing.assert_array_equal(crop(picture, inside, 64), picture[18:82, 12:76])
    beyond = inside - [[32, 48, 0, 0]]
    padded = np.pad(picture, ((30, 0), (20, 0), (0, 0)), mode="edge")
    np.testing.assert_array_equal(crop(picture, beyond, 64), padded[:64, :64])


def test_wide_numbers_are_squeezed_to_a_square() -> None:
    picture = np.zeros((40, 300, 3), np.uint8)
    picture[:, 150:] = 200  # the middle of the window
    squeezed = crop(picture, np.array([[100.0, 10, 50, 20], [150, 10, 50, 20]]), 64)
    assert (squeezed[:, :31] == 0).all()
    assert (squeezed[:, 33:] == 200).all()


def test_splits_are_joined_and_numbers_of_no_or_six_digits_left_out(tmp_path: Path, numbers: list[HouseNumber]) -> None:
    shades = {}
    for split, chosen in (("train", numbers), ("extra", numbers[1:2])):
        write_annotations(tmp_path / split / "digitStruct.mat", chosen)
        for index, number in enumerate(chosen):
            shades[split, number.name] = 20 * index + (100 if split == "extra" else 0)
            picture = np.full((50, 60, 3), shades[split, number.name], np.uint8)
            cv2.imwrite(str(tmp_path / split / number.name), picture)
    found = read_splits([tmp_path / "train", tmp_path / "extra"], 32, tmp_path / "crops.npy")
    none = 10
    assert found["labels"] == [
        [0, none, none, none, none],
        [1, 0, 9, none, none],
        [2, 3, 4, 5, 6],
        [0, none, none, none, none],
    ]
    assert found["left_out"] == 2
    crops = np.load(tmp_path / "crops.npy")
    assert crops.shape == (4, 32, 32, 3)
    assert crops[:, 0, 0, 0].tolist() == [20, 40, 60, 100]

    (tmp_path / "extra" / "2.png").unlink()
    with pytest.raises(InputError, match=r"extra/2\.png"):
        read_splits([tmp_path / "train", tmp_path / "extra"], 32, tmp_path / "other.npy")
    assert not (tmp_path / "other.npy").exists()
