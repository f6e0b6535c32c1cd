"""The released weights track and count people in rendered streets."""

from __future__ import annotations

import pytest

from upright.detector.weights import load_detector
from upright.experiments.video.tracking import clip, crossings, score


@pytest.mark.slow
def test_people_are_held_and_counted():
    model = load_detector(None)
    clips = [clip(model, seed, seconds=12) for seed in range(1, 5)]
    figures = score(clips, model.settings.threshold)
    assert figures["idf1"] > 0.55
    assert figures["mota"] > 0.55
    true, counted, rightly = crossings(clips, model.settings.threshold)
    assert true > 40
    # A twentieth of so few would be three people; docs/video.md counts in more videos.
    assert abs(counted - true) <= 0.1 * true
    assert rightly >= 0.85 * true
