"""Figures at one threshold: by hand, and against figures read one by one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from upright.datasets.sample import Annotations
from upright.detector.evaluation import Detections
from upright.detector.evaluation.at_threshold import HEIGHTS, figures_at_threshold, quiet_above
from upright.detector.evaluation.calibration import judge

HEIGHTS_OF_PEOPLE = [8, 16, 31.9, 32, 64, 128, 256, 400]
# Four pictures: people side by side, a crowd alone, and two without anybody.
BOXES = np.array([(1000.0 * n, 0, 0.41 * h, h) for n, h in enumerate(HEIGHTS_OF_PEOPLE)] + [(0.0, 0, 500, 500)])
STREET = Annotations(
    image_ids=[1, 2, 3, 4],
    file_names=["a.png", "b.png", "c.png", "d.png"],
    sizes=np.zeros((4, 2), np.int64),
    image_index=np.array([0] * 8 + [1]),
    boxes=BOXES,
    visible=BOXES,
    ignore=np.array([False] * 8 + [True]),
    height=BOXES[:, 3],
    visible_ratio=np.ones(9),
    category=np.ones(9, np.int64),
)
ELSEWHERE = (0.0, 5000.0, 41.0, 100.0)
# By score: the people of 8, 32, 64 and 400 px; one of them again; one in the crowd; false ones in the first picture,
# twice in the third; and what the threshold of 0.5 leaves out.
FOUND = Detections(
    np.array([0, 0, 0, 0, 0, 1, 0, 2, 2, 0, 3]),
    np.array([*BOXES[[0, 3, 4, 7, 7]], (9, 9, 41, 100), ELSEWHERE, ELSEWHERE, (300, 0, 9, 9), BOXES[6], ELSEWHERE]),
    np.array([0.9, 0.5, 0.8, 0.7, 0.6, 0.95, 0.55, 0.9, 0.5, 0.49, 0.4]),
)


def test_every_figure_by_hand() -> None:
    assert figures_at_threshold(STREET, FOUND, 0.5) == {
        "threshold": 0.5,
        "precision": pytest.approx(4 / 8),
        "recall": pytest.approx(4 / 8),
        "people": 8,
        "by_height": {
            "16-32": {"recall": 0.0, "people": 2},
            "32-64": {"recall": 1.0, "people": 1},
            "64-128": {"recall": 1.0, "people": 1},
            "128-256": {"recall": 0.0, "people": 1},
            "over 256": {"recall": 0.5, "people": 2},
            "over 32": {"recall": pytest.approx(3 / 5), "people": 5},
        },
        "false_people": 4 / 4,
        "empty": {"pictures": 2, "false_people": 1.0, "alarmed": 1, "alarmed_share": 0.5},
    }


@pytest.mark.parametrize(("most", "above"), [(0, 0.9), (0.49, 0.9), (0.5, 0.5), (1, 0.4), (1.5, -np.inf)])
def test_above_it_no_more_are_shown_on_pictures_without_people(most: float, above: float) -> None:
    assert quiet_above(STREET, FOUND, most) == above
    if above > 0:
        assert figures_at_threshold(STREET, FOUND, np.nextafter(above, 1))["empty"]["false_people"] <= most
        assert figures_at_threshold(STREET, FOUND, above)["empty"]["false_people"] > most


def test_without_detections_nobody_is_found_and_nothing_is_false() -> None:
    nothing = Detections(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))
    figures = figures_at_threshold(STREET, nothing, 0.5)
    assert (figures["precision"], figures["recall"], figures["false_people"]) == (None, 0.0, 0.0)
    assert figures == figures_at_threshold(STREET, FOUND, 1.1) | {"threshold": 0.5}


def test_without_people_or_pictures_there_is_no_figure() -> None:
    nobody = np.zeros((0, 4))
    columns = {"boxes": nobody, "visible": nobody, "height": np.zeros(0), "visible_ratio": np.zeros(0)}
    empty = Annotations(
        image_ids=[],
        file_names=[],
        sizes=np.zeros((0, 2), np.int64),
        image_index=np.zeros(0, np.int64),
        ignore=np.zeros(0, bool),
        category=np.zeros(0, np.int64),
        **columns,
    )
    nothing = Detections(np.zeros(0, np.int64), nobody, np.zeros(0))
    figures = figures_at_threshold(empty, nothing, 0.5)
    assert figures["recall"] is None
    assert figures["by_height"] == {name: {"recall": None, "people": 0} for name in HEIGHTS}
    assert figures["false_people"] is None
    assert figures["empty"] == {"pictures": 0, "false_people": None, "alarmed": 0, "alarmed_share": None}
    json.dumps(figures, allow_nan=False)


@pytest.mark.parametrize("threshold", [0.0, 0.45, 0.5, 0.56, 0.9, 0.95])
def test_precision_and_recall_agree_with_what_is_judged_right(threshold: float) -> None:
    scores, right = judge(STREET, FOUND)
    shown = right[scores >= threshold]
    figures = figures_at_threshold(STREET, FOUND, threshold)
    assert figures["precision"] == (shown.mean() if len(shown) else None)
    assert figures["recall"] == shown.sum() / 8
    assert figures["false_people"] == (~shown).sum() / 4
