"""Miss rates worked out by hand, and the counts of boxes that the benchmarks publish."""

import math

import numpy as np
import pytest

from upright.datasets.coco import read_annotations
from upright.datasets.sample import Annotations
from upright.detector.evaluation import Detections, evaluate
from upright.detector.evaluation.miss_rate import log_average
from upright.detector.evaluation.protocols import with_aspect
from upright.errors import InputError

PERSON = (100, 100, 41, 100)
ELSEWHERE = (300, 100, 41, 100)


def make_annotations(ids, rows, boxes, ignore=None, visible_ratio=None, **attributes):
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    count = len(boxes)
    return Annotations(
        image_ids=list(ids),
        file_names=[f"{image_id}.png" for image_id in ids],
        sizes=np.zeros((len(ids), 2), np.int64),
        image_index=np.array(rows, np.int64),
        boxes=boxes,
        visible=np.zeros((count, 4)),
        ignore=np.zeros(count, bool) if ignore is None else np.array(ignore, bool),
        height=boxes[:, 3].copy(),
        visible_ratio=np.ones(count) if visible_ratio is None else np.array(visible_ratio, np.float64),
        category=np.ones(count, np.int64),
        attributes={name: np.array(values) for name, values in attributes.items()},
    )


def make_detections(rows, boxes, scores):
    return Detections(
        np.array(rows, np.int64), np.array(boxes, np.float64).reshape(-1, 4), np.array(scores, np.float64)
    )


NOTHING = make_detections([], [], [])


def test_a_perfect_detector_has_a_miss_rate_of_zero():
    truths = make_annotations([1, 2], [0, 1], [PERSON, PERSON])
    result = evaluate(truths, make_detections([0, 1], [PERSON, PERSON], [0.9, 0.8])).subsets["Reasonable"]
    assert (result.lamr, result.lamr_corrected, result.recall) == (0.0, 0.0, (1.0,) * 9)


def test_a_top_scored_false_positive_flatters_the_published_figure_alone():
    truths = make_annotations([1, 2], [0, 1], [PERSON, PERSON])
    found = make_detections([0, 0], [ELSEWHERE, PERSON], [0.9, 0.8])
    citypersons = evaluate(truths, found).subsets["Reasonable"]
    # 0.5 false positives per image from the start: seven points lie before, and read the final recall of 0.5.
    assert citypersons.recall == (0.5,) * 9
    assert citypersons.lamr == pytest.approx(0.5, abs=1e-15)
    assert citypersons.lamr_corrected == pytest.approx(0.5 ** (2 / 9), abs=1e-15)
    caltech = evaluate(truths, found, "caltech").subsets["Reasonable"]
    assert caltech.recall == (0.0,) * 7 + (0.5,) * 2
    assert caltech.lamr == caltech.lamr_corrected == pytest.approx(0.5 ** (2 / 9), abs=1e-15)


def test_no_evaluated_box_gives_no_figure():
    truths = make_annotations([1], [0], [PERSON], ignore=[True])
    for found in (NOTHING, make_detections([0], [PERSON], [0.5]), make_detections([0], [ELSEWHERE], [0.5])):
        result = evaluate(truths, found)
        subset = result.subsets["Reasonable"]
        assert math.isnan(subset.lamr)
        assert math.isnan(subset.lamr_corrected)
        written = result.to_json()["subsets"]["Reasonable"]
        assert [written[key] for key in ("lamr", "lamr_corrected", "recall", "fppi")] == [None] * 4
        assert (written["ground_truths"], written["detections"]) == (0, len(found))


def test_detections_all_dropped_or_filtered_leave_a_miss_rate_of_one():
    truths = make_annotations([1], [0, 0], [PERSON, (0, 100, 300, 100)], ignore=[False, True])
    for box in [(10, 100, 41, 100), (100, 100, 10, 39)]:
        subset = evaluate(truths, make_detections([0], [box], [0.5])).subsets["Reasonable"]
        assert (subset.lamr, subset.lamr_corrected, subset.recall) == (1.0, 1.0, (0.0,) * 9)


def test_pictures_without_annotations_count():
    truths = make_annotations(list(range(200)), [0], [PERSON])
    found = make_detections([5, 0], [ELSEWHERE, PERSON], [0.9, 0.8])
    # One false positive in 200 pictures: 0.005 an image, before the first point.
    assert evaluate(truths, found).subsets["Reasonable"].recall == (1.0,) * 9


