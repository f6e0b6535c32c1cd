"""A folder of pictures in COCO's layout, and a light detector for small pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from upright.detector.model import Detector, build_detector
from upright.detector.settings import PRESETS


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures 96 x 64 with a dark board each; one has nobody, and stands in another file too."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    images, annotations = [], []
    for i in range(1, 7):
        image = generator.integers(120, 255, (64, 96, 3)).astype(np.uint8)
        x, y = int(generator.integers(0, 70)), int(generator.integers(0, 20))
        if i != 3:
            image[y : y + 40, x : x + 16] = 20
            annotations.append({"id": i, "image_id": i, "bbox": [x, y, 16, 40], "category_id": 1})
        cv2.imwrite(str(folder / f"{i}.png"), image)
        images.append({"id": i, "file_name": f"{i}.png", "width": 96, "height": 64})
    (folder / "a.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    empty = [{**images[2], "id": 100 + i} for i in range(4)]
    (folder / "neg_train.json").write_text(json.dumps({"images": empty, "annotations": []}))
    return folder


@pytest.fixture
def small() -> Detector:
    """Random weights, pictures of 96 at most, in evaluation mode; its detections differ in score."""
    torch.manual_seed(0)
    settings = replace(
        PRESETS["light"],
        **{"min_size": 64, "max_size": 96, "head_width": 32, "test_proposals": 40, "score_threshold": 1e-6},
    )
    model = build_detector(settings).eval()
    for level in model.rpn.head:
        torch.nn.init.normal_(level.predict.weight, std=0.5)
    torch.nn.init.normal_(model.roi_heads.box_head.score.weight, std=1.0)
    return model
