"""Calibration: against plain loops, a general optimiser and numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from upright.datasets.sample import Annotations
from upright.detector.evaluation import Detections
from upright.detector.evaluation.calibration import (
    SCORE_MARGIN,
    Calibration,
    best_threshold,
    fit_calibration,
    judge,
    logit,
    reliability,
    sigmoid,
)
from upright.errors import InputError

judged = st.lists(st.tuples(st.integers(0, 40).map(lambda n: n / 40), st.booleans()), max_size=40)
NOTHING = Detections(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))


def columns(pairs: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([score for score, _ in pairs], np.float64), np.array([right for _, right in pairs], bool)


def street(boxes: list[tuple[float, ...]], ignore: list[bool], images: list[int], count: int) -> Annotations:
    array = np.array(boxes, np.float64).reshape(-1, 4)
    return Annotations(
        image_ids=list(range(count)),
        file_names=[f"{number}.png" for number in range(count)],
        sizes=np.zeros((count, 2), np.int64),
        image_index=np.array(images, np.int64),
        boxes=array,
        visible=array,
        ignore=np.array(ignore, bool),
        height=array[:, 3],
        visible_ratio=np.ones(len(array)),
        category=np.ones(len(array), np.int64),
    )


def overlap(a: tuple[float, ...], b: tuple[float, ...], *, of_first: bool = False) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / (a[2] * a[3] if of_first else a[2] * a[3] + b[2] * b[3] - common)


def judge_by_loop(annotations: Annotations, detections: Detections) -> list[tuple[float, bool]]:
    results = []
    for picture in range(len(annotations.image_ids)):
        truths = [row for row in range(len(annotations.boxes)) if annotations.image_index[row] == picture]
        found = [row for row in range(len(detections)) if detections.image_index[row] == picture]
        taken: set[int] = set()
        for row in sorted(found, key=lambda row: -detections.scores[row]):
            box, best, choice = detections.boxes[row], 0.5, None
            for truth in truths:
                if not annotations.ignore[truth] and truth not in taken:
                    share = overlap(box, annotations.boxes[truth])
                    if share >= best:
                        best, choice = share, truth
            if choice is not None:
                taken.add(choice)
                results.append((float(detections.scores[row]), True))
            elif not any(
                annotations.ignore[truth] and overlap(box, annotations.boxes[truth], of_first=True) >= 0.5
                for truth in truths
            ):
                results.append((float(detections.scores[row]), False))
    return results


boxes = st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(1, 12), st.integers(1, 40))


@settings(deadline=None)
@given(
    st.lists(st.tuples(boxes, st.booleans(), st.integers(0, 2)), max_size=8),
    st.lists(st.tuples(boxes, st.integers(0, 20), st.integers(0, 2)), max_size=12),
)
def test_right_and_wrong_are_those_of_a_plain_loop(truths, found) -> None:
    annotations = street([t[0] for t in truths], [t[1] for t in truths], [t[2] for t in truths], 3)
    detections = Detections(
        np.array([f[2] for f in found], np.int64),
        np.array([f[0] for f in found], np.float64).reshape(-1, 4),
        np.array([f[1] / 20 for f in found], np.float64),
    )
    scores, right = judge(annotations, detections)
    assert sorted(zip(scores.tolist(), right.tolist(), strict=True)) == sorted(judge_by_loop(annotations, detections))


def test_no_detections_are_judged_as_none() -> None:
    scores, right = judge(street([(0, 0, 4, 9)], [False], [0], 1), NOTHING)
    assert len(scores) == len(right) == 0
    assert len(judge(street([], [], [], 2), NOTHING)[0]) == 0


def platt_loss(parameters, scores: np.ndarray, right: np.ndarray) -> float:
    """From the paper, by a loop."""
    rights = sum(right)
    loss = 0.0
    for score, is_right in zip(scores, right, strict=True):
        p = min(max(score, SCORE_MARGIN), 1 - SCORE_MARGIN)
        value = parameters[0] * math.log(p / (1 - p)) + parameters[1]
        target = (rights + 1) / (rights + 2) if is_right else 1 / (len(right) - rights + 2)
        loss += np.logaddexp(0, value) - target * value
    return loss


@pytest.mark.parametrize("seed", range(4))
def test_the_fit_has_the_least_log_loss_that_a_general_optimiser_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.beta(0.5, 1.5, 300)
    right = rng.random(300) < sigmoid(1.7 * logit(scores) - 0.4)
    fitted = fit_calibration(scores, right)
    reference = minimize(platt_loss, [1.0, 0.0], (scores, right), method="BFGS", options={"gtol": 1e-7})
    assert (fitted.scale, fitted.shift) == pytest.approx(tuple(reference.x), abs=1e-4)
    assert platt_loss((fitted.scale, fitted.shift), scores, right) <= reference.fun + 1e-9


def test_scores_that_were_bent_are_straightened_again() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(60_000)
    right = rng.random(len(truth)) < truth
    bent = sigmoid(2.0 * logit(truth) + 1.0)
    fitted = fit_calibration(bent, right)
    assert (fitted.scale, fitted.shift) == pytest.approx((0.5, -0.5), abs=0.03)
    assert reliability(bent, right).expected_error > 0.1
    assert reliability(fitted(bent), right).expected_error < 0.01


def test_a_fit_by_hand() -> None:
    # Two scores of opposite logits, three detections of four right at one, one of four at the other. The targets are
    # 5/6 and 1/6, their means 2/3 and 1/3: two parameters fit both exactly, scale x logit(score) = logit(2/3) = ln 2.
    score = 0.9
    right = np.array([True, True, True, False, False, False, False, True])
    fitted = fit_calibration(np.array([score] * 4 + [1 - score] * 4), right)
    assert fitted.shift == pytest.approx(0, abs=1e-9)
    assert fitted.scale == pytest.approx(math.log(2) / math.log(9), abs=1e-9)


def test_scores_that_part_right_from_wrong_wholly_have_a_finite_fit() -> None:
    fitted = fit_calibration(np.array([0.0, 0.1, 0.9, 1.0]), np.array([False, False, True, True]))
    assert 0 < fitted.scale < 10
    assert math.isfinite(fitted.shift)


@pytest.mark.parametrize(
    ("scores", "right", "words"),
    [
        ([], [], "of 0 detections 0 are right"),
        ([0.3, 0.8], [True, True], "of 2 detections 2 are right"),
        ([0.3, 0.8], [False, False], "of 2 detections 0 are right"),
        ([0.2, 0.8, 0.3, 0.7], [True, False, True, False], "nothing to calibrate"),
        ([0.5, 0.5], [True, False], "nothing to calibrate"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(scores: list[float], right: list[bool], words: str) -> None:
    with pytest.raises(InputError, match=words):
        fit_calibration(np.array(scores), np.array(right, bool))


def test_scale_one_and_shift_zero_change_not_a_bit() -> None:
    scores = np.random.default_rng(0).random(100)
    assert (Calibration()(scores) == scores).all()


@given(judged, st.floats(0.1, 5), st.floats(-5, 5))
def test_a_calibration_keeps_the_order_and_gives_probabilities(pairs, scale: float, shift: float) -> None:
    scores = np.sort(columns(pairs)[0])
    calibrated = Calibration(scale, shift)(scores)
    assert (np.diff(calibrated) >= 0).all()
    assert ((calibrated >= 0) & (calibrated <= 1)).all()


@given(judged, st.integers(1, 12))
def test_bins_of_equal_width_are_those_of_a_plain_loop(pairs, bins: int) -> None:
    expected = []
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        inside = [pair for pair in pairs if low <= pair[0] < high or (number == bins - 1 and pair[0] == 1)]
        if inside:
            expected.append((low, high, *np.mean(inside, axis=0).tolist(), len(inside)))
    found = reliability(*columns(pairs), bins=bins)
    got = list(zip(found.low, found.high, found.score, found.right, found.count, strict=True))
    np.testing.assert_allclose(np.array(got).reshape(-1, 5), np.array(expected).reshape(-1, 5), atol=1e-12)
    if pairs:
        error = sum(count * abs(score - right) for _, _, score, right, count in expected) / len(pairs)
        assert found.expected_error == pytest.approx(error, abs=1e-12)


@given(judged, st.integers(1, 12))
def test_bins_of_equal_count_share_the_detections_evenly_and_in_order(pairs, bins: int) -> None:
    scores, right = columns(pairs)
    found = reliability(scores, right, bins=bins, equal="count")
    assert found.count.sum() == len(pairs)
    assert (np.sum(found.count * found.right), np.sum(found.count * found.score)) == pytest.approx(
        (right.sum(), scores.sum())
    )
    if pairs:
        assert found.count.max() - found.count.min() <= 1
        assert (found.high[:-1] <= found.low[1:]).all()


def test_reliability_by_hand() -> None:
    found = reliability(np.array([0.1, 0.2, 0.9, 1.0]), np.array([False, True, True, True]), bins=2)
    assert found.to_json() == {
        "low": [0.0, 0.5],
        "high": [0.5, 1.0],
        "score": [pytest.approx(0.15), pytest.approx(0.95)],
        "right": [0.5, 1.0],
        "count": [2, 2],
        "expected_error": pytest.approx((2 * 0.35 + 2 * 0.05) / 4),
    }
    nobody = reliability(np.zeros(0), np.zeros(0, bool))
    assert math.isnan(nobody.expected_error)
    assert nobody.to_json()["expected_error"] is None
    assert reliability(np.array([0.4, 0.8]), np.array([False, False])).expected_error == pytest.approx(0.6)
    assert reliability(np.array([0.4, 0.8]), np.array([True, True])).expected_error == pytest.approx(0.4)


@given(judged, st.integers(0, 10), st.none() | st.floats(0, 1))
def test_the_best_threshold_is_the_one_that_trying_all_of_them_finds(pairs, missed: int, above: float | None) -> None:
    people = sum(right for _, right in pairs) + missed
    best, expected = 0.0, None
    for threshold in sorted({score for score, _ in pairs if above is None or score > above}, reverse=True):
        shown = [right for score, right in pairs if score >= threshold]
        precision, recall = sum(shown) / len(shown), sum(shown) / people if people else 0
        f1 = 2 * precision * recall / (precision + recall) if sum(shown) else 0
        if f1 > best + 1e-12:
            best, expected = f1, threshold
    limit = {} if above is None else {"above": above}
    assert best_threshold(*columns(pairs), people, **limit) == expected
