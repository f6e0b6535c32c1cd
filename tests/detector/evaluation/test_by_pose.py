"""Miss rate by pose and lean."""

from dataclasses import replace

import numpy as np
import pytest

from upright.datasets.sample import Annotations
from upright.detector.evaluation import Detections
from upright.detector.evaluation.by_pose import miss_rate_by_lean, miss_rate_by_pose

PERSON = (100.0, 100.0, 41.0, 100.0)
OTHER = (300.0, 100.0, 41.0, 100.0)
ELSEWHERE = (500.0, 100.0, 41.0, 100.0)


def street(poses, boxes, ignore=None, lean=None):
    boxes = np.array(boxes)
    attributes = {"pose": np.array(poses)} | ({} if lean is None else {"lean": np.array(lean, np.float64)})
    return Annotations(
        image_ids=[1],
        file_names=["a.png"],
        sizes=np.zeros((1, 2), np.int64),
        image_index=np.zeros(len(boxes), np.int64),
        boxes=boxes,
        visible=boxes,
        ignore=np.zeros(len(boxes), bool) if ignore is None else np.array(ignore),
        height=boxes[:, 3],
        visible_ratio=np.ones(len(boxes)),
        category=np.ones(len(boxes), np.int64),
        attributes=attributes,
    )


def found(*boxes):
    return Detections(np.zeros(len(boxes), np.int64), np.array(boxes), np.linspace(0.9, 0.5, len(boxes)))


def test_a_pose_that_is_found_and_one_that_is_missed():
    result = miss_rate_by_pose(street(["sitting", "walking"], [PERSON, OTHER]), found(PERSON))
    assert result == {
        "sitting": {"lamr": 0.0, "ground_truths": 1},
        "walking": {"lamr": 1.0, "ground_truths": 1},
    }


def test_whoever_finds_people_of_another_pose_is_not_punished():
    # The walker is found with the higher score: to the sitting that detection is none at all.
    result = miss_rate_by_pose(street(["sitting", "walking"], [PERSON, OTHER]), found(OTHER, PERSON))
    assert result["sitting"]["lamr"] == 0.0


def test_a_false_positive_before_all_counts_against_every_pose_without_flattery():
    result = miss_rate_by_pose(street(["sitting"], [PERSON]), found(ELSEWHERE, PERSON))
    # One false positive in one picture: only the last of nine points lies behind it.
    assert result["sitting"]["lamr"] == pytest.approx(0.0)
    two = replace(street(["sitting", "sitting"], [PERSON, OTHER]), image_ids=[1, 2], file_names=["a.png", "b.png"])
    half = miss_rate_by_pose(two, found(ELSEWHERE, PERSON))["sitting"]
    # 0.5 false positives per image: two points, .5623 and 1, read a recall of 0.5.
    assert half["lamr"] == pytest.approx(0.5 ** (2 / 9))


def test_ignored_regions_make_no_pose_and_unnamed_ones_neither():
    annotations = street(["sitting", "dummy", ""], [PERSON, OTHER, ELSEWHERE], ignore=[False, True, False])
    assert list(miss_rate_by_pose(annotations, found(PERSON))) == ["sitting"]


def test_a_pose_of_small_people_alone_has_no_figure():
    result = miss_rate_by_pose(street(["sitting"], [(0.0, 0.0, 10.0, 20.0)]), found(PERSON))
    assert result == {"sitting": {"lamr": None, "ground_truths": 0}}


def test_data_without_poses_or_leans_give_nothing():
    annotations = replace(street(["sitting"], [PERSON]), attributes={})
    assert miss_rate_by_pose(annotations, found(PERSON)) == {}
    assert miss_rate_by_lean(annotations, found(PERSON)) == {}


def test_leans_to_either_side_are_one_group():
    boxes = [PERSON, OTHER, ELSEWHERE]
    annotations = street(["leaning"] * 3, boxes, lean=[-30, 25, 9.9])
    result = miss_rate_by_lean(annotations, found(PERSON))
    assert [group["ground_truths"] for group in result.values()] == [1, 0, 2]
    assert result["under 10 degrees"]["lamr"] == 1.0
    assert result["over 25 degrees"]["lamr"] == pytest.approx(0.5)
    assert result["10 to 25 degrees"]["lamr"] is None
