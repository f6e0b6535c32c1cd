"""The turn of a crop is the angle that it was turned by, and the report finds a known slope."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from upright.detector.model import build_detector
from upright.detector.settings import Settings
from upright.detector.spatial_transformer import Affine
from upright.detector.weights import save_weights
from upright.experiments.heads.straightening import report, turn

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("degrees", [0.0, 30.0, -75.0])
def test_a_crop_that_was_turned_in_the_picture_has_that_turn(degrees: float) -> None:
    """The region is 50 x 200: the crop's axes in the picture, turned clockwise there, are put into its frame."""
    angle, region = math.radians(degrees), torch.tensor([[10.0, 20, 60, 220]])
    rotation = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])  # y points down
    into_frame = torch.diag(1 / torch.tensor([25.0, 100.0]))
    theta = torch.cat([into_frame @ rotation * 40, torch.tensor([[0.3], [-0.2]])], dim=1).reshape(1, 1, 6)
    torch.testing.assert_close(turn(Affine(), theta, region), torch.tensor([[degrees]]))


def test_slope_and_correlation_are_found() -> None:
    leans = np.array([-20.0, 0, 10, 30])
    lines = report(leans, np.stack([0.5 * leans + 2, [1.0, -1, -1, 1]], axis=1))
    assert lines[-2].split("|")[4:6] == [" 0.500 ", " 1.00 "]
    assert lines[0].startswith("4 people")


def test_a_detector_without_transformers_is_one_line(tiny: Settings, tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", build_detector(replace(tiny, transformers=0)), {})
    command = [sys.executable, str(ROOT / "experiments/heads/straightening.py"), "--weights"]
    result = subprocess.run([*command, str(tmp_path / "w.safetensors")], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
