"""The picture of people at all angles: each range of leans has its surest, and the command writes the bands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from upright.detector.detected import Detected
from upright.detector.model import build_detector
from upright.detector.settings import Settings
from upright.detector.weights import save_weights
from upright.experiments.heads import pictures


def told(lean: list[float], scores: list[float], sides: list[float]) -> Detected:
    n = len(lean)
    boxes = np.array([[0.0, 0, 10, side] for side in sides])
    whole = np.tile(np.array(((0.0, 0), (10, 0), (10, 20), (0, 20))), (n, 1, 1))
    return Detected(boxes, np.array(scores), np.array(lean), whole, np.stack([whole] * 3, axis=1), np.ones((n, 3)))


def test_each_range_of_leans_shows_its_surest(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter(
        [
            told([-180.0, 5.0, 20.0, 100.0], [0.9, 0.8, 0.7, 0.99], [64, 80, 80, 63]),
            told([180.0, 25.0], [0.6, 0.95], [80, 80]),
        ]
    )
    monkeypatch.setattr(pictures, "detect", lambda image, model, threshold: next(found))
    best = pictures.surest(iter([np.zeros((90, 90, 3), np.uint8)] * 2), None)  # type: ignore[arg-type]
    shown = {place: (one.lean, one.score) for place, one in enumerate(best) if one is not None}
    assert shown == {0: (-180, 0.9), 6: (25, 0.95), 11: (180, 0.6)}, "the small one at 100 degrees is left out"


@pytest.fixture
def posed(tiny: Settings, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_weights(tmp_path / "w.safetensors", build_detector(replace(tiny, teach=1.0, threshold=0.1)), {})
    return tmp_path / "w.safetensors"


def photographs(folder: Path) -> str:
    images = []
    for number in range(2):
        noise = np.random.default_rng(number).integers(0, 256, (150, 200, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), noise)
        images.append({"id": number, "file_name": f"{number}.png", "width": 200, "height": 150})
    content = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    (folder / "val.json").write_text(json.dumps(content))
    return f"some photographs={folder / 'val.json'}"


def test_the_command_writes_a_band_for_each_kind_of_pictures(
    posed: Path, tmp_path: Path, call_main, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "SMALLEST", 4)  # weights that know nothing find boxes of any size
    name, out = photographs(tmp_path), tmp_path / "out.png"
    flags = ["--weights", posed, "--output", out, "--rendered", 1]
    assert call_main(pictures.main, *flags, "--turned", name, "--pictures", name).status == 0
    written = cv2.imread(str(out))
    height = written.shape[0] // 3
    assert written.shape[0] == 3 * height
    for top in range(0, 3 * height, height):
        assert written[top + pictures.TITLE : top + height].std() > 10, "somebody is shown"


def test_bands_that_cannot_be_are_refused(posed: Path, tiny: Settings, tmp_path: Path, call_main) -> None:
    flags = ["--weights", posed, "--output", tmp_path / "out.png"]
    assert "TITLE=JSON" in call_main(pictures.main, *flags, "--turned", "val.json").fault
    assert "no pictures" in call_main(pictures.main, *flags, "--rendered", 0).fault
    save_weights(tmp_path / "plain.safetensors", build_detector(tiny), {})
    flags[1] = tmp_path / "plain.safetensors"
    assert "do not tell" in call_main(pictures.main, *flags, "--rendered", 1).fault
