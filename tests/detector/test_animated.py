"""Animated GIF and WebP are videos."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from upright.detector.frames import read_frames
from upright.detector.sources import find_sources
from upright.errors import InputError


def animate(path, durations: list[int]) -> None:
    frames = [Image.fromarray(np.full((48, 64, 3), 40 * number + 20, np.uint8)) for number in range(len(durations))]
    options = {} if len(frames) == 1 else {"save_all": True, "append_images": frames[1:], "duration": durations}
    frames[0].save(path, **options)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_frames_come_once_at_their_times(tmp_path, suffix):
    animate(tmp_path / f"a{suffix}", [200, 500, 40, 100])
    (source,) = find_sources([tmp_path / f"a{suffix}"], tmp_path / "out")
    assert (source.is_video, source.output.name) == (True, "a.mp4")
    frames = list(read_frames(source, []))
    assert [frame.seconds for frame in frames] == pytest.approx([0.0, 0.2, 0.7, 0.74])
    for number, frame in enumerate(frames):
        assert np.abs(frame.image.astype(int) - (40 * number + 20)).max() < 12


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_one_frame_is_a_picture(tmp_path, suffix):
    animate(tmp_path / f"a{suffix}", [100])
    (source,) = find_sources([tmp_path / f"a{suffix}"], tmp_path / "out")
    assert not source.is_video


def test_a_gif_that_is_cut_off_is_one_line(tmp_path):
    animate(tmp_path / "a.gif", [100] * 5)
    data = (tmp_path / "a.gif").read_bytes()
    for length in range(20, len(data), 37):
        (tmp_path / "a.gif").write_bytes(data[:length])
        (source,) = find_sources([tmp_path / "a.gif"], tmp_path / "out")
        with suppress(InputError):  # anything else is a fault
            list(read_frames(source, []))
