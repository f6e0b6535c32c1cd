"""tools/detect.py started by torchrun itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from upright.detector.video_writer import VideoWriter
from upright.tools import detect

pytest.importorskip("torch.distributed.run", reason="torch, which brings torchrun, is not installed")

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_two_processes_of_torchrun_give_what_one_gives(tmp_path, call_main, weights):
    videos = tmp_path / "in"
    videos.mkdir()
    for seed, name in enumerate(("a.mp4", "b.mp4")):
        noise = np.random.default_rng(seed)
        writer = VideoWriter(videos / name, 25, (96, 72))
        for _ in range(5):
            writer.write(noise.integers(0, 256, (72, 96, 3), np.uint8))
        writer.close()
    flags = ["--weights", weights, "--track", "--outputs", "json,csv,mot"]
    assert call_main(detect.main, videos, "--output", tmp_path / "alone", *flags).status == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, ROOT / "tools" / "detect.py", videos, "--output", tmp_path / "out", *flags]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("10 frames") == 1, "one of them says what was done"
    written = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for file in (path for path in (tmp_path / "alone").rglob("*") if path.is_file()):
        name = file.relative_to(tmp_path / "alone")
        written.remove(name)
        assert (tmp_path / "out" / name).read_bytes() == file.read_bytes(), name
    assert written == set()
    assert len(json.loads((tmp_path / "out" / "detections.json").read_text())["images"]) == 10
