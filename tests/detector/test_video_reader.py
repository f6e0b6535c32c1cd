"""Reading videos: every frame once, at its time, turned as the container says; what is wrong is said."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from written_videos import textured, write_video

from upright.detector.video_reader import VideoReader, turned
from upright.errors import InputError


def write_times(path: Path, times: list[int], *, offset: int = 0, codec: str = "libx264") -> Path:
    """A video whose frames are shown at `times`, in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, width=64, height=48, pix_fmt="yuv420p")
        stream.codec_context.time_base = Fraction(1, 1000)
        for seed, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(textured((64, 48), seed)).reformat(format="yuv420p")
            frame.pts, frame.time_base = time + offset, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def times_of(path: Path) -> list[float]:
    return [seconds for seconds, _ in VideoReader(path).timed()]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_times_are_those_of_the_container_also_with_a_variable_rate_and_gaps(tmp_path, suffix):
    times = [0, 40, 80, 200, 210, 1000, 4000, 4040]
    assert times_of(write_times(tmp_path / f"a{suffix}", times)) == pytest.approx([time / 1000 for time in times])


def test_a_start_after_the_sound_or_an_empty_edit_counts(tmp_path):
    assert times_of(write_times(tmp_path / "a.mp4", [0, 40, 80], offset=500)) == pytest.approx([0.5, 0.54, 0.58])


def test_a_broadcast_starts_at_0_whatever_its_clock(tmp_path):
    times = times_of(write_times(tmp_path / "a.ts", list(range(0, 400, 40)), offset=3_600_000))
    assert times == pytest.approx([frame / 25 for frame in range(10)], abs=0.001)


def test_a_clock_that_is_set_anew_goes_on(tmp_path):
    first = write_times(tmp_path / "a.ts", list(range(0, 400, 40)), offset=3_600_000).read_bytes()
    second = write_times(tmp_path / "b.ts", list(range(0, 400, 40))).read_bytes()
    (tmp_path / "c.ts").write_bytes(first + second)
    times = times_of(tmp_path / "c.ts")
    assert len(times) == 20
    assert np.diff(times) == pytest.approx(0.04, abs=0.001)


@pytest.mark.parametrize("name", ["bikes.mp4", "vtest.avi", "one-by-one-person-detection.mp4"])
def test_times_of_real_videos_equal_ffprobes(shared, name):
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe, which tells the right times, is not installed")
    path = shared / "data" / "video" / name
    what = ["-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time", "-of", "json"]
    told = json.loads(subprocess.run(["ffprobe", "-v", "error", *what, path], capture_output=True, check=True).stdout)
    times = times_of(path)
    assert len(times) == len(told["frames"])
    for seconds, frame in zip(times, told["frames"], strict=True):
        if "best_effort_timestamp_time" in frame:  # that of AVI's last frames is told by nobody
            assert seconds == pytest.approx(float(frame["best_effort_timestamp_time"]), abs=1e-6)


@pytest.mark.parametrize("rate", [29.97, 30000 / 1001, 24000 / 1001, 12.5, 60.0])
def test_the_frame_rate_is_not_rounded(tmp_path, rate):
    assert VideoReader(write_video(tmp_path / "given.mp4", rate=rate)).fps == pytest.approx(rate, abs=1e-3)


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


def test_sound_alone_is_no_video(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match=r"a\.mp4: it holds no pictures"):
        VideoReader(tmp_path / "a.mp4")


QUARTERS = {  # the matrix's a, b, c, d, and what it does to a picture
    (0, 1, -1, 0): lambda image: np.rot90(image, -1),
    (0, -1, 1, 0): lambda image: np.rot90(image),
    (-1, 0, 0, -1): lambda image: np.rot90(image, 2),
    (-1, 0, 0, 1): lambda image: image[:, ::-1],
}


@pytest.mark.parametrize("turn", QUARTERS)
def test_rotation_and_mirroring_in_the_container_are_applied(tmp_path, turn):
    path = write_video(tmp_path / "given.mp4")
    upright = next(iter(VideoReader(path)))
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    a, b, c, d = turn
    values = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    data[matrix : matrix + 36] = b"".join(n.to_bytes(4, "big", signed=True) for n in values)
    path.write_bytes(data)
    np.testing.assert_array_equal(next(iter(VideoReader(path))), QUARTERS[turn](upright))


def test_pixels_that_are_not_square_turn_with_the_picture(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=48, pix_fmt="yuv420p")
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        stream.set_display_rotation(90)
        for seed in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(textured((64, 48), seed))))
        container.mux(stream.encode(None))
    reader = VideoReader(path)
    assert next(iter(reader)).shape == (64, 48, 3)
    assert reader.format.aspect == Fraction(1, 2)


