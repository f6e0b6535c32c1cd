"""Writes rendered pictures to disk with one CityPersons-style JSON, readable as COCO too."""

from __future__ import annotations

import json
from pathlib import Path

import cv2

from upright.datasets.coco_json import coco_json
from upright.datasets.synthetic.splits import SyntheticPedestrians
from upright.output import whole_file


def write_citypersons_json(dataset: SyntheticPedestrians, folder: str | Path, name: str = "annotations.json") -> Path:
    """Write all pictures (JPEG, quality 95) and then their annotations into `folder`; returns the JSON's path."""
    folder = Path(folder)
    for i in range(len(dataset)):
        _, packed = cv2.imencode(".jpg", dataset[i].image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        with whole_file(folder / dataset.file_name(i)) as temporary:
            temporary.write_bytes(packed.tobytes())
    path = folder / name
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(coco_json(dataset.annotations)))
    return path
