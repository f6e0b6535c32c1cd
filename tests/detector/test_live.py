"""Cameras and streams: followed live, brought back, ended whole; served on this machine."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pytest
from served_streams import (
    FFMPEG,
    H264,
    TS_PACKET,
    HttpStream,
    RtspStream,
    encoded_live,
    serving,
    serving_parts,
    transport_stream,
)

from upright.detector import live
from upright.detector.annotated_copies import AnnotatedCopies
from upright.detector.detected import Detected
from upright.detector.frames import read_frames
from upright.detector.input_names import Stream
from upright.detector.live import LiveReader, ended_by_signals
from upright.detector.recording import Recorder
from upright.detector.result_files import TextOutput
from upright.detector.result_lines import json_lines
from upright.detector.selection import Selection
from upright.detector.settings import Settings
from upright.detector.source_run import detect_sources
from upright.detector.sources import Frame, find_sources
from upright.detector.video_reader import VideoReader, turned
from upright.detector.video_writer import VideoWriter
from upright.errors import InputError

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the program ffmpeg, which serves, is missing")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(live, "PATIENCE", 3.0)


class Slow:
    """Finds nobody, and takes its time for that."""

    name, settings = "slow", Settings()

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def detect(self, images: Sequence[np.ndarray]) -> list[Detected]:
        time.sleep(self.seconds)
        return [Detected(np.zeros((0, 4)), np.zeros(0)) for _ in images]


class Kept:
    """A stage that notes which picture came out, and which one the server had sent by then."""

    def __init__(self, served: HttpStream) -> None:
        self.served = served
        self.frames: list[tuple[Frame, int]] = []
        self.ends: list[str] = []

    def add(self, frame: Frame, found: Detected) -> None:
        self.frames.append((frame, self.served.sent))

    def finish(self) -> None:
        self.ends.append("finished")

    def stop(self) -> None:
        self.ends.append("stopped")

    def discard(self) -> None:
        self.ends.append("discarded")


def test_the_newest_picture_counts_while_the_detector_is_slower(tmp_path):
    with HttpStream(1000, interval=0.02).running() as served:
        (source,) = find_sources([served.address], tmp_path)
        assert (source.live, source.output.suffix) == (True, ".mp4")
        stage = Kept(served)
        slow, sent_a_second = 0.2, 50
        _, notes, errors = detect_sources(
            Slow(slow), [source], stage, progress=False, batch_size=8, selection=Selection(frames=8)
        )
    assert (errors, stage.ends, len(stage.frames)) == ([], ["finished"], 8)
    (note,) = notes
    assert "were dropped, to keep up" in note
    # What comes out is as old as the detector's work on it, and not as all that came before: here 10 pictures.
    late = [sent - frame.number for frame, sent in stage.frames[1:]]
    assert np.median(late) <= 2 * slow * sent_a_second
    assert stage.frames[-1][0].number > 20


def test_a_broken_stream_is_brought_back_and_that_is_said():
    with HttpStream(5, interval=0.02).running() as served:
        told: list[str] = []
        reader = LiveReader(Stream.of(served.address), threading.Event(), tell=told.append)
        for number, _, _ in reader:
            if number >= 12:
                break
        assert served.connections >= 3
    assert len(told) >= 2
    assert all("broke off" in line and served.address in line for line in told)


def test_pauses_grow_until_it_is_given_up(monkeypatch):
    monkeypatch.setattr(live, "GIVEN_UP_AFTER", 1.0)
    told: list[str] = []
    with HttpStream(3, interval=0.01).running() as served:
        reader = LiveReader(Stream.of(served.address), threading.Event(), tell=told.append)
        frames = iter(reader)
        next(frames)
    assert list(frames)[-1:] is not None
    assert reader.failure is not None
    pauses = [float(line.rsplit(" in ", 1)[1].removesuffix(" s")) for line in told]
    assert pauses[-3:] == sorted(pauses[-3:])
    assert pauses[-1] > pauses[0]


def test_rtsp_is_followed_and_brought_back_without_its_password_being_said(tmp_path):
    told: list[str] = []
    with RtspStream(transport_stream(list(range(0, 200, 8))), seconds=0.6).running() as served:
        (source,) = find_sources([served.address], tmp_path)
        reader = LiveReader(source.stream, threading.Event(), tell=told.append)
        for number, _, frame in reader:
            assert turned(frame).shape == (48, 64, 3)
            if served.plays >= 2 and number > 26:
                break
    assert told
    assert not any("secret" in text for text in [*told, source.name, str(source.path), str(source.output)])


@pytest.mark.parametrize(("selection", "most"), [(Selection(seconds=0.5), 40), (Selection(frames=5), 5)])
def test_a_live_source_ends_by_time_or_number(tmp_path, selection, most):
    with HttpStream(1000, interval=0.02).running() as served:
        (source,) = find_sources([served.address], tmp_path)
        assert 1 <= len(list(read_frames(source, [], selection))) <= most


def test_a_signal_ends_it_whole(tmp_path):
    with HttpStream(1000, interval=0.02).running() as served:
        (source,) = find_sources([served.address], tmp_path)
        stage, stop = Kept(served), threading.Event()
        threading.Timer(0.5, signal.raise_signal, [signal.SIGTERM]).start()
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with ended_by_signals(stop):
                detect_sources(Slow(0.01), [source], stage, progress=False, stop=stop)
            assert signal.getsignal(signal.SIGTERM) == signal.default_int_handler
        finally:
            signal.signal(signal.SIGTERM, before)
    assert stage.ends == ["finished"]
    assert stage.frames


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/x", "rtsp://u:secret@127.0.0.1:1/x", "/dev/video99"])
def test_what_is_not_there_is_one_line(tmp_path, address):
    (source,) = find_sources([address], tmp_path)
    stage = Kept(None)
    _, notes, (error,) = detect_sources(Slow(0), [source], stage, progress=False)
    assert notes == []
    assert source.name in str(error)
    assert "secret" not in str(error)
    assert "\n" not in str(error)


def test_rubbish_is_one_line(tmp_path):
    with HttpStream(0, interval=0).running() as served:
        (source,) = find_sources([served.address], tmp_path)
        with pytest.raises(InputError, match=served.address):
            list(read_frames(source, []))


def test_what_fails_on_a_live_source_leaves_what_was_found(tmp_path):
    class Full(Kept):
        def add(self, frame: Frame, found: Detected) -> None:
            if len(self.frames) == 3:
                raise OSError(28, "No space left on device")
            super().add(frame, found)

    with HttpStream(1000, interval=0.02).running() as served:
        (source,) = find_sources([served.address], tmp_path)
        stage = Full(served)
        _, _, (error,) = detect_sources(Slow(0.01), [source], stage, progress=False)
    assert (stage.ends, len(stage.frames)) == (["stopped"], 3)
    assert served.address in str(error)
    assert "No space left" in str(error)


def test_several_live_sources_are_refused(tmp_path):
    with pytest.raises(InputError, match="a run for each"):
        find_sources(["rtsp://127.0.0.1:1/a", "rtsp://127.0.0.1:1/b"], tmp_path)


def test_a_video_behind_http_is_read_whole(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4", 25, (64, 48))
    for _ in range(10):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.close()
    with serving(tmp_path) as address:
        (source,) = find_sources([f"{address}/a.mp4"], tmp_path / "out")
        assert not source.live
        frames = list(read_frames(source, []))
        assert [frame.number for frame in frames] == list(range(10))
        assert frames[9].seconds == pytest.approx(9 / 25)
        assert len(list(VideoReader(source.stream))) == 10


@pytest.mark.slow
@needs_ffmpeg
def test_mpeg_ts_over_http_is_followed_and_brought_back(tmp_path):
    told: list[str] = []
    with serving_parts(partial(encoded_live, 1.5)) as address:
        (source,) = find_sources([address], tmp_path)
        assert source.live
        reader = LiveReader(source.stream, threading.Event(), seconds=120, tell=told.append)
        shapes = set()
        for number, _, frame in reader:
            shapes.add(turned(frame).shape)
            if number > 50:  # a connection has fewer
                break
    assert number > 50
    assert shapes == {(48, 64, 3)}
    assert told
    assert all(address in line and "broke off" in line for line in told)


@pytest.mark.slow
@needs_ffmpeg
def test_hls_is_followed_while_it_grows_and_read_whole_when_it_is_over(tmp_path):
    segments = ["-f", "hls", "-hls_time", "0.4", "-hls_list_size", "3", "-hls_flags"]
    process = subprocess.Popen([*FFMPEG, *H264, *segments, "delete_segments+omit_endlist", tmp_path / "live.m3u8"])
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "live.m3u8").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        with serving(tmp_path) as address:
            (source,) = find_sources([f"{address}/live.m3u8"], tmp_path / "out")
            assert source.live
            reader = LiveReader(source.stream, threading.Event(), seconds=120)
            for number, _, _ in reader:
                if number > 75:  # the list names 30 pictures at a time
                    break
        assert number > 75
    finally:
        process.kill()
        process.wait()
    whole = [argument for argument in FFMPEG if argument != "-re"]
    subprocess.run([*whole, "-t", "2", *H264, "-f", "hls", "-hls_time", "0.4", tmp_path / "over.m3u8"], check=True)
    with serving(tmp_path) as address:
        (source,) = find_sources([f"{address}/over.m3u8"], tmp_path / "out")
        assert not source.live
        notes: list[str] = []
        assert [frame.number for frame in read_frames(source, notes)] == list(range(50))
        assert notes == []


def test_a_stream_that_changes_its_size_is_followed_and_that_is_said(tmp_path, capsys):
    def parts() -> Iterator[bytes]:
        """Small for longer than FFmpeg looks before it gives pictures, then large."""
        for data in (transport_stream([90] * 200), transport_stream([90] * 250, size=(96, 80))):
            for start in range(0, len(data), 2 * TS_PACKET):
                yield data[start : start + 2 * TS_PACKET]
                time.sleep(0.01)

    with serving_parts(parts) as address:
        (source,) = find_sources([address], tmp_path)
        outputs = [AnnotatedCopies(), TextOutput(tmp_path / "found.jsonl", json_lines)]
        recorder = Recorder(0.5, outputs)
        stop = threading.Event()

        class Until(Slow):
            def detect(self, images: Sequence[np.ndarray]) -> list[Detected]:
                if images[0].shape == (80, 96, 3):
                    threading.Timer(0.5, stop.set).start()
                return super().detect(images)

        timing, _, errors = detect_sources(Until(0.01), [source], recorder, progress=False, stop=stop)
        recorder.close()
    assert errors == []
    assert f"{address} changed its size to 96 x 80" in capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert {(line["width"], line["height"]) for line in lines} == {(64, 48), (96, 80)}
    copied = list(VideoReader(source.output))
    assert {image.shape for image in copied} == {(48, 64, 3)}
    assert len(copied) == len(lines) == timing.frames
