"""The sequential rule, clause by clause, on cases small enough to work out by hand."""

import numpy as np
import pytest

from upright.detector.evaluation import matching
from upright.detector.evaluation.matching import DROPPED, FALSE_POSITIVE, match, overlapping_pairs

SQUARE = (0, 0, 10, 10)


def outcome(found, truths, evaluated=None, threshold=0.5):
    """Of detections of one picture, by falling score."""
    boxes, truths = np.array(found, np.float64).reshape(-1, 4), np.array(truths, np.float64).reshape(-1, 4)
    evaluated = np.ones(len(truths), bool) if evaluated is None else np.array(evaluated, bool)
    return match(
        boxes,
        np.zeros(len(boxes), np.int64),
        truths,
        np.zeros(len(truths), np.int64),
        kept=np.ones((1, len(boxes)), bool),
        evaluated=evaluated[None],
        thresholds=np.array([threshold]),
    )[0].tolist()


def test_an_overlap_of_exactly_the_threshold_matches():
    half = (0, 0, 10, 5)
    assert outcome([half], [SQUARE]) == [0]
    assert outcome([(0, 0, 10, 4.999999)], [SQUARE]) == [FALSE_POSITIVE]
    # An ignored box of half the detection's area.
    assert outcome([SQUARE], [half], [False]) == [DROPPED]
    assert outcome([SQUARE], [(0, 0, 10, 4.999999)], [False]) == [FALSE_POSITIVE]


def test_of_equal_overlaps_the_later_wins():
    left, right = (0, 0, 10, 10), (2, 0, 10, 10)
    between = (1, 0, 10, 10)
    assert outcome([between], [left, right]) == [1]
    assert outcome([between], [right, left]) == [1]
    assert outcome([between, between], [left, right]) == [1, 0]


def test_a_box_is_taken_once_and_the_next_detection_takes_its_second_choice():
    near = (1, 0, 10, 10)
    assert outcome([SQUARE, SQUARE], [SQUARE]) == [0, FALSE_POSITIVE]
    assert outcome([SQUARE, SQUARE], [SQUARE, near]) == [0, 1]


def test_the_better_score_takes_first_even_where_it_overlaps_less():
    assert outcome([(2, 0, 10, 10), SQUARE], [SQUARE]) == [0, FALSE_POSITIVE]


def test_a_chain_of_displaced_detections_ends_as_the_sequential_rule_does():
    truths = [(4 * i, 0, 10, 10) for i in range(6)]
    # Each but the first fits the ground truth before its own best, where a better-scored one drives it out, and so
    # takes the next one's.
    found = [(0, 0, 10, 10)] + [(4 * i + 0.1, 0, 10, 10) for i in range(5)]
    assert outcome(found, truths, threshold=0.25) == [0, 1, 2, 3, 4, 5]


def test_evaluated_comes_before_ignored_however_well_the_ignored_one_fits():
    assert outcome([SQUARE], [SQUARE, (0, 0, 10, 6)], [False, True]) == [1]


def test_an_ignored_box_is_never_used_up():
    inside = (1, 1, 4, 4)
    assert outcome([inside] * 3, [(0, 0, 50, 50)], [False]) == [DROPPED] * 3


def test_a_detection_whose_evaluated_box_is_taken_is_dropped_by_an_ignored_one():
    assert outcome([SQUARE, SQUARE], [SQUARE, (0, 0, 90, 90)], [True, False]) == [0, DROPPED]


def test_boxes_that_only_touch_do_not_overlap():
    for truth in [(10, 0, 10, 10), (0, 10, 10, 10), (-10, 0, 10, 10), (5, 5, 0, 5)]:
        assert outcome([SQUARE], [truth], threshold=1e-9) == [FALSE_POSITIVE]
        assert outcome([SQUARE], [truth], [False], threshold=1e-9) == [FALSE_POSITIVE]


def test_a_detection_without_area_is_a_false_positive():
    assert outcome([(3, 3, 0, 5), (3, 3, 5, 0)], [SQUARE], [False]) == [FALSE_POSITIVE] * 2


def test_no_detections_or_no_ground_truths():
    assert outcome([], [SQUARE]) == []
    assert outcome([SQUARE], []) == [FALSE_POSITIVE]


def test_pictures_are_kept_apart():
    boxes = np.array([SQUARE, SQUARE], np.float64)
    found = match(
        boxes,
        np.array([0, 2]),
        boxes,
        np.array([1, 2]),
        kept=np.ones((1, 2), bool),
        evaluated=np.ones((1, 2), bool),
        thresholds=np.array([0.5]),
    )
    assert found.tolist() == [[FALSE_POSITIVE, 1]]


@pytest.mark.parametrize("block", [1, 7, 1 << 14])
def test_all_overlapping_pairs_are_found_whatever_the_blocks(block, monkeypatch):
    monkeypatch.setattr(matching, "_PAIRS_A_BLOCK", block)
    rng = np.random.default_rng(0)

    def boxes(count, widest):
        corner = rng.uniform(-100, 700, (count, 2))
        # A few as wide as a street: windows by x must not lose them.
        return np.concatenate([corner, rng.choice([3, 40, widest], (count, 2)) * rng.random((count, 2))], axis=1)

    found, truths = boxes(300, 2000), boxes(80, 900)
    images, truth_images = np.sort(rng.integers(0, 5, 300)), np.sort(rng.integers(0, 5, 80))
    expected = {}
    for d, (xd, yd, wd, hd) in enumerate(found):
        for t, (xt, yt, wt, ht) in enumerate(truths):
            across, down = min(xd + wd, xt + wt) - max(xd, xt), min(yd + hd, yt + ht) - max(yd, yt)
            if images[d] == truth_images[t] and across > 0 and down > 0:
                expected[d, t] = across * down
    rows, columns, areas = overlapping_pairs(found, images, truths, truth_images)
    assert len(rows) == len(expected) > 100
    assert dict(zip(zip(rows.tolist(), columns.tolist(), strict=True), areas.tolist(), strict=True)) == expected
    assert (np.diff(rows) >= 0).all()


def test_far_and_huge_boxes_are_matched_too():
    for box in [(1e9, -1e9, 10, 10), (-1e12, 0, 1e12, 1e12), (0, 0, 1e150, 1e150)]:
        assert outcome([box], [SQUARE, box]) == [1]
