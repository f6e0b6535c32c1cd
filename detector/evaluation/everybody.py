"""Matching where every person counts, of whatever height and visibility: what a user of a detector meets.

Overlap, crowds and the order of the detections are those of the CityPersons protocol; no range of heights takes
anybody or any detection out.
"""

from __future__ import annotations

from math import inf

import numpy as np

from upright.datasets.sample import Annotations
from upright.detector.evaluation.detections import Detections
from upright.detector.evaluation.miss_rate import Comparison
from upright.detector.evaluation.protocols import CITYPERSONS, Subset

EVERYBODY = Subset(heights=(0, inf), visibility=(0, inf))  # at an overlap of 0.5


def match_everybody(annotations: Annotations, detections: Detections) -> tuple[Comparison, np.ndarray]:
    """Detections beside all people that are not ignored.

    A detection takes nothing away from a surer one, so what is found above any threshold can be read from this one
    matching.

    Args:
        annotations: of the data set.
        detections: of the same pictures.

    Returns:
        the detections and ground truths by picture; int64 (k,), what each of `comparison.scores` found: the row
        of a ground truth in `comparison.truths`, or `matching.FALSE_POSITIVE` or `matching.DROPPED`.
    """
    comparison = Comparison.of(annotations, detections, CITYPERSONS)
    _, found = comparison.match([(EVERYBODY, comparison.truths.candidate)])
    return comparison, found[0]
