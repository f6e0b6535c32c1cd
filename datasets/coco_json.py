"""Annotations as an object for a COCO-style JSON, with the fields of the CityPersons evaluation beside COCO's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from upright.datasets.sample import Annotations


def coco_json(
    annotations: Annotations,
    *,
    file_names: Sequence[str] | None = None,
    sizes: Iterable[Sequence[int]] | None = None,
    first_pixel: int = 0,
) -> dict[str, Any]:
    """Pictures and boxes of a data set; ignore regions have both `ignore` and `iscrowd`.

    Args:
        annotations: of the data set; only its people and ignore regions are taken, no other categories.
        file_names: in place of the annotations' own.
        sizes: (width, height) of each picture, in place of the annotations' own.
        first_pixel: what x and y of the annotations count from; those of the result count from 0.
    """
    names = annotations.file_names if file_names is None else file_names
    sizes = annotations.sizes.tolist() if sizes is None else sizes
    images = [
        {"id": image_id, "im_name": name, "file_name": name, "height": int(size[1]), "width": int(size[0])}
        for image_id, name, size in zip(annotations.image_ids, names, sizes, strict=True)
    ]
    shift = np.array([first_pixel, first_pixel, 0, 0])
    boxes = annotations.boxes - shift
    seen = (annotations.visible[:, 2:] > 0).all(axis=1, keepdims=True)
    visible = np.where(seen, annotations.visible - shift, annotations.visible)
    rows: list[dict[str, Any]] = []
    for k in np.flatnonzero(annotations.category == 1).tolist():
        rows.append(
            {
                "id": len(rows) + 1,
                "image_id": annotations.image_ids[int(annotations.image_index[k])],
                "category_id": 1,
                "iscrowd": int(annotations.ignore[k]),
                "ignore": int(annotations.ignore[k]),
                "bbox": boxes[k].tolist(),
                "area": float(boxes[k, 2] * boxes[k, 3]),
                "vis_bbox": visible[k].tolist(),
                "height": float(annotations.height[k]),
                "vis_ratio": float(annotations.visible_ratio[k]),
                **_keypoints(annotations.joints[k]),
                **{name: _plain(values[k]) for name, values in annotations.attributes.items()},
            }
        )
    return {"categories": [{"id": 1, "name": "pedestrian"}], "images": images, "annotations": rows}


def _keypoints(joints: np.ndarray) -> dict[str, list[float] | int]:
    """The two fields of COCO; none for what has no joints."""
    labelled = int((joints[:, 2] > 0).sum())
    values = [round(float(v), 2) for v in joints.reshape(-1)]
    return {"keypoints": values, "num_keypoints": labelled} if labelled else {}


def _plain(value: np.generic) -> str | float:
    return str(value) if isinstance(value, np.str_) else float(value)
