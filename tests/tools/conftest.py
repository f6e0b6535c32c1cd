"""Weights that the tests of tools/detect.py run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from upright.detector.model import build_detector
from upright.detector.weights import save_weights


@pytest.fixture(scope="module")
def weights(tiny, tmp_path_factory) -> Path:
    """A detector that knows nothing: every score is near 0.5."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(path, build_detector(tiny), {})
    return path
