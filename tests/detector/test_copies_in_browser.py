"""Annotated copies play in a browser, odd sizes and all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any

import numpy as np
import pytest

from upright.detector.video_reader import VideoFormat, VideoReader
from upright.detector.video_writer import VideoWriter

PLAY = """async (name) => {
  const video = document.createElement("video");
  video.muted = true;
  video.src = name;
  document.body.append(video);
  const loaded = new Promise((done) => { video.onloadeddata = () => done(""); video.onerror = () => done("failed"); });
  const fault = await loaded;
  if (fault) return {fault};
  const ended = new Promise((done) => { video.onended = done; });
  await video.play();
  await ended;
  const frames = video.getVideoPlaybackQuality().totalVideoFrames;
  return {fault, size: [video.videoWidth, video.videoHeight], duration: video.duration, frames};
}"""


@pytest.fixture
def play(browser, tmp_path) -> Iterator[Any]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    yield partial(page.evaluate, PLAY)
    page.close()
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("size", [(320, 240), (321, 241)])
def test_a_copy_plays_with_its_size_frames_and_times(play, tmp_path, size):
    times = [0.0, 0.1, 0.2, 0.6, 0.7, 1.0]
    writer = VideoWriter(tmp_path / "a.mp4", 10, size, VideoFormat(1000))
    for number, seconds in enumerate(times):
        writer.write(np.full((size[1], size[0], 3), 40 * number, np.uint8), seconds)
    writer.close()
    played = play("a.mp4")
    assert played["fault"] == ""
    assert tuple(played["size"]) == size
    assert played["frames"] == len(times)
    assert played["duration"] == pytest.approx(1.1, abs=0.01)


@pytest.mark.slow
def test_pixels_that_are_not_square_are_shown_so(play, tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4", 10, (160, 240), VideoFormat(10, aspect=Fraction(2)))
    for _ in range(3):
        writer.write(np.zeros((240, 160, 3), np.uint8))
    writer.close()
    assert play("a.mp4")["size"] == [320, 240]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bikes.mp4", "vtest.avi", "one-by-one-person-detection.mp4"])
def test_copies_of_real_videos_play(play, shared, tmp_path, name):
    reader = VideoReader(shared / "data" / "video" / name)
    with closing(reader.timed()) as frames:
        some = list(islice(frames, 15))
    size = some[0][1].shape[1::-1]
    writer = VideoWriter(tmp_path / "a.mp4", reader.fps, size, replace(reader.format, end=some[-1][0]))
    for seconds, image in some:
        writer.write(image, seconds)
    writer.close()
    played = play("a.mp4")
    assert played["fault"] == ""
    assert tuple(played["size"]) == size
    assert played["frames"] == len(some)
