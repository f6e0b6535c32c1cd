"""How the tests of tools/detect.py call it, and the weights that they run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from upright.detector.model import build_detector
from upright.detector.weights import save_weights
from upright.tools import detect


@pytest.fixture(scope="module")
def weights(tiny, tmp_path_factory) -> Path:
    """A detector that knows nothing: every score is near 0.5."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(path, build_detector(tiny), {})
    return path


@pytest.fixture
def call(call_main, weights):
    """Run tools/detect.py in this process, with the weights that know nothing or with others."""

    def call(*arguments: object, with_weights: bool = True):
        return call_main(detect.main, *arguments, *(["--weights", weights] if with_weights else []))

    return call
