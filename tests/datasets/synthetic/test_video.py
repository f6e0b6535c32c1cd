"""The rendered video: readable, as long as asked for, and people who move on their ways."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from upright.datasets.synthetic import render_video, video
from upright.errors import InputError

SIZE = (320, 240)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "street.mp4"
    tables = render_video(path, seed=4, seconds=1.0, fps=29.97, size=SIZE, progress=False)
    return path, tables


def test_every_frame_can_be_read_in_the_right_size_and_rate(rendered):
    path, tables = rendered
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(29.97, abs=0.005)
    count = 0
    while True:
        more, frame = capture.read()
        if not more:
            break
        assert frame.shape == (SIZE[1], SIZE[0], 3)
        count += 1
    assert count == len(tables) == 30
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_each_frame_has_its_people(rendered):
    _, tables = rendered
    for table in tables:
        n = len(table["boxes"])
        assert n > 0
        assert all(len(values) == n for values in table.values())
        people = table["track"][table["track"] >= 0]
        assert len(set(people.tolist())) == len(people)
        assert np.all(table["visible"][:, 2:] <= table["boxes"][:, 2:])
        assert np.all(table["visible"][:, :2] >= table["boxes"][:, :2])


def test_people_move_smoothly_and_some_move_far(rendered):
    _, tables = rendered
    ways: dict[int, list[tuple[int, np.ndarray]]] = {}
    for frame, table in enumerate(tables):
        for track, box in zip(table["track"].tolist(), table["boxes"], strict=True):
            ways.setdefault(track, []).append((frame, box))
    far = 0.0
    for track, way in ways.items():
        if track < 0:
            continue
        for (f0, b0), (f1, b1) in pairwise(way):
            if f1 == f0 + 1:
                height = max(b0[3] - b0[1], 10)
                assert abs((b1[0] + b1[2]) - (b0[0] + b0[2])) / 2 < 0.2 * height + 3
                assert abs(b1[3] - b0[3]) < 0.1 * height + 3
        far = max(far, abs(float(way[-1][1][0] - way[0][1][0])))
    assert far > 20


def test_the_same_seed_gives_the_same_boxes_at_any_frame_rate(tmp_path, rendered):
    again = render_video(tmp_path / "a.mp4", seed=4, seconds=1.0, fps=29.97 / 5, size=SIZE, progress=False)
    assert len(again) == 6
    for one, other in zip(again, rendered[1][::5], strict=True):
        assert np.array_equal(one["boxes"], other["boxes"])
        assert np.array_equal(one["track"], other["track"])


def test_a_break_leaves_nothing_behind(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(video.sensor, "expose", stop)
    with pytest.raises(KeyboardInterrupt):
        render_video(tmp_path / "a.mp4", seconds=0.2, size=SIZE, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong", [{"seconds": 0.0}, {"fps": 0.0}, {"fps": -5.0}, {"size": (321, 240)}, {"size": (64, 64)}]
)
def test_what_makes_no_video_is_refused_by_name(tmp_path, wrong):
    with pytest.raises(InputError, match=r"a\.mp4"):
        render_video(tmp_path / "a.mp4", progress=False, **wrong)
    assert list(tmp_path.iterdir()) == []
