"""tools/detect.py: what it refuses in one line, before it writes anything."""

from __future__ import annotations

import cv2
import pytest
from written_videos import street


@pytest.mark.parametrize("flag", ["--crops", "--pose"])
def test_weights_that_tell_no_pose_are_refused_where_it_is_to_be_drawn(tmp_path, call, flag):
    cv2.imwrite(str(tmp_path / "x.png"), street())
    arguments = [tmp_path / "x.png", "--output", tmp_path / "out"]
    assert flag in call(*arguments, flag).fault
    assert not (tmp_path / "out").exists()
    assert call(*arguments).status == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.jpg", None),
        ("empty.jpg", b""),
        ("empty.mp4", b""),
        ("text.mp4", b"hello\n" * 100),
        ("text.jpg", b"hello\n" * 100),
        ("cut.jpg", cv2.imencode(".jpg", street())[1].tobytes()[:-800]),
        ("cut.png", cv2.imencode(".png", street())[1].tobytes()[:-800]),
        ("cut.webp", cv2.imencode(".webp", street())[1].tobytes()[:-200]),
        ("cut.bmp", cv2.imencode(".bmp", street())[1].tobytes()[:-200]),
        ("unknown", b"hello\n" * 100),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, call, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert name in call(tmp_path / name, "--output", tmp_path / "out").fault
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_missing_input_is_said_before_any_work(tmp_path, call):
    cv2.imwrite(str(tmp_path / "x.png"), street())
    ended = call(tmp_path / "x.png", tmp_path / "missing.png", "--output", tmp_path / "out")
    assert "missing.png" in ended.fault
    assert ended.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--threshold", "1.5"], "--threshold"),
        (["--threshold", "nan"], "--threshold"),
        (["--batch-size", "0"], "--batch-size"),
        (["--device", "gpu9"], "gpu9"),
    ],
)
def test_options_that_cannot_be_are_one_line(tmp_path, call, arguments, word):
    cv2.imwrite(str(tmp_path / "x.png"), street())
    assert word in call(tmp_path / "x.png", "--output", tmp_path / "out", *arguments).fault


def test_an_empty_name_is_not_the_folder_here(tmp_path, call, monkeypatch):
    """As a shell gives it for a variable that is not set."""
    cv2.imwrite(str(tmp_path / "x.png"), street())
    monkeypatch.chdir(tmp_path)
    assert "an input without a name" in call("", "--output", tmp_path / "out").fault
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize("content", [None, b"", b"no weights"])
def test_weights_that_cannot_be_used_are_one_line(tmp_path, call, content):
    path = tmp_path / "bad.safetensors"
    if content is not None:
        path.write_bytes(content)
    cv2.imwrite(str(tmp_path / "x.png"), street())
    arguments = [tmp_path / "x.png", "--output", tmp_path / "out", "--weights", path]
    assert "bad.safetensors" in call(*arguments, with_weights=False).fault
    assert not (tmp_path / "out").exists()


def test_output_that_is_a_file_or_the_inputs_own_folder_is_refused(tmp_path, call):
    cv2.imwrite(str(tmp_path / "x.png"), street())
    before = (tmp_path / "x.png").read_bytes()
    (tmp_path / "file").write_text("")
    for output, word in [(tmp_path / "file", "file"), (tmp_path, "x.png")]:
        assert word in call(tmp_path / "x.png", "--output", output).fault
    assert (tmp_path / "x.png").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--line", "1,2,3,4"], "--track"),
        (["--track", "--line", "1,2,3"], "X1,Y1,X2,Y2"),
        (["--track", "--line", "5,5,5,5"], "point"),
        (["--track", "--line", "nan,2,3,4"], "X1,Y1,X2,Y2"),
        (["--track", "--zone", "1,2,3,4"], "--zone"),
        (["--track", "--zone", "a=1,2,3,4,5,6", "--line", "a=1,2,3,4"], "'a' is taken"),
        (["--track", "--line", "=1,2,3,4"], "NAME"),
        (["--track", "--fallen", "200"], "--fallen"),
        (["--track", "--fallen", "60"], "how people stand"),
        (["--fallen-seconds", "3"], "--fallen"),
        (["--outputs", "json,xml"], "xml"),
        (["--outputs", "", "--no-copies"], "nothing would be written"),
        (["--no-copies", "--crops"], "--no-copies"),
    ],
)
def test_flags_that_mean_nothing_are_one_line(tmp_path, call, flags, words):
    cv2.imwrite(str(tmp_path / "x.png"), street())
    assert words in call(tmp_path / "x.png", "--output", tmp_path / "out", *flags).fault
