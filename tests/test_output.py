"""Files that appear whole or not at all."""

import pytest

from upright.errors import InputError
from upright.output import refuse_unwritable, whole_file


def test_the_file_appears_at_the_end_with_its_folders(tmp_path):
    path = tmp_path / "new/folder/f.json"
    with whole_file(path) as temporary:
        temporary.write_text("{}")
        assert not path.exists()
        assert temporary.suffix == ".json"
    assert path.read_text() == "{}"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "f.json"
    path.write_text("old")

    def write_half():
        with whole_file(path) as temporary:
            temporary.write_text("{")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file/f.json", tmp_path / "folder"):
        with pytest.raises(InputError, match="cannot be written"), whole_file(path) as temporary:
            temporary.write_text("{}")


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path):
    (tmp_path / "real.json").write_text("old")
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real.json")
    with whole_file(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "real.json").read_text() == "new"
    with pytest.raises(InputError, match="cannot be written"), whole_file("/dev/null"):
        pass


def test_a_failed_move_leaves_no_temporary_file(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr("upright.output.os.replace", fail)
    with pytest.raises(InputError, match="no space"), whole_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert list(tmp_path.iterdir()) == []


def test_a_name_as_long_as_file_systems_allow_is_written(tmp_path):
    path = tmp_path / ("ü" * 125 + ".jpg")  # 254 bytes
    with whole_file(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_is_too_long_is_one_error(tmp_path):
    with pytest.raises(InputError, match="name too long"), whole_file(tmp_path / ("x" * 300)) as temporary:
        temporary.write_text("whole")


def test_what_cannot_be_written_is_known_beforehand_and_nothing_is_left(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("old")
    refuse_unwritable(tmp_path / "new/folder/f.json")
    refuse_unwritable(tmp_path / "file")
    for path in (tmp_path / "file/f.json", tmp_path, "/dev/full"):
        with pytest.raises(InputError, match="cannot be written"):
            refuse_unwritable(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"

    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("upright.output.TemporaryFile", full)
    with pytest.raises(InputError, match=r"file: cannot be written, the disk is full; make room"):
        refuse_unwritable(tmp_path / "file")
