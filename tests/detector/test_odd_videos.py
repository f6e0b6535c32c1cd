"""Odd files as users have them, through all of the program but its detector: each is copied, or one line says why."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from upright.detector.annotated_copies import AnnotatedCopies
from upright.detector.detected import Detected
from upright.detector.recording import Recorder
from upright.detector.settings import Settings
from upright.detector.source_run import detect_sources
from upright.detector.sources import Source, find_sources
from upright.detector.video_reader import VideoReader

COUNTS = {"vids": 11, "slomo": 11, "mixed": 5, "latin1vid": 2, "longname2": 9}


class Nobody:
    """Finds nobody."""

    name, settings = "nobody", Settings()

    def detect(self, images: Sequence[np.ndarray]) -> list[Detected]:
        return [Detected(np.zeros((0, 4)), np.zeros(0)) for _ in images]


@pytest.mark.parametrize("folder", COUNTS)
def test_every_case_is_copied_with_its_times_or_said(cases, tmp_path, folder):
    sources = find_sources([cases / folder], tmp_path)
    assert len(sources) == COUNTS[folder]
    _, notes, errors = detect_sources(Nobody(), sources, Recorder(0.5, [AnnotatedCopies()]), progress=False)
    failed = {"mixed": ["c_zero.mp4 is empty", "e_zero.jpg is empty"]}.get(folder, [])
    assert len(errors) == len(failed)
    assert all(what in str(error) for what, error in zip(failed, errors, strict=True))
    assert [os.path.basename(note.split(":")[0]) for note in notes] == ["mj_hole.avi"] * (folder == "vids")
    for source in sources:
        assert source.output.exists() == ("_zero" not in source.name), source.name
        if source.is_video and source.output.exists():
            assert_same_times(source)


def assert_same_times(source: Source) -> None:
    given, copy = VideoReader(source.path), VideoReader(source.output)
    times = [seconds for seconds, _ in given.timed()]
    assert [seconds for seconds, _ in copy.timed()] == pytest.approx(times, abs=1e-4), source.name
    assert has_sound(source.path) == has_sound(source.output), source.name
    assert copy.format.aspect == given.format.aspect, source.name


def has_sound(path: Path) -> bool:
    with av.open(str(path), metadata_errors="replace") as container:
        return bool(container.streams.audio)
