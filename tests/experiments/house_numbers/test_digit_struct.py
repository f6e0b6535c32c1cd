"""SVHN's format: what is written is MATLAB's layout, what is read is what it says."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io.matlab import matfile_version

from upright.errors import InputError
from upright.experiments.house_numbers.digit_struct import (
    HouseNumber,
    read_annotations,
    write_annotations,
)


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
def test_labels_that_are_not_digits_are_refused(tmp_path: Path, label: float) -> None:
    by_hand(tmp_path / "digitStruct.mat", [1.0, label])
    with pytest.raises(InputError, match=r"digitStruct\.mat is not a .*12\.png"):
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
