"""Writing pictures and videos: nothing lost, nothing invented, nothing half-written."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from file_limits import files_of_at_most

from upright.detector.video_reader import VideoFormat, VideoReader
from upright.detector.video_writer import VideoWriter, count_packets, write_picture
from upright.errors import InputError, InputWarning


def textured(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """A smooth picture, so that lossy codecs keep it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def write(path: Path, frames: int = 5, size: tuple[int, int] = (64, 48), rate: float = 25, **more) -> Path:
    writer = VideoWriter(path, rate, size, **more)
    for seed in range(frames):
        writer.write(textured(size, seed))
    writer.close()
    return writer.path


def tone(path: Path, codec: str = "aac", seconds: float = 1.0) -> Path:
    """A video with a tone; the file's end tells the container."""
    rate = 44100
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=25, width=64, height=48, pix_fmt="yuv420p")
        sound = container.add_stream(codec, rate=rate, layout="mono")
        for seed in range(round(25 * seconds)):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(textured((64, 48), seed))))
        container.mux(pictures.encode(None))
        wave = (np.sin(np.arange(round(rate * seconds)) * 2 * np.pi * 440 / rate) * 20_000).astype(np.int16)
        resampler = av.AudioResampler(sound.codec_context.format, "mono", rate, sound.codec_context.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(sound.encode(part))
        container.mux(sound.encode(None))
    return path


def heard(path: Path) -> tuple[str, float]:
    """Codec of the sound, and how many seconds of it are loud."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        name, rate = stream.codec_context.name, stream.codec_context.sample_rate
        waves = [frame.to_ndarray().mean(axis=0) for frame in container.decode(stream)]
    wave = np.concatenate(waves).astype(float)
    return name, float((np.abs(wave) > np.abs(wave).max() / 10).sum()) / rate


def test_browsers_and_phones_play_it(tmp_path):
    path = write(tmp_path / "copy.avi")
    assert path == tmp_path / "copy.mp4"
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "a browser would have to fetch all of it before it begins"


@pytest.mark.parametrize("rate", [29.97, 30000 / 1001, 24000 / 1001, 12.5, 60.0, 700 / 3])
def test_frame_rate_is_not_rounded_on_the_way(tmp_path, rate):
    copy = VideoReader(write(tmp_path / "copy.mp4", 10, rate=rate))
    assert copy.fps == pytest.approx(rate, rel=1e-9)
    assert [seconds for seconds, _ in copy.timed()] == pytest.approx([frame / rate for frame in range(10)], abs=1e-6)


@pytest.mark.parametrize("ticks", [10, 1000, 12_800, 90_000, 10_000_000])
def test_a_variable_rate_stays_variable(tmp_path, ticks):
    times = [0.7, 0.8, 0.9, 1.4, 5.0, 5.1]
    writer = VideoWriter(tmp_path / "copy.mp4", 2.0, (64, 48), VideoFormat(ticks))
    for seed, seconds in enumerate(times):
        writer.write(textured((64, 48), seed), seconds)
    writer.close()
    assert [seconds for seconds, _ in VideoReader(writer.path).timed()] == pytest.approx(times, abs=1e-4)


def test_two_frames_of_one_moment_are_both_kept(tmp_path):
    writer = VideoWriter(tmp_path / "copy.mp4", 25, (64, 48))
    for seconds in (0.0, 0.0, 0.04):
        writer.write(textured((64, 48)), seconds)
    writer.close()
    assert len(list(VideoReader(writer.path))) == 3


@pytest.mark.parametrize("size", [(64, 48), (65, 48), (64, 47), (33, 31), (2, 2), (1, 1), (8194, 16), (16, 8194)])
def test_size_is_kept_odd_or_even_or_large(tmp_path, size):
    path = write(tmp_path / "copy.mp4", 3, size, 29.97)
    images = list(VideoReader(path))
    assert [image.shape for image in images] == [(size[1], size[0], 3)] * 3
    if min(size) > 40:  # 4:2:0 halves the colours, so that nothing is left of those of few pixels
        assert np.abs(images[2].astype(int) - textured(size, 2)).mean() < 8
    capture = cv2.VideoCapture(str(path))  # others see that size, too
    assert capture.read()[1].shape == (size[1], size[0], 3)


def test_a_side_that_h264_does_not_know_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"copy\.mp4"):
        VideoWriter(tmp_path / "copy.mp4", 25, (16386, 16))
    assert list(tmp_path.iterdir()) == []


def test_colours_and_order_survive(tmp_path):
    copy = list(VideoReader(write(tmp_path / "copy.mp4")))
    assert len(copy) == 5
    for seed, image in enumerate(copy):
        assert np.abs(image.astype(int) - textured((64, 48), seed)).mean() < 8


def test_pixel_aspect_is_kept(tmp_path):
    path = write(tmp_path / "copy.mp4", like=VideoFormat(25, aspect=Fraction(16, 11)))
    assert VideoReader(path).format.aspect == Fraction(16, 11)


def test_a_frame_of_another_size_is_resized_not_dropped(tmp_path):
    writer = VideoWriter(tmp_path / "copy.mp4", 25, (64, 48))
    writer.write(textured((64, 48)))
    writer.write(textured((128, 96)))
    writer.close()
    assert len(list(VideoReader(tmp_path / "copy.mp4"))) == 2


@pytest.mark.parametrize(
    ("name", "codec", "kept"),
    [("a.mp4", "aac", "aac"), ("a.avi", "libmp3lame", "mp3float"), ("a.mkv", "flac", "flac"), ("a.mkv", "ac3", "aac")],
)
def test_sound_is_kept_as_it_is_or_made_aac_where_browsers_need_it(tmp_path, name, codec, kept):
    given = VideoReader(tone(tmp_path / name, codec))
    writer = VideoWriter(tmp_path / "copy.mp4", given.fps, (64, 48), given.format)
    for seconds, image in given.timed():
        writer.write(image, seconds)
    writer.close()
    codec, seconds = heard(writer.path)
    assert codec == kept
    assert seconds > 0.8
    assert len(list(VideoReader(writer.path))) == 25


def test_sound_of_a_part_begins_and_ends_with_it(tmp_path):
    path = tone(tmp_path / "a.mp4", seconds=3.0)
    writer = VideoWriter(tmp_path / "copy.mp4", 25, (64, 48), VideoFormat(25, sound=path, start=1.0, end=2.0))
    for frame in range(25, 50):
        writer.write(textured((64, 48), frame), frame / 25)
    writer.close()
    assert heard(writer.path)[1] == pytest.approx(0.94, abs=0.1)  # of a second, where the tone is loud
    assert [seconds for seconds, _ in VideoReader(writer.path).timed()] == pytest.approx([i / 25 for i in range(25)])


def test_sound_that_cannot_be_kept_is_said_and_the_pictures_are(tmp_path):
    (tmp_path / "sound.mp4").write_bytes(b"rubbish" * 100)
    with pytest.warns(InputWarning, match=r"sound\.mp4 is silent"):
        path = write(tmp_path / "copy.mp4", like=VideoFormat(25, sound=tmp_path / "sound.mp4"))
    assert len(list(VideoReader(path))) == 5


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


@pytest.mark.parametrize("size", [0, 100, 3000, 20_000, 60_000])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, size):
    def noise(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, (96, 128, 3), np.uint8)

    def fill() -> None:
        writer = VideoWriter(tmp_path / "copy.mp4", 25, (128, 96))
        for seed in range(60):
            writer.write(noise(seed))
        writer.close()

    with files_of_at_most(size), pytest.raises(InputError, match=r"copy\.mp4") as caught:
        fill()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_is_short_of_frames_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("upright.detector.video_writer.count_packets", lambda path: 2)
    with pytest.raises(InputError, match=r"copy\.mp4: the file took 2 of 5 frames"):
        write(tmp_path / "copy.mp4")
    assert list(tmp_path.iterdir()) == []


def test_packets_are_counted_without_decoding(tmp_path):
    assert count_packets(write(tmp_path / "a.mp4", 7)) == 7
    assert count_packets(tmp_path / "nowhere.mp4") == 0


def test_a_name_that_is_no_utf8_is_written(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    assert len(list(VideoReader(write(path)))) == 5


def test_picture_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(InputError, match=r"taken\.png"):
        write_picture(tmp_path / "taken.png", textured((20, 10)))
    assert [path.name for path in tmp_path.iterdir()] == ["taken.png"]
