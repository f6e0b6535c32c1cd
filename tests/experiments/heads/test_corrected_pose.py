"""The same weights with and without the correction: the table, and weights that correct nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from upright.datasets.synthetic import SyntheticPedestrians
from upright.detector.model import Detector, build_detector
from upright.detector.settings import Settings
from upright.detector.weights import save_weights
from upright.experiments.heads import corrected_pose


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder with one picture of somebody with an outline and joints, and one of nobody."""
    drawn = SyntheticPedestrians("val", poses="all")[0]
    cv2.imwrite(str(tmp_path / "1.png"), drawn.image)
    height, width = drawn.image.shape[:2]
    people = []
    for row, (x1, y1, x2, y2) in enumerate(drawn.boxes.tolist()):
        outline = [x1, y1, x2, y1, x2, y2, x1, y2]
        joints = drawn.joints[row].flatten().tolist()
        people.append(
            {"id": row, "image_id": 1, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0}
            | {"segmentation": [outline], "keypoints": joints}
        )
    images = [{"id": number, "file_name": "1.png", "width": width, "height": height} for number in (1, 2)]
    content = {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "val.json").write_text(json.dumps(content))
    return tmp_path


def detector(base: Settings, start: Detector, pose_from: str) -> Detector:
    torch.manual_seed(0)
    model = build_detector(replace(base, teach=1.0, second_look="canonical", pose_from=pose_from))
    model.backbone.load_state_dict(start.backbone.state_dict())
    model.rpn.load_state_dict(start.rpn.state_dict())
    return model


def test_both_are_measured_at_every_angle(
    base: Settings, start: Detector, photographs: Path, tmp_path: Path, call_main, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrected_pose, "TURNS", (90.0, 180.0))
    monkeypatch.setattr(corrected_pose, "pose_figures", lambda annotations, found: {"large": told(found.pose.lean)})
    model = detector(base, start, "second_look")
    with torch.no_grad():  # upside down: so that the correction shows
        model.roi_heads.second_look.localisation.regression.linear.bias[0] = -2
    save_weights(tmp_path / "w.safetensors", model, {})
    document = tmp_path / "a.md"
    document.write_text("<!-- corrected -->\n<!-- /corrected -->\n")
    flags = ("--root", photographs, "--annotations", "val.json", "--document", document)
    ended = call_main(corrected_pose.main, tmp_path / "w.safetensors", *flags, "--figures", tmp_path / "a.json")
    assert ended.status == 0, ended.err
    kept = json.loads((tmp_path / "a.json").read_text())["corrected"]
    assert list(kept) == ["90", "180"]
    for both in kept.values():
        assert both["transformers"]["lean_error"] == pytest.approx(0, abs=1)
        assert both["second look"]["lean_error"] > 90, "that of the best regions is turned over"
    assert "| 180 | second look | " in document.read_text()


def told(lean: np.ndarray) -> dict:
    """Figures of which the error is the largest lean."""
    return {
        "found": len(lean),
        "lean_error": float(np.abs(lean).max()),
        "upside_down": None,
        "slope": None,
        "head_inside": None,
        "overlap": dict.fromkeys(("head", "torso", "legs")),
    }


def test_weights_that_correct_nothing_are_refused(
    base: Settings, start: Detector, photographs: Path, tmp_path: Path, call_main
) -> None:
    save_weights(tmp_path / "w.safetensors", detector(base, start, "transformers"), {})
    ended = call_main(corrected_pose.main, tmp_path / "w.safetensors", "--root", photographs)
    assert "does not correct the pose" in ended.fault
