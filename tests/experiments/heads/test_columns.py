"""The same people count at every angle, and leans are told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from upright.detector.evaluation import Detections
from upright.experiments.heads.columns import Column, figures, lean_groups, miss_rates


def all_found(annotations) -> Detections:
    scores = np.linspace(0.9, 0.5, len(annotations.boxes))
    return Detections(annotations.image_index, annotations.boxes, scores)


def test_who_lies_counts_as_who_stands(boards) -> None:
    upright = boards.annotations
    boxes = upright.boxes.copy()
    boxes[:, 2:] = boxes[:, [3, 2]]  # on their sides: under 50 pixels high, all of them
    lying = replace(upright, boxes=boxes, visible=boxes, height=boxes[:, 3].copy())
    everybody = {"all": np.ones(len(boxes), bool)}
    for posture in (upright, lying):
        [(rate, count)] = miss_rates(posture, all_found(posture), everybody).values()
        assert (rate, count) == (pytest.approx(0, abs=1e-6), len(boxes))
    nothing = Detections(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))
    assert miss_rates(lying, nothing, everybody)["all"][0] == 1


def test_leans_to_both_sides_share_a_step_and_the_last_holds_180(boards) -> None:
    leans = np.array([0.0, -14.9, 15.0, 179.0, 180.0, -180.0])
    annotations = replace(boards.annotations, attributes={"lean": leans})
    groups = {name: rows.nonzero()[0].tolist() for name, rows in lean_groups(annotations).items()}
    assert {name: rows for name, rows in groups.items() if rows} == {
        "0 to 15": [0, 1],
        "15 to 30": [2],
        "165 to 180": [3, 4, 5],
    }
    assert not lean_groups(boards.annotations)


def test_figures_of_a_column(boards) -> None:
    found = figures(Column(boards), all_found(boards.annotations))
    assert found["AP50"] == 1
    assert found["Reasonable"] == found["same people"] == pytest.approx(0, abs=1e-6)
    assert found["Heavy"] is found["posed"] is None  # of nobody are joints known
    assert found["people"]["Reasonable"] == len(boards)
    assert found["leans"] == {}
