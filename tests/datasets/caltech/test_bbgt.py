"""The text files of the new annotations."""

import numpy as np
import pytest

from upright.datasets.caltech.bbgt import find_frames, read_bbgt, visible_fraction, write_bbgt
from upright.errors import InputError

ROWS = """% bbGt version=3
person 172 184 10 26 0 0 0 0 0 0 0
person 10 20 30 40 1 10 20 30 10 0 0
person 10 20 30 40 1 10 20 30 40 0 0
person 10 20 30 40 1 0 0 0 0 0 0
person 10 20 30 40 0 10 20 30 10 0 0
people -3 20 30 40 0 0 0 0 0 1 0
"""


def written(tmp_path, text, name="set06_V000_I00029.txt"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_rows_are_read_by_column(tmp_path):
    annotation = read_bbgt(written(tmp_path, ROWS))
    assert annotation.label.tolist() == ["person"] * 5 + ["people"]
    assert annotation.pos[0].tolist() == [172, 184, 10, 26]
    assert annotation.posv[1].tolist() == [10, 20, 30, 10]
    assert annotation.occluded.tolist() == [False, True, True, True, False, False]
    assert annotation.ignore.tolist() == [False] * 5 + [True]


def test_visible_fraction_follows_the_four_cases(tmp_path):
    # Not occluded; a quarter seen; hardly anything seen (the whole box); no visible box; a box without the flag.
    assert visible_fraction(read_bbgt(written(tmp_path, ROWS)))[:5].tolist() == [1, 0.25, 0, 1, 1]


@pytest.mark.parametrize("text", ["", "% bbGt version=3\n", "% bbGt version=3\n\n"])
def test_a_frame_without_people_is_no_error(tmp_path, text):
    annotation = read_bbgt(written(tmp_path, text))
    assert annotation.pos.shape == (0, 4)
    assert visible_fraction(annotation).shape == (0,)


@pytest.mark.parametrize(("version", "columns"), [(0, 10), (1, 10), (2, 11), (3, 12)])
def test_older_versions_end_earlier(tmp_path, version, columns):
    row = " ".join(["person", "1", "2", "3", "4", "1", "1", "2", "3", "2", "1", "0"][:columns])
    annotation = read_bbgt(written(tmp_path, f"% bbGt version={version}\n{row}\n"))
    assert annotation.posv.tolist() == [[1, 2, 3, 2]]
    assert annotation.ignore.tolist() == [columns > 10]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("% bbGt version=3\nperson 1 2 3 4\n", "line 2: a row of version 3 is a label and 11 numbers"),
        ("% bbGt version=3\nperson 1 2 3 x 0 0 0 0 0 0 0\n", "line 2"),
        ("% bbGt version=3\nperson 1 2 3 nan 0 0 0 0 0 0 0\n", "line 2"),
        ("% bbGt version=9\n", "version 9"),
        ("1,2,3\n", "line 1"),
        ("pérson", "not plain text"),
    ],
)
def test_wrong_rows_name_file_and_line(tmp_path, text, words):
    with pytest.raises(InputError, match=words) as error:
        read_bbgt(written(tmp_path, text))
    assert "set06_V000_I00029.txt" in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_written_is_read(tmp_path):
    first = read_bbgt(written(tmp_path, ROWS))
    write_bbgt(tmp_path / "new" / "a.txt", first)
    again = read_bbgt(tmp_path / "new" / "a.txt")
    for name in ("label", "pos", "posv", "occluded", "ignore"):
        assert np.array_equal(getattr(first, name), getattr(again, name)), name
    assert (tmp_path / "new" / "a.txt").read_text() == ROWS


def test_files_are_found_under_all_names_in_the_order_of_the_benchmark(tmp_path):
    names = ["set07_V001_I00029.txt", "set06_V010_I00059.jpg.txt", "set06/V002/I00089.txt", "set06_V002_I00119.txt"]
    for name in [*names, "README.txt", "set06_V002_I00119.csv"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(find_frames(tmp_path)) == [(6, 2, 89), (6, 2, 119), (6, 10, 59), (7, 1, 29)]
