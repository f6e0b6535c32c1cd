"""Patterns, lists, cameras and addresses become files and streams."""

from __future__ import annotations

import os

import pytest

from upright.detector.input_names import Stream, expand
from upright.errors import InputError


def names(folder, *inputs: str) -> list[str]:
    return [os.path.relpath(path, folder) for path in expand([str(folder / one) for one in inputs])]


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jpg", "a.jpg", "c.png", "in/d.jpg", "[x].jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_patterns_are_met_in_order(folder):
    assert names(folder, "?.jpg") == ["a.jpg", "b.jpg"]
    assert sorted(names(folder, "**/*.jpg")) == ["[x].jpg", "a.jpg", "b.jpg", "in/d.jpg"]
    assert names(folder, "[x].jpg") == ["[x].jpg"], "a file of that very name comes first"


def test_a_pattern_without_a_file_is_an_error(folder):
    with pytest.raises(InputError, match=r"\*\.tif"):
        list(expand([str(folder / "*.tif")]))


def test_a_list_names_files_beside_it_or_from_here_and_streams(folder, monkeypatch):
    (folder / "in/list.txt").write_bytes(
        b"\xef\xbb\xbfd.jpg\r\n\n# a comment\nrtsp://host/x\n" + bytes(folder / "a.jpg")
    )
    first, stream, last = expand([folder / "in/list.txt"])
    assert (first, stream.shown, last) == (folder / "in/d.jpg", "rtsp://host/x", folder / "a.jpg")
    monkeypatch.chdir(folder)
    (folder / "in/list.txt").write_text("a.jpg")
    assert [str(path) for path in expand(["in/list.txt"])] == ["a.jpg"]


@pytest.mark.parametrize(("content", "word"), [(b"", "no names"), (b"a.jpg\nno.jpg\n", "line 2"), (b"a\0b", "binary")])
def test_a_list_that_cannot_be_used_is_one_line(folder, content, word):
    (folder / "list.txt").write_bytes(content)
    with pytest.raises(InputError, match=word):
        list(expand([folder / "list.txt"]))


@pytest.mark.parametrize(
    ("name", "shown", "stem"),
    [
        ("rtsp://me:pa:ss@cam.local:554/a/b?x=1", "rtsp://cam.local:554/a/b?x=1", "cam.local-554-a-b"),
        ("http://host/video.m3u8", "http://host/video.m3u8", "host-video.m3u8"),
        ("/dev/video3", "/dev/video3", "video3"),
    ],
)
def test_streams_have_names_without_passwords(name, shown, stem):
    stream = Stream.of(name)
    assert (stream.address, stream.shown, stream.stem) == (name, shown, stem)


def test_numbers_are_cameras_unless_there_is_such_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.platform", "linux")
    assert Stream.of("0").address == "/dev/video0"
    (tmp_path / "0").write_bytes(b"")
    assert Stream.of("0") is None
    assert Stream.of("a:b.mp4") is None
