"""Scores that are probabilities: how far they are from it, and the scale and shift that bring them there.

The calibration is Platt's (J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999), on the logit of
the score: p = sigmoid(scale logit(score) + shift). It keeps the order of the detections, so no miss rate changes
but by those that fall below the lowest score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from upright.datasets.sample import Annotations
from upright.detector.evaluation.detections import Detections
from upright.detector.evaluation.everybody import match_everybody
from upright.detector.evaluation.matching import DROPPED, FALSE_POSITIVE
from upright.errors import InputError

# Half the step of float32 below 1: the surest score under 1 that a model can give is 1 - SCORE_MARGIN. Scores are
# moved this far from 0 and 1, so that their logits are finite.
SCORE_MARGIN = 2.0**-24


def judge(annotations: Annotations, detections: Detections) -> tuple[np.ndarray, np.ndarray]:
    """Which detections are right: matched to an evaluated person at an overlap of 0.5.

    Args:
        annotations: of the data set.
        detections: of the same pictures, scores in 0..1.

    Returns:
        scores float64 (j,) and right bool (j,) of all detections but those on ignore regions, which leave.
    """
    comparison, found = match_everybody(annotations, detections)
    counted = found != DROPPED
    return comparison.scores[counted], found[counted] != FALSE_POSITIVE


def logit(scores: np.ndarray) -> np.ndarray:
    """ln(p / (1 - p)) of scores in 0..1, finite at the ends too (`SCORE_MARGIN`)."""
    p = np.clip(np.asarray(scores, np.float64), SCORE_MARGIN, 1 - SCORE_MARGIN)
    return np.log(p) - np.log1p(-p)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1 / (1 + small), small / (1 + small))


@dataclass(frozen=True)
class Calibration:
    """p = sigmoid(scale logit(score) + shift); the one of scale 1 and shift 0 changes nothing."""

    scale: float = 1.0
    shift: float = 0.0

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Calibrated scores float64 (j,) of scores (j,) in 0..1."""
        if (self.scale, self.shift) == (1.0, 0.0):
            return np.asarray(scores, np.float64)
        return sigmoid(self.scale * logit(scores) + self.shift)


def fit_calibration(scores: np.ndarray, right: np.ndarray) -> Calibration:
    """The scale and shift of the least log loss, with the targets that Platt derives from a uniform prior.

    Right detections aim at (r + 1) / (r + 2) and wrong ones at 1 / (w + 2), where r and w are how many there are of
    each. The loss is convex with one minimum; Newton's steps (iteratively reweighted least squares) lead there,
    halved where one goes too far (Lin, Lin and Weng, "A Note on Platt's Probabilistic Outputs", 2007).

    Args:
        scores: float (j,) in 0..1.
        right: bool (j,).

    Raises:
        InputError: without both right and wrong detections, or where surer ones are not more often right.
    """
    right = np.asarray(right, bool)
    rights, wrongs = int(right.sum()), int((~right).sum())
    if not rights or not wrongs:
        raise InputError(
            f"of {rights + wrongs} detections {rights} are right, and calibration needs right and wrong ones: "
            "use more pictures, some of them without people"
        )
    x = logit(scores)
    target = np.where(right, (rights + 1) / (rights + 2), 1 / (wrongs + 2))
    design = np.stack([x, np.ones_like(x)], axis=1)  # (j, 2)
    parameters = np.array([0.0, np.log((rights + 1) / (wrongs + 1))])
    loss = _log_loss(design @ parameters, target)
    for _ in range(100):
        p = sigmoid(design @ parameters)
        gradient = design.T @ (p - target)
        # The ridge keeps the step finite where all scores are equal.
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-10 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-10 and _log_loss(design @ (parameters - size * step), target) > loss:
            size /= 2
        before, loss = loss, _log_loss(design @ (parameters - size * step), target)
        if not loss <= before:
            break
        parameters = parameters - size * step
        if np.abs(size * step).max() < 1e-12 * (1 + np.abs(parameters).max()):
            break
    scale, shift = parameters.tolist()
    if not scale > 1e-6:
        raise InputError(
            "detections of higher score are not more often right, so there is nothing to calibrate: "
            "check that pictures and annotations belong together, or train longer"
        )
    return Calibration(scale, shift)


def _log_loss(values: np.ndarray, target: np.ndarray) -> float:
    """Summed log loss of logits; ln(1 + exp(x)) written so that it cannot overflow."""
    return float(np.sum(np.logaddexp(0, values) - target * values))


@dataclass(frozen=True)
class Reliability:
    """Detections in bins of their score; bins without any are left out.

    Attributes:
        low, high: float64 (b,), the least and greatest score that a bin is for (bins of equal count: that it holds).
        score: float64 (b,), mean score.
        right: float64 (b,), share that is right.
        count: int64 (b,).
    """

    low: np.ndarray
    high: np.ndarray
    score: np.ndarray
    right: np.ndarray
    count: np.ndarray

    @property
    def expected_error(self) -> float:
        """Mean distance of score and share right over the detections (expected calibration error); NaN of none."""
        if not len(self.count):
            return float("nan")
        return float(np.average(np.abs(self.score - self.right), weights=self.count))

    def to_json(self) -> dict[str, Any]:
        """The bins as lists, and "expected_error", null without detections."""
        columns = {name: getattr(self, name).tolist() for name in ("low", "high", "score", "right", "count")}
        return columns | {"expected_error": self.expected_error if len(self.count) else None}


def reliability(
    scores: np.ndarray, right: np.ndarray, bins: int = 10, equal: Literal["width", "count"] = "width"
) -> Reliability:
    """How often detections of about the same score are right.

    Args:
        scores: float (j,) in 0..1.
        right: bool (j,).
        bins: how many.
        equal: bins of equal width, of which the last one holds its upper end too, or of equal count as near as
            whole numbers allow.
    """
    scores, right = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    order = np.argsort(scores, kind="stable")
    scores, right = scores[order], right[order]
    edges = np.arange(bins + 1) / bins
    if equal == "width":
        ends = np.searchsorted(scores, edges[1:-1], side="left")
    else:
        ends = np.arange(1, bins) * len(scores) // bins
    starts, stops = np.append(0, ends), np.append(ends, len(scores))
    filled = stops > starts
    starts, stops = starts[filled], stops[filled]
    count = stops - starts
    low, high = (edges[:-1][filled], edges[1:][filled]) if equal == "width" else (scores[starts], scores[stops - 1])
    sums = (np.append(0.0, np.cumsum(values)) for values in (scores, right))
    mean_score, share = ((total[stops] - total[starts]) / count for total in sums)
    return Reliability(low, high, mean_score, share, count)


def best_threshold(scores: np.ndarray, right: np.ndarray, people: int, above: float = -np.inf) -> float | None:
    """The score from which on detections have the best F1, the harmonic mean of precision and recall.

    Args:
        scores: float (j,), of `judge`.
        right: bool (j,), of `judge`; each right one found a person of its own.
        people: how many there were to be found.
        above: lower scores and this one are out of the question.

    Returns:
        the lowest score that still counts, the highest of equally good ones; None where nobody was found above.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    falling, hits = np.asarray(scores, np.float64)[order], np.cumsum(np.asarray(right, bool)[order])
    if not (hits[falling > above] > 0).any():
        return None
    whole = np.append(falling[1:] < falling[:-1], True)  # equal scores come or go together
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + people)
    return float(falling[np.argmax(np.where(whole & (falling > above), f1, -1))])
