"""Reading and writing pictures and videos: nothing lost, nothing invented, nothing half-written."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from upright.detector.video import VideoReader, VideoWriter, crops_name, find_sources, read_frames, write_picture
from upright.errors import InputError


def textured(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """A smooth picture, so that lossy codecs keep it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def write_video(path: Path, frames: int = 10, size: tuple[int, int] = (64, 48), rate: float = 25.0) -> Path:
    code = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}[path.suffix]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), rate, size)
    for seed in range(frames):
        writer.write(textured(size, seed)[..., ::-1].copy())
    writer.release()
    return path


@pytest.mark.parametrize("rate", [29.97, 30000 / 1001, 24000 / 1001, 12.5, 60.0])
def test_frame_rate_is_not_rounded_on_the_way(tmp_path, rate):
    given = VideoReader(write_video(tmp_path / "given.mp4", rate=rate))
    writer = VideoWriter(tmp_path / "copy.mp4", given.fps, (64, 48))
    for image in given:
        writer.write(image)
    writer.close()
    copy = VideoReader(tmp_path / "copy.mp4")
    assert given.fps == pytest.approx(rate, abs=1e-3)
    assert copy.fps == given.fps
    assert len(list(copy)) == 10


@pytest.mark.parametrize("size", [(64, 48), (65, 48), (64, 47), (33, 31), (2, 2), (1, 1)])
def test_size_is_kept_odd_or_even(tmp_path, size):
    writer = VideoWriter(tmp_path / "copy.mp4", 29.97, size)
    for seed in range(3):
        writer.write(textured(size, seed))
    writer.close()
    reader = VideoReader(writer.path)
    assert [image.shape for image in reader] == [(size[1], size[0], 3)] * 3
    assert reader.fps == pytest.approx(29.97, abs=1e-3)


def test_colours_and_order_survive(tmp_path):
    writer = VideoWriter(tmp_path / "copy.mp4", 25, (64, 48))
    for seed in range(5):
        writer.write(textured((64, 48), seed))
    writer.close()
    copy = list(VideoReader(tmp_path / "copy.mp4"))
    assert len(copy) == 5
    for seed, image in enumerate(copy):
        assert np.abs(image.astype(int) - textured((64, 48), seed)).mean() < 8


def test_a_frame_of_another_size_is_resized_not_dropped(tmp_path):
    writer = VideoWriter(tmp_path / "copy.mp4", 25, (64, 48))
    writer.write(textured((64, 48)))
    writer.write(textured((128, 96)))
    writer.close()
    assert len(list(VideoReader(tmp_path / "copy.mp4"))) == 2


def test_video_has_its_name_only_when_finished(tmp_path):
    writer = VideoWriter(tmp_path / "copy.mp4", 25, (64, 48))
    writer.write(textured((64, 48)))
    assert not (tmp_path / "copy.mp4").exists()
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_video_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "full").write_text("")
    with pytest.raises(InputError, match="full"):
        VideoWriter(tmp_path / "full" / "copy.mp4", 25, (64, 48))


def test_the_containers_frame_count_is_not_believed(tmp_path):
    path = write_video(tmp_path / "given.avi")
    data = bytearray(path.read_bytes())
    stream = data.index(b"strh") + 8
    data[stream + 32 : stream + 36] = (3).to_bytes(4, "little")  # dwLength of the stream
    path.write_bytes(data)
    reader = VideoReader(path)
    assert reader.announced == 3
    assert len(list(reader)) == 10
    assert not reader.cut_off


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
    assert frames[9].seconds == pytest.approx(9 / 29.97)


def test_videos_without_a_frame_are_errors_that_name_the_file(tmp_path):
    whole = write_video(tmp_path / "whole.mp4").read_bytes()
    cases = {
        "text.mp4": b"no video at all\n" * 50,
        "noindex.mp4": whole[: len(whole) // 2],
        "empty.avi": b"",
        "headeronly.avi": write_video(tmp_path / "whole.avi").read_bytes()[:5700],
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name) as caught:
            list(VideoReader(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_rotation_in_the_container_is_applied(tmp_path):
    path = write_video(tmp_path / "given.mp4")
    upright = next(iter(VideoReader(path)))
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    quarter = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]
    data[matrix : matrix + 36] = b"".join(n.to_bytes(4, "big", signed=True) for n in quarter)
    path.write_bytes(data)
    turned = next(iter(VideoReader(path)))
    assert turned.shape == (64, 48, 3)
    np.testing.assert_array_equal(turned, np.rot90(upright, -1))


def test_a_rate_that_cannot_be_is_replaced(tmp_path, monkeypatch):
    path = write_video(tmp_path / "given.mp4")
    capture = cv2.VideoCapture

    class Broken:
        def __init__(self, *arguments):
            self.isOpened, self.get = (
                capture(*arguments).isOpened,
                {cv2.CAP_PROP_FPS: float("nan"), cv2.CAP_PROP_FRAME_COUNT: -9.2e18}.get,
            )

    monkeypatch.setattr(cv2, "VideoCapture", Broken)
    reader = VideoReader(path)
    assert (reader.fps, reader.announced) == (25.0, 0)


def test_a_colon_in_a_name_is_no_protocol(tmp_path, monkeypatch):
    write_video(tmp_path / "given.mp4").rename(tmp_path / "http:given.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(list(VideoReader("http:given.mp4"))) == 10


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


@pytest.mark.parametrize(("name", "content"), [("missing.jpg", None), ("empty.png", b""), ("text.mp4", b"text")])
def test_inputs_are_tried_before_any_work(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        find_sources([tmp_path / name], tmp_path / "out")


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


def test_picture_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(InputError, match=r"taken\.png"):
        write_picture(tmp_path / "taken.png", textured((20, 10)))
    assert [path.name for path in tmp_path.iterdir()] == ["taken.png"]
