"""Figures of detections that are known to be right or wrong, and how they are shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from upright.detector.evaluation import Detections
from upright.experiments.detector.measure import COLUMNS, cells, measure


def test_perfect_detections_have_perfect_figures(boards) -> None:
    truths = boards.annotations
    scores = np.linspace(0.9, 0.5, len(truths.boxes))
    figures = measure(truths, Detections(truths.image_index, truths.boxes, scores))
    assert figures["AP"] == figures["AP50"] == figures["recall"] == 1
    assert figures["miss_rate"] == pytest.approx(0, abs=1e-6)
    assert figures["threshold"] == pytest.approx(0.5)
    assert figures["false_people"] is None  # no picture is without people
    assert {*COLUMNS, "threshold"} == figures.keys()


def test_false_people_are_those_above_the_best_threshold(boards) -> None:
    truths = replace(boards.annotations, image_ids=[*range(1, 8)], file_names=["x"] * 7, sizes=np.full((7, 2), 200))
    boxes = np.concatenate([truths.boxes, [[0, 0, 20, 60], [90, 0, 20, 60]]])
    rows = np.append(truths.image_index, [6, 6])
    scores = np.append(np.full(len(truths.boxes), 0.5), [0.8, 0.2])
    assert measure(truths, Detections(rows, boxes, scores))["false_people"] == 1


def test_nothing_found_is_a_row_too(boards) -> None:
    nothing = Detections(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))
    figures = measure(boards.annotations, nothing)
    assert (figures["AP"], figures["recall"], figures["threshold"]) == (0, 0, None)


def test_differences_are_between_means_and_miss_rates_in_points() -> None:
    one = dict.fromkeys(COLUMNS, 0.25) | {"AP_small": None}
    other = dict.fromkeys(COLUMNS, 0.75)
    shown = dict(zip(COLUMNS, cells([one, other], [one, one]), strict=True))
    assert shown["AP"] == "0.500 (+0.250)"
    assert shown["miss_rate"] == "50.0 (+25.0)"
    assert shown["AP_small"] == "n/a"
    assert cells([one])[0] == "0.250"
