"""Average precision as COCO counts it, through pycocotools."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from upright.datasets.sample import Annotations
from upright.detector.evaluation.detections import Detections

# The order of COCOeval.stats.
_NAMES = (
    *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
    *("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large"),
)


def coco_ap(annotations: Annotations, detections: Detections) -> dict[str, float | None]:
    """COCO's twelve figures for persons (category 1).

    Ignored ground truths are handed over as `iscrowd`: a detection inside one counts neither way. The 100 best
    detections of a picture are looked at; sizes are areas of boxes: small under 32 x 32, large over 96 x 96.

    Args:
        annotations: of the data set.
        detections: of the same pictures.

    Returns:
        "AP" (over IoU 0.50 to 0.95), "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR1", "AR10", "AR100",
        "AR_small", "AR_medium", "AR_large", all in 0..1, None where there is nobody to be found.
    """
    from pycocotools.cocoeval import COCOeval

    persons = np.flatnonzero(annotations.category == 1)
    images = len(annotations.image_ids)
    with redirect_stdout(io.StringIO()):
        truths = _index(
            images,
            annotations.image_index[persons],
            annotations.boxes[persons],
            iscrowd=annotations.ignore[persons].astype(int),
        )
        found = _index(images, detections.image_index, detections.boxes, score=detections.scores)
        evaluation = COCOeval(truths, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # pycocotools writes -1 where there is no ground truth.
    return {name: float(value) if value >= 0 else None for name, value in zip(_NAMES, evaluation.stats, strict=True)}


def _index(images: int, rows: np.ndarray, boxes: np.ndarray, **columns: np.ndarray) -> Any:
    """A COCO object of one category; pictures and boxes are numbered from 1, since it takes 0 for "none"."""
    from pycocotools.coco import COCO

    fields = {"iscrowd": np.zeros(len(rows), int), **columns}
    annotations = [
        {
            "id": number,
            "image_id": row + 1,
            "category_id": 1,
            "bbox": box,
            "area": box[2] * box[3],
            **dict(zip(fields, values, strict=True)),
        }
        for number, (row, box, *values) in enumerate(
            zip(rows.tolist(), boxes.tolist(), *(column.tolist() for column in fields.values()), strict=True), start=1
        )
    ]
    index = COCO()
    index.dataset = {
        "images": [{"id": number} for number in range(1, images + 1)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }
    index.createIndex()
    return index
