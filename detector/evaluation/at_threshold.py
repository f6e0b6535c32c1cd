"""What a user meets who shows people from one score on: whom a detector finds, and how often it cries wolf.

A measure of this project, of no benchmark. A person is found by a detection of an overlap of 0.5 (intersection over
union); detections on ignore regions count neither way; whoever is not ignored is to be found, however small or hidden.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from upright.datasets.sample import Annotations
from upright.detector.evaluation.detections import Detections
from upright.detector.evaluation.everybody import match_everybody
from upright.detector.evaluation.matching import DROPPED, FALSE_POSITIVE

# By name, pixels; the lower end belongs. The last one takes several together.
HEIGHTS = {
    "16-32": (16, 32),
    "32-64": (32, 64),
    "64-128": (64, 128),
    "128-256": (128, 256),
    "over 256": (256, np.inf),
    "over 32": (32, np.inf),
}


def figures_at_threshold(annotations: Annotations, detections: Detections, threshold: float) -> dict[str, Any]:
    """Recall, precision and false people of the detections with at least that score.

    Args:
        annotations: of the data set.
        detections: of the same pictures.
        threshold: lowest score that is shown.

    Returns:
        "threshold"; "precision" in 0..1, None where nothing is shown that counts; "recall" in 0..1 and "people" of
        everybody; "by_height", for each range of `HEIGHTS` its "recall", None where there is nobody, and "people";
        "false_people", how many a picture; "empty", of the pictures without any person or ignored group of them:
        "pictures", "false_people" a picture, "alarmed", how many pictures get at least one, and "alarmed_share",
        None where there is no such picture.
    """
    comparison, found = match_everybody(annotations, detections)
    truths = comparison.truths
    shown = (comparison.scores >= threshold) & (found != DROPPED)
    false = shown & (found == FALSE_POSITIVE)
    hit = np.zeros(len(truths.row), bool)
    hit[found[shown & ~false]] = True

    def recall(wanted: np.ndarray) -> dict[str, Any]:
        wanted = wanted & truths.candidate
        return {"recall": _share(int((hit & wanted).sum()), int(wanted.sum())), "people": int(wanted.sum())}

    empty = np.bincount(truths.image, minlength=comparison.images) == 0
    alarms = np.bincount(comparison.image[false], minlength=comparison.images)
    return {
        "threshold": float(threshold),
        "precision": _share(int(hit.sum()), int(shown.sum())),
        **recall(np.ones(len(hit), bool)),
        "by_height": {
            name: recall((truths.height >= low) & (truths.height < high)) for name, (low, high) in HEIGHTS.items()
        },
        "false_people": _share(int(alarms.sum()), comparison.images),
        "empty": {
            "pictures": int(empty.sum()),
            "false_people": _share(int(alarms[empty].sum()), int(empty.sum())),
            "alarmed": int((alarms[empty] > 0).sum()),
            "alarmed_share": _share(int((alarms[empty] > 0).sum()), int(empty.sum())),
        },
    }


def quiet_above(annotations: Annotations, detections: Detections, most: float) -> float:
    """The score above which a detector cries wolf at most so often on pictures without people.

    Args:
        annotations: of the data set.
        detections: of the same pictures.
        most: false people a picture without any person or ignored group of them.

    Returns:
        the highest score of those that are too many; -inf where none is.
    """
    empty = np.bincount(annotations.image_index, minlength=len(annotations.image_ids)) == 0
    scores = np.sort(detections.scores[empty[detections.image_index]])[::-1]
    allowed = math.floor(most * empty.sum())
    return float(scores[allowed]) if len(scores) > allowed else -math.inf


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
