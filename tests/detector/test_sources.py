"""What a user names becomes a list of pictures and videos; what is passed over is counted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from served_streams import transport_stream
from written_videos import textured, write_video

from upright.detector.frames import read_frames
from upright.detector.sources import crops_name, find_sources
from upright.detector.video_writer import write_picture
from upright.errors import InputError


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_a_video_cut_in_the_middle_gives_what_there_is_and_says_so(tmp_path, suffix):
    path = write_video(tmp_path / f"given{suffix}", frames=20)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    (source,) = find_sources([path], tmp_path / "out")
    notes: list[str] = []
    frames = list(read_frames(source, notes))
    assert 5 <= len(frames) < 15
    assert len(notes) == 1
    assert str(path) in notes[0]
    assert f"{len(frames)} frames" in notes[0]


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4"])
def test_a_whole_video_is_not_called_cut_off(tmp_path, suffix):
    (source,) = find_sources([write_video(tmp_path / f"given{suffix}", rate=29.97)], tmp_path / "out")
    notes: list[str] = []
    frames = list(read_frames(source, notes))
    assert notes == []
    assert [frame.number for frame in frames] == list(range(10))
    assert frames[9].seconds == pytest.approx(9 / 29.97, abs=0.001)  # Matroska counts milliseconds


def test_a_video_that_changes_its_size_is_read_whole_and_that_is_said(tmp_path):
    path = tmp_path / "a.ts"
    path.write_bytes(transport_stream([90] * 20) + transport_stream([90] * 20, size=(96, 80)))
    notes: list[str] = []
    frames = list(read_frames(find_sources([path], tmp_path / "out")[0], notes))
    assert {frame.image.shape for frame in frames} == {(48, 64, 3), (80, 96, 3)}
    (note,) = notes
    assert note.startswith(f"{path}: its pictures are not all of one size")


def test_folders_are_searched_and_their_own_output_passed_over(tmp_path):
    for name in ["b.jpg", "a.PNG", "sub/c.bmp", ".hidden.jpg", "out/old.jpg", "notes.txt"]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    write_video(tmp_path / "d.mp4")
    out = tmp_path / "out"
    sources = find_sources([tmp_path], out)
    assert [source.path.name for source in sources] == ["a.PNG", "b.jpg", "d.mp4", "c.bmp"]
    assert [source.output for source in sources] == [out / "a.png", out / "b.jpg", out / "d.mp4", out / "sub" / "c.png"]


def test_inputs_of_one_name_do_not_overwrite_each_other(tmp_path):
    names = ["1/a.jpg", "2/a.jpg", "3/a.bmp", "a-2.jpg", "a-crops.png", "x.y.jpg", "x.jpg"]
    names += ["z-crops.png", "z.jpg"]  # the crops of the second would be called like the first
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    sources = find_sources(paths, tmp_path / "out")
    written = [one for source in sources for one in (source.output, crops_name(source.output))]
    assert len({path.with_suffix("") for path in written}) == 2 * len(paths)
    assert sources[0].output.name == "a.jpg"
    assert sources[1].output.name == "a-2.jpg"


def test_an_input_is_never_overwritten(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    with pytest.raises(InputError, match="overwrite"):
        find_sources([path], tmp_path)
    with pytest.raises(InputError, match="overwrite"):
        find_sources([path], tmp_path / "sub" / "..")


def test_a_missing_input_is_said_before_any_work(tmp_path):
    with pytest.raises(InputError, match=r"missing\.jpg"):
        find_sources([tmp_path / "missing.jpg"], tmp_path / "out")


@pytest.mark.parametrize(("name", "content"), [("empty.png", b""), ("empty.mp4", b""), ("text.mp4", b"text")])
def test_what_files_hold_is_seen_when_they_are_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    (source,) = find_sources([tmp_path / name], tmp_path / "out")
    with pytest.raises(InputError, match=name):
        list(read_frames(source, []))


def test_a_folder_without_pictures_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(InputError, match="no pictures and no videos"):
        find_sources([tmp_path], tmp_path / "out")


def test_kind_of_a_file_without_suffix_is_seen_from_its_content(tmp_path):
    write_picture(tmp_path / "a.png", textured((20, 10)))
    (tmp_path / "a.png").rename(tmp_path / "picture")
    write_video(tmp_path / "a.mp4").rename(tmp_path / "film")
    picture, film = find_sources([tmp_path / "picture", tmp_path / "film"], tmp_path / "out")
    assert (picture.is_video, film.is_video) == (False, True)
    assert (picture.output.name, film.output.name) == ("picture.png", "film.mp4")


def pictures(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_files_that_are_passed_over_are_counted_with_an_example(tmp_path):
    pictures(tmp_path, "a.jpg", "b.raw", "c.txt", "sub/d.xyz", ".hidden.jpg")
    notes: list[str] = []
    assert len(find_sources([tmp_path], tmp_path / "out", notes)) == 1
    (note,) = notes
    assert note.startswith("3 passed over")
    assert str(tmp_path / "b.raw") in note


def test_links_to_folders_are_said_and_dead_links_are_failures(tmp_path):
    pictures(tmp_path, "in/a.jpg", "other/b.jpg")
    (tmp_path / "in/link").symlink_to(tmp_path / "other")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/dead.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "in/self.jpg").symlink_to(tmp_path / "in/self.jpg")
    notes: list[str] = []
    sources = find_sources([tmp_path / "in"], tmp_path / "out", notes)
    assert [source.path.name for source in sources] == ["a.jpg", "dead.jpg"]
    assert [note[:27] for note in notes] == ["2 passed over: links to fol", "1 passed over: links in a c"]
    with pytest.raises(InputError, match=r"dead\.jpg"):
        list(read_frames(sources[1], notes))


def test_a_folder_that_cannot_be_read_is_said(tmp_path, monkeypatch):
    pictures(tmp_path, "a.jpg", "closed/b.jpg")
    scandir = os.scandir

    def guarded(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", guarded)
    notes: list[str] = []
    assert len(find_sources([tmp_path], tmp_path / "out", notes)) == 1
    assert "Permission denied" in notes[0]
    assert str(tmp_path / "closed") in notes[0]


def test_what_is_no_file_is_not_waited_for(tmp_path):
    pictures(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    notes: list[str] = []
    assert [source.path.name for source in find_sources([tmp_path], tmp_path / "out", notes)] == ["a.jpg"]
    assert "pipe.jpg" in notes[0]


def test_results_of_an_earlier_run_are_no_inputs(tmp_path):
    pictures(tmp_path, "a.jpg", "found/a.jpg", "found/a-crops.jpg", "found/new.jpg")
    content = {"images": [{"file_name": str(tmp_path / "a.jpg")}], "detections": [], "settings": {}}
    (tmp_path / "found/detections.json").write_text(json.dumps(content))
    notes: list[str] = []
    sources = find_sources([tmp_path], tmp_path / "found2", notes)
    assert [source.path.name for source in sources] == ["a.jpg", "new.jpg"]
    assert [note[:28] for note in notes] == ["2 passed over: results of an"]


@pytest.mark.parametrize("output", [".", ".."])
def test_the_output_may_hold_the_inputs(tmp_path, output):
    pictures(tmp_path, "work/photos/a.jpg")
    out = tmp_path / "work" / output
    (source,) = find_sources([tmp_path / "work/photos"], out)
    assert source.output == out / "a.jpg"


def test_a_run_into_a_folder_above_can_be_repeated(tmp_path):
    pictures(tmp_path, "photos/a.jpg", "a.jpg")
    content = {"images": [{"file_name": str(tmp_path / "photos/a.jpg")}], "detections": [], "settings": {}}
    (tmp_path / "detections.json").write_text(json.dumps(content))
    (source,) = find_sources([tmp_path], tmp_path / "again")
    assert source.path == tmp_path / "photos/a.jpg"


def test_heic_without_a_suffix_is_no_video(tmp_path):
    (tmp_path / "photo").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    (source,) = find_sources([tmp_path / "photo"], tmp_path / "out")
    with pytest.raises(InputError, match="HEIC"):
        list(read_frames(source, []))
