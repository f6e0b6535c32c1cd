"""The demo leaves what the README promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from upright.detector.weights import load_detector

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_demo_leaves_video_detections_plot_and_crops(tmp_path: Path) -> None:
    output = tmp_path / "demo"
    command = [sys.executable, str(ROOT / "tools/demo.py"), "--output", str(output), "--seconds", "0.4"]
    result = subprocess.run([*command, "--pictures", "6"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
    assert "Reasonable" in result.stdout
    assert "walking" in result.stdout

    found = json.loads((output / "detections.json").read_text())
    assert [image["frame"] for image in found["images"]] == list(range(10))
    video = cv2.VideoCapture(str(output / "street.mp4"))
    assert video.read()[1].shape == (480, 640, 3)
    pictures = ["miss_rate.png", *(["crops.png"] if load_detector().tells_pose else [])]
    for name in pictures:
        assert cv2.imread(str(output / name)).std() > 5
    assert (output / "crops.png").exists() == ("crops.png" in pictures)
    assert json.loads((output / "evaluation.json").read_text())["images"] == 6
