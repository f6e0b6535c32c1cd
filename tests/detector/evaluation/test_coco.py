"""COCO AP: that boxes, scores and ignored regions reach pycocotools as they are."""

import numpy as np
import pytest

from upright.datasets.sample import Annotations
from upright.detector.evaluation import Detections
from upright.detector.evaluation.coco import coco_ap

PEOPLE = np.array([(10.0, 10.0, 40.0, 100.0), (200.0, 10.0, 40.0, 100.0)])


def annotations(boxes=PEOPLE, ignore=(False, False), category=(1, 1)):
    count = len(boxes)
    return Annotations(
        image_ids=["a", "b"],
        file_names=["a.png", "b.png"],
        sizes=np.zeros((2, 2), np.int64),
        image_index=np.arange(count) % 2,
        boxes=np.asarray(boxes).reshape(-1, 4),
        visible=np.zeros((count, 4)),
        ignore=np.array(ignore[:count], bool),
        height=np.zeros(count),
        visible_ratio=np.ones(count),
        category=np.array(category[:count], np.int64),
    )


def found(boxes, rows, scores):
    return Detections(np.array(rows, np.int64), np.array(boxes, np.float64).reshape(-1, 4), np.array(scores, float))


def test_perfect_detections(capsys):
    figures = coco_ap(annotations(), found(PEOPLE, [0, 1], [0.9, 0.8]))
    assert figures["AP"] == figures["AP50"] == figures["AR1"] == pytest.approx(1)
    assert figures["AP_small"] is None  # nobody is as small as that
    assert capsys.readouterr().out == ""


def test_a_box_of_low_overlap_counts_at_the_low_thresholds_alone():
    shifted = PEOPLE + np.array([0, 0, 0, 40])  # intersection over union 100 / 140 = 0.714
    figures = coco_ap(annotations(), found(shifted, [0, 1], [0.9, 0.8]))
    assert (figures["AP50"], figures["AP75"]) == (pytest.approx(1), 0)
    assert figures["AP"] == pytest.approx(0.5)  # .50 .55 .60 .65 .70 of ten thresholds


def test_a_surer_false_positive_halves_the_precision():
    boxes = [(400, 10, 40, 100), *PEOPLE]
    figures = coco_ap(annotations(), found(boxes, [0, 0, 1], [0.95, 0.9, 0.8]))
    assert figures["AP50"] == pytest.approx(2 / 3)


def test_detections_in_an_ignored_region_count_neither_way():
    figures = coco_ap(annotations(ignore=(False, True)), found([*PEOPLE, PEOPLE[1]], [0, 1, 1], [0.5, 0.9, 0.8]))
    assert figures["AP50"] == pytest.approx(1)


def test_other_categories_are_left_out():
    figures = coco_ap(annotations(category=(1, 2)), found(PEOPLE, [0, 1], [0.9, 0.8]))
    assert (figures["AP50"], figures["AR100"]) == (pytest.approx(1), pytest.approx(1))


def test_nothing_found_and_nobody_there():
    nothing = found([], [], [])
    assert coco_ap(annotations(), nothing)["AP"] == 0
    empty = coco_ap(annotations(boxes=np.zeros((0, 4))), nothing)
    assert set(empty.values()) == {None}
