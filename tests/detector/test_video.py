"""Reading and writing pictures and videos: nothing lost, nothing invented, nothing half-written."""

from __future__ import annotations

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from upright.detector.video import VideoReader, VideoWriter, count_packets, write_picture
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


def test_picture_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(InputError, match=r"taken\.png"):
        write_picture(tmp_path / "taken.png", textured((20, 10)))
    assert [path.name for path in tmp_path.iterdir()] == ["taken.png"]


def test_a_rate_that_mpeg4_has_no_ticks_for_is_kept_to_its_second_digit(tmp_path):
    writer = VideoWriter(tmp_path / "copy.mp4", 700 / 3, (64, 48))
    for seed in range(3):
        writer.write(textured((64, 48), seed))
    writer.close()
    assert VideoReader(writer.path).fps == pytest.approx(700 / 3, abs=0.005)


@pytest.mark.parametrize("size", [(8194, 16), (16, 8194)])
def test_a_side_that_mpeg4_does_not_know_goes_into_jpegs(tmp_path, size):
    writer = VideoWriter(tmp_path / "copy.mp4", 25, size)
    writer.write(textured(size))
    writer.close()
    assert writer.path.suffix == ".avi"
    assert next(iter(VideoReader(writer.path))).shape == (size[1], size[0], 3)


def test_a_side_that_no_format_knows_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"copy\.mp4"):
        VideoWriter(tmp_path / "copy.mp4", 25, (65502, 16))


def test_a_copy_that_is_short_of_frames_is_not_kept(tmp_path, monkeypatch):
    writer = VideoWriter(tmp_path / "copy.mp4", 25, (65, 49))
    for seed in range(6):
        writer.write(textured((65, 49), seed))

    class Cutting:
        def __init__(self, whole):
            self.whole = whole

        def release(self):
            """As on a full disk: the header tells of all frames, the end is not there."""
            self.whole.release()
            (temporary,) = tmp_path.glob(".copy*")
            if temporary.exists():
                data = temporary.read_bytes()
                temporary.write_bytes(data[: len(data) // 2])

    monkeypatch.setattr(writer, "_writer", Cutting(writer._writer))
    with pytest.raises(InputError, match=r"copy\.avi: the file took [1-5] of 6 frames"):
        writer.close()
    assert list(tmp_path.iterdir()) == []


def test_packets_are_counted_without_decoding(tmp_path):
    assert count_packets(write_video(tmp_path / "a.mp4", frames=7)) == 7
    assert count_packets(tmp_path / "nowhere.mp4") == 0


def test_a_damaged_frame_in_between_is_no_end(tmp_path):
    path = write_video(tmp_path / "a.avi", frames=10)
    data = bytearray(path.read_bytes())
    places = [place.start() for place in re.finditer(b"00dc", data)][:10]  # of the frames; the index repeats them
    data[places[4] + 8 : places[5]] = bytes(places[5] - places[4] - 8)
    path.write_bytes(data)
    reader = VideoReader(path)
    assert len(list(reader)) == 9
    assert (reader.damaged, reader.cut_off) == (1, False)


def test_a_name_that_is_no_utf8_is_read_and_written(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    writer = VideoWriter(path, 25, (64, 48))
    writer.write(textured((64, 48)))
    writer.close()
    assert len(list(VideoReader(path))) == 1


def test_heic_is_no_video_whatever_its_name(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(InputError, match=r"a\.mp4 is a HEIC picture"):
        VideoReader(tmp_path / "a.mp4")
