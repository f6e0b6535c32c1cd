"""Settings of detectors for small pictures, and one whose first stage they start from."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from upright.detector.model import Detector, build_detector
from upright.detector.settings import PRESETS, Settings
from upright.experiments.heads.methods import BASE


@pytest.fixture(scope="session")
def base() -> Settings:
    """The light preset as the methods have it, for pictures of 96 pixels."""
    small = {"min_size": 64, "max_size": 96, "crop_height": 64, "crop_width": 96, "head_width": 32, "head_samples": 16}
    few = {"train_proposals": 40, "test_proposals": 20, "looks": 4, "score_threshold": 1e-6}
    return replace(PRESETS["light"], **(BASE | small | few))


@pytest.fixture(scope="session")
def start(base: Settings) -> Detector:
    """A detector whose first stage all start from; its proposals differ."""
    torch.manual_seed(0)
    model = build_detector(base).eval()
    for level in model.rpn.head:
        torch.nn.init.normal_(level.predict.weight, std=0.5)
    return model
