"""The released weights track and count people in rendered streets."""

from __future__ import annotations

import pytest

from upright.detector.engines.choice import open_engine
from upright.experiments.video.tracking import clips_of, crossings, score

VIDEOS = range(1, 5)


@pytest.mark.slow
def test_people_are_held_and_counted():
    engine = open_engine()
    clips = [clip for seed in VIDEOS for clip in clips_of([engine], seed, seconds=12)]
    figures = score(clips, engine.settings.threshold)
    assert figures["idf1"] > 0.55
    assert figures["mota"] > 0.55
    true, counted, rightly = crossings(clips, engine.settings.threshold)
    assert true > 60
    # So few scatter by more than a twentieth, which holds over the twelve videos of docs/video.md.
    assert abs(counted - true) <= 0.1 * true
    assert rightly >= 0.85 * true