def test_a_colon_in_a_name_is_no_protocol(tmp_path, monkeypatch):
    write_video(tmp_path / "given.mp4").rename(tmp_path / "http:given.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(list(VideoReader("http:given.mp4"))) == 10


def test_a_name_that_is_no_utf8_is_read(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    write_video(tmp_path / "a.mp4").rename(path)
    assert len(list(VideoReader(path))) == 10


def test_a_damaged_frame_in_between_is_counted_and_passed_over(tmp_path):
    path = write_video(tmp_path / "a.avi", frames=10)
    data = bytearray(path.read_bytes())
    places = [place.start() for place in re.finditer(b"00dc", data)][:10]  # the first stands in the header
    data[places[4] + 8 : places[5]] = bytes(places[5] - places[4] - 8)
    path.write_bytes(data)
    reader = VideoReader(path)
    times = [seconds for seconds, _ in reader.timed()]
    assert times == pytest.approx(
        [frame / 25 for frame in range(10) if frame != 3]
    )  # the first mark stands in the header
    assert (reader.damaged, reader.cut_off) == (1, False)


def write_groups(path: Path, times: list[int], codec: str, options: dict[str, str]) -> Path:
    """A video with a key frame every eight frames, which are shown at `times`, in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, width=64, height=48, pix_fmt="yuv420p", options=options)
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.gop_size = 8
        for seed, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(textured((64, 48), seed // 3)).reformat(format="yuv420p")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def numbered(path: Path, start: float, begin: float | None = None) -> list[tuple[int, float, bytes]]:
    """Number, time and picture of the frames from second `start` on, decoded from `begin` on."""
    reader = VideoReader(path)
    frames = reader.decoded(start if begin is None else begin)
    return [(reader.read - 1, seconds, turned(frame).tobytes()) for seconds, frame in frames if seconds >= start]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "3"}),
        ("a.mp4", "libx264", {"bf": "3", "x264-params": "open-gop=1"}),
        ("a.mp4", "libx265", {"x265-params": "open-gop=1:bframes=3:log-level=none"}),  # whose keys have leading frames
        ("a.webm", "libvpx-vp9", {}),
        ("a.mkv", "libx264", {"bf": "3"}),
        ("a.avi", "mpeg4", {}),
    ],
)
def test_a_part_is_decoded_from_the_key_frame_before_as_if_from_the_beginning(tmp_path, name, codec, options):
    if codec not in av.codecs_available:
        pytest.skip(f"this build of PyAV has no {codec}")
    rate = [40 * number for number in range(60)]
    variable = [time + (7 * number) % 31 + 500 * (number > 20) for number, time in enumerate(rate)]
    path = write_groups(tmp_path / name, rate if name.endswith(".avi") else variable, codec, options)
    whole = numbered(path, 0.0)
    for start in (0.001, 0.9, whole[24][1], 2.0, whole[-1][1]):
        wanted = [frame for frame in whole if frame[1] >= start]
        assert numbered(path, start) == wanted, start
    assert numbered(path, 9.0) == []
    first = next(number for number, _, _ in numbered(path, 0.0, whole[40][1]))
    assert (first > 24) == (name in ("a.mp4", "a.webm")), "key frames were made use of"


@pytest.mark.parametrize("name", ["trimmed.mp4", "vfr.mp4", "long.mp4", "rot90.mp4", "gap.webm", "mj_hole.avi"])
def test_parts_of_edited_and_odd_videos_are_as_if_from_the_beginning(cases, name):
    path = cases / "vids" / name
    whole = numbered(path, 0.0)
    for place in (1, len(whole) // 2, -1):
        assert numbered(path, whole[place][1]) == whole[place:]


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4"])
def test_cut_off_is_what_ends_before_its_duration(tmp_path, suffix):
    path = write_video(tmp_path / f"a{suffix}", 50)
    if suffix == ".mp4":  # its index stands in front, so that the rest can be read
        with (
            av.open(str(path)) as given,
            av.open(str(tmp_path / "b.mp4"), "w", options={"movflags": "faststart"}) as to,
        ):
            stream = to.add_stream_from_template(given.streams.video[0])
            for packet in given.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    to.mux(packet)
        path = tmp_path / "b.mp4"
    whole = VideoReader(path)
    assert len(list(whole)) == 50
    assert not whole.cut_off
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    reader = VideoReader(path)
    assert 20 < len(list(reader)) < 50
    assert reader.cut_off


def test_frames_that_a_recorder_leaves_out_are_not_missing(tmp_path):
    reader = VideoReader(write_times(tmp_path / "a.mkv", [0, 40, 2000, 2040, 6000]))
    assert len(list(reader)) == 5
    assert not reader.cut_off


def test_heic_is_no_video_whatever_its_name(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(InputError, match=r"a\.mp4 is a HEIC picture"):
        VideoReader(tmp_path / "a.mp4")
