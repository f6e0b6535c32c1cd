"""Figures of tracks and counts, on cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from upright.detector.evaluation.tracks import Crossing, TrackScore, compare_crossings, overlaps

ONE, OTHER, FAR = [0.0, 0, 10, 20], [50.0, 0, 60, 20], [200.0, 0, 210, 20]
NOBODY = np.zeros((0, 4))


def scored(frames: list[tuple[list, list, list, list, list]]) -> dict[str, float]:
    score = TrackScore()
    score.begin()
    for people, names, ignored, boxes, tracks in frames:
        score.add(
            np.array(people).reshape(-1, 4),
            np.array(names, int),
            np.array(ignored).reshape(-1, 4),
            np.array(boxes).reshape(-1, 4),
            np.array(tracks, int),
        )
    return score.figures()


def test_tracks_that_are_right_score_one():
    figures = scored([([ONE, OTHER], [4, 5], [], [OTHER, ONE], [1, 2])] * 5)
    assert (figures["idf1"], figures["mota"], figures["num_unique_objects"]) == (1, 1, 2)


def test_a_number_that_changes_is_a_switch():
    figures = scored([([ONE], [4], [], [ONE], [1])] * 6 + [([ONE], [4], [], [ONE], [2])] * 4)
    assert figures["num_switches"] == 1
    assert figures["mota"] == pytest.approx(1 - 1 / 10)
    assert figures["idf1"] == pytest.approx(0.6), "six of ten frames belong to the one number"


def test_misses_and_false_alarms_and_who_counts_neither_way():
    figures = scored([([ONE, OTHER], [4, 5], [FAR], [ONE, FAR, [100.0, 0, 110, 20]], [1, 2, 3])] * 4)
    assert (figures["num_misses"], figures["num_false_positives"]) == (4, 4)
    assert figures["mota"] == 0


def test_overlaps():
    assert overlaps(np.array([ONE]), np.array([[0.0, 10, 10, 30], FAR])).tolist() == [[pytest.approx(1 / 3), 0]]
    assert overlaps(NOBODY, np.array([ONE])).shape == (0, 1)


def test_crossings_go_with_those_of_their_way_in_time():
    true = [
        Crossing(1.0, "a right"),
        Crossing(5.0, "a left"),
        Crossing(9.0, "a right"),
        Crossing(20.0, "a right", False),
    ]
    seen = [
        *(Crossing(1.5, "a right"), Crossing(1.6, "a right"), Crossing(5.0, "a right")),
        *(Crossing(9.9, "a right"), Crossing(20.0, "a right")),
    ]
    assert compare_crossings(true, seen, within=1.0) == (3, 4, 2)
    assert compare_crossings([], seen[:1], within=1.0) == (0, 1, 0)
    assert compare_crossings(true[:1], [], within=1.0) == (1, 0, 0)


def test_one_who_is_seen_counts_before_one_who_is_hidden():
    true = [Crossing(1.0, "a up", False), Crossing(1.4, "a up")]
    assert compare_crossings(true, [Crossing(1.1, "a up")], within=1.0) == (1, 1, 1)
