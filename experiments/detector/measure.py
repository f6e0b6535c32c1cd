"""The figures that every comparison shows of a detector, and the cells of a table that they stand in."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from upright.datasets.sample import Annotations
from upright.detector.evaluation import Detections, evaluate
from upright.detector.evaluation.at_threshold import figures_at_threshold
from upright.detector.evaluation.calibration import best_threshold, judge
from upright.detector.evaluation.coco import coco_ap

Figures = dict[str, float | None]

# By name of a figure: what a table calls it. Miss rates are shown in percent, their differences in points.
COLUMNS = {
    "AP": "AP",
    "AP50": "AP50",
    "AP75": "AP75",
    "AP_small": "small",
    "AP_medium": "medium",
    "AP_large": "large",
    "miss_rate": "MR Reasonable, %",
    "false_people": "false people",
    "recall": "recall",
}
IN_PERCENT = ("miss_rate",)


def measure(annotations: Annotations, detections: Detections) -> Figures:
    """The figures of `COLUMNS` and the "threshold" that the last two hold for.

    Args:
        annotations: of the data set.
        detections: of the same pictures, scores in 0..1.

    Returns:
        average precisions (small, medium and large by the area of a person's box), log-average miss rate; from the
        score of the best F1 on: false people a picture without people, recall of people over 32 pixels. In 0..1 all
        but the false people; None where there is nothing to count.
    """
    ap = coco_ap(annotations, detections)
    scores, right = judge(annotations, detections)
    people = int((~annotations.ignore & (annotations.category == 1)).sum())
    threshold = best_threshold(scores, right, people)
    shown = figures_at_threshold(annotations, detections, 1.0 if threshold is None else threshold)
    return {
        **{name: ap[name] for name in COLUMNS if name in ap},
        "miss_rate": evaluate(annotations, detections, subsets=["Reasonable"]).subsets["Reasonable"].lamr,
        "false_people": shown["empty"]["false_people"],
        "recall": shown["by_height"]["over 32"]["recall"],
        "threshold": threshold,
    }


def cells(figures: Sequence[Figures], base: Sequence[Figures] | None = None) -> list[str]:
    """The cells of one row: the mean, and in brackets the mean difference to the base.

    Args:
        figures: of the row, one for each seed.
        base: of the row to compare with, for the same seeds in the same order; None: no differences.
    """
    row = []
    for name in COLUMNS:
        digits, factor = (1, 100) if name in IN_PERCENT else (3, 1)
        value = _mean([one[name] for one in figures])
        text = "n/a" if value is None else f"{factor * value:.{digits}f}"
        if base is not None and value is not None:
            before = _mean([one[name] for one in base])
            if before is not None:
                text += f" ({factor * (value - before):+.{digits}f})"
        row.append(text)
    return row


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if values and len(known) == len(values) else None
