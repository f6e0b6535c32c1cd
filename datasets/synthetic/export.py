"""Writes rendered pictures to disk with one CityPersons-style JSON, readable as COCO too."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from upright.datasets.sample import Annotations
from upright.datasets.synthetic.splits import SyntheticPedestrians
from upright.output import whole_file


def citypersons_dict(annotations: Annotations) -> dict:
    """Annotations in the fields of the official CityPersons evaluation, with `file_name` for COCO readers."""
    sizes = annotations.sizes.tolist()
    images = [
        {"id": image_id, "im_name": name, "file_name": name, "height": size[1], "width": size[0]}
        for image_id, name, size in zip(annotations.image_ids, annotations.file_names, sizes, strict=True)
    ]
    rows = []
    for k in range(len(annotations.boxes)):
        rows.append(
            {
                "id": k + 1,
                "image_id": annotations.image_ids[int(annotations.image_index[k])],
                "category_id": int(annotations.category[k]),
                "iscrowd": int(annotations.ignore[k]),
                "ignore": int(annotations.ignore[k]),
                "bbox": annotations.boxes[k].tolist(),
                "vis_bbox": annotations.visible[k].tolist(),
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


def write_citypersons_json(dataset: SyntheticPedestrians, folder: str | Path, name: str = "annotations.json") -> Path:
    """Write all pictures (JPEG, quality 95) and then their annotations into `folder`; returns the JSON's path."""
    folder = Path(folder)
    for i in range(len(dataset)):
        _, packed = cv2.imencode(".jpg", dataset[i].image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        with whole_file(folder / dataset.file_name(i)) as temporary:
            temporary.write_bytes(packed.tobytes())
    path = folder / name
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(citypersons_dict(dataset.annotations)))
    return path
