"""What SciPy would read beyond its end: every size and count in a MATLAB file is checked first."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from upright.datasets.matlab import parse_matlab, write_matlab
from upright.datasets.matlab_check import refuse_incoherent
from upright.errors import InputError


@pytest.fixture(params=[False, True])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    cells = np.empty((1, 2), dtype=object)
    cells[0, 0], cells[0, 1] = np.zeros((0, 0)), {"name": "vier", "box": np.arange(4, dtype=np.uint16), "none": ""}
    content = {"A": {"cells": cells, "z": np.array([1 + 2j]), "flag": True}, "vers": 1.4}
    write_matlab(tmp_path / "a.mat", content, compressed=request.param)
    return (tmp_path / "a.mat").read_bytes()


def test_sound_files_pass(data: bytes) -> None:
    refuse_incoherent(data)
    assert parse_matlab(data, Path("a.mat"))["vers"].item() == 1.4


def test_every_cut_is_refused(data: bytes) -> None:
    for end in range(0, len(data) - 1, 7):
        with pytest.raises(InputError, match=r"a\.mat"):
            parse_matlab(data[:end], Path("a.mat"))


def test_counts_that_promise_more_than_is_there_are_refused(tmp_path: Path) -> None:
    write_matlab(tmp_path / "a.mat", {"A": np.arange(6.0).reshape(2, 3)})
    data = (tmp_path / "a.mat").read_bytes()
    place = data.index(struct.pack("<2i", 2, 3))
    for dimensions in ((2, 4), (2**31 - 1, 3), (-2, 3), (2, 2)):
        with pytest.raises(InputError, match=r"a\.mat is not a MATLAB file"):
            parse_matlab(data[:place] + struct.pack("<2i", *dimensions) + data[place + 8 :], Path("a.mat"))