def test_no_pictures_and_no_people_are_no_error():
    for ids in ([], [1]):
        result = evaluate(make_annotations(ids, [], []), NOTHING)
        assert result.images == len(ids)
        assert all(math.isnan(subset.lamr) for subset in result.subsets.values())


def test_boxes_on_a_limit_of_citypersons_belong_to_both_sides():
    heights = [49.99, 50, 75, 75.01]
    truths = make_annotations([1], [0] * 4, [(0, 0, 20, height) for height in heights])
    assert evaluate(truths, NOTHING).subsets["Small"].ground_truths == 2
    ratio = make_annotations([1], [0] * 3, [PERSON] * 3, visible_ratio=[0.65, 0.2, math.nextafter(0.65, 0)])
    subsets = evaluate(ratio, NOTHING).subsets
    assert (subsets["Reasonable"].ground_truths, subsets["Heavy"].ground_truths) == (1, 3)


def test_infinite_visibility_is_a_whole_person_to_citypersons():
    truths = make_annotations([1], [0], [PERSON], visible_ratio=[math.inf])
    assert evaluate(truths, NOTHING).subsets["Reasonable"].ground_truths == 1


def test_a_reshaped_box_keeps_its_centre_and_height():
    reshaped = with_aspect(np.array([(100.0, 10.0, 20.0, 100.0), (0.0, 0.0, 61.0, 100.0)]), 0.41)
    assert reshaped.tolist() == [[89.5, 10, 41, 100], [10, 0, 41, 100]]


def test_log_average_is_the_geometric_mean():
    assert log_average(np.array([0.25, 1.0])) == pytest.approx(0.5)
    assert log_average(np.array([0.0, 1.0])) == 0.0


def test_chosen_subsets_come_alone_and_unknown_names_are_refused():
    truths = make_annotations([1], [0], [PERSON])
    for names in (["Heavy", "All"], iter(["Heavy", "All"])):
        assert list(evaluate(truths, NOTHING, subsets=names).subsets) == ["Heavy", "All"]
    with pytest.raises(InputError, match="no subset 'Tiny'; choose among Reasonable"):
        evaluate(truths, NOTHING, subsets=["Tiny"])
    with pytest.raises(InputError, match="unknown protocol 'kitti'"):
        evaluate(truths, NOTHING, "kitti")


def test_caltechs_new_text_files_get_border_and_shape_from_the_protocol():
    """They say nobody is hidden by a ratio of 1, not by an infinite one, and no rule is in them yet."""
    boxes = [(100, 100, 50, 100), (2, 100, 41, 100)]
    annotations = make_annotations([0], [0, 0], boxes, [False, False], [1.0, 1.0], unhidden=np.array([True, True]))
    shaped = make_detections([0], [(104.5, 100, 41, 100)], [0.9])
    result = evaluate(annotations, shaped, "caltech")
    assert result.subsets["Reasonable"].ground_truths == 1, "the second one crosses the border of 5 pixels"
    assert result.subsets["Occ=none"].ground_truths == 1
    assert result.subsets["Reasonable"].recall[-1] == 1.0


def test_counts_the_evaluated_boxes_of_citypersons_val(citypersons_val):
    subsets = evaluate(citypersons_val, NOTHING).subsets
    counts = [subsets[name].ground_truths for name in ("Reasonable", "Small", "Heavy", "All")]
    assert counts == [1579, 351, 735, 2875]
    assert all(subset.lamr == 1 and subset.recall == (0.0,) * 9 for subset in subsets.values())


@pytest.mark.parametrize(
    ("subset", "count"), [("Reasonable", 847), ("All", 3003), ("Occ_heavy", 231), ("csp_Reasonable", 912)]
)
def test_counts_the_evaluated_boxes_of_the_new_caltech_annotations(shared, subset, count):
    truths = read_annotations(shared / f"data/caltech/gt_new_{subset}.json")
    name = {"csp_Reasonable": "Reasonable", "Occ_heavy": "Occ=heavy"}.get(subset, subset)
    result = evaluate(truths, NOTHING, "caltech").subsets[name]
    assert (result.ground_truths, result.lamr) == (count, 1)


def test_counts_the_evaluated_boxes_of_the_original_caltech_annotations(original_caltech):
    result = evaluate(original_caltech, NOTHING, "caltech")
    counts = [subset.ground_truths for subset in result.subsets.values()]
    assert result.images == 4024
    assert counts == [1014, 3292, 176, 314, 1542, 433, 911, 102, 273] + [1014] * 6
