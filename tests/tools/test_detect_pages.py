"""tools/detect.py with --page and --serve."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import cv2
import pytest
from written_videos import street

from upright.detector.video_writer import VideoWriter
from upright.tools import detect

ROOT = Path(__file__).parents[2]


def write_video(path: Path, frames: int) -> Path:
    writer = VideoWriter(path, 25, (96, 72))
    for seed in range(frames):
        writer.write(street(seed))
    writer.close()
    return path


def test_the_page_stands_beside_the_results_without_what_failed(tmp_path, call_main, weights):
    cv2.imwrite(str(tmp_path / "a.png"), street())
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    (tmp_path / "c.mp4").write_bytes(b"no video")
    video = write_video(tmp_path / "d.mp4", 4)
    inputs = [tmp_path / name for name in ("a.png", "b.jpg", "c.mp4")]
    ended = call_main(detect.main, *inputs, video, "--output", tmp_path / "o", "--page", "--weights", weights)
    assert ended.status == 2
    assert ended.err.count("\n") == 2
    text = (tmp_path / "o" / "page.html").read_text("utf-8")
    assert [name in text for name in ('data-name="a.png"', "b.jpg", "c.mp4", 'data-name="d.mp4"')] == [1, 0, 0, 1]
    assert '"original":"../d.mp4","copy":"d.mp4"' in text
    assert str(weights) in text  # among the settings


def test_a_port_in_use_is_one_line_and_leaves_nothing(tmp_path, call_main, weights):
    cv2.imwrite(str(tmp_path / "a.png"), street())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = (tmp_path / "a.png", "--output", tmp_path / "o", "--weights", weights, "--serve", port, "--page")
        fault = call_main(detect.main, *arguments).fault
    assert f"127.0.0.1 port {port}" in fault
    assert "--serve PORT" in fault
    assert list((tmp_path / "o").iterdir()) == []


def test_flags_that_go_with_others_are_refused_in_one_line(tmp_path, call_main, monkeypatch):
    assert "--serve PORT" in call_main(detect.main, tmp_path, "--output", tmp_path / "o", "--host", "0.0.0.0").fault
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for flags in (["--page"], ["--serve", "0"]):
        assert "one process" in call_main(detect.main, tmp_path, "--output", tmp_path / "o", *flags).fault


@pytest.mark.slow
def test_counts_are_served_while_it_runs_and_ctrl_c_ends_all_cleanly(tmp_path, weights):
    video = write_video(tmp_path / "b.mp4", 2000)
    out = tmp_path / "out"
    arguments = ["--weights", weights, "--threshold", "0.9", "--serve", "0", "--page"]
    process = subprocess.Popen(
        [sys.executable, ROOT / "tools" / "detect.py", video, "--output", out, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # A shell starts what runs in its background with SIGINT ignored, and tests may run there.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        name, address = process.stdout.readline().split(": ")
        assert name == "live page"
        frames = 0
        while frames < 10:
            assert process.poll() is None
            with urlopen(address.strip() + "counts.json", timeout=60) as answer:
                counts = json.load(answer)
            frames = counts["frames"]
        assert counts["source"] == "b.mp4"
        with urlopen(address.strip() + "stream", timeout=60) as stream:  # somebody looks on when it ends
            stream.read(100)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=240)
    finally:
        process.kill()
    assert (process.returncode, err) == (130, "interrupted\n")
    assert {path.name for path in out.iterdir()} == {"b.mp4", "detections.json", "page.html"}
    assert 'data-name="b.mp4"' in (out / "page.html").read_text("utf-8")
