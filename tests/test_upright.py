"""`import upright`: light, and enough to find people."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

import upright
from upright.datasets.synthetic import SyntheticPedestrians


@pytest.fixture(scope="module")
def street() -> np.ndarray:
    return SyntheticPedestrians("val")[0].image


def test_importing_upright_imports_no_heavy_package() -> None:
    code = "import sys, upright; print(sorted({'torch', 'torchvision', 'numpy', 'cv2'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_public_name_is_there_and_no_other() -> None:
    for name in upright.__all__:
        assert getattr(upright, name).__name__ == name
    assert set(upright.__all__) <= set(dir(upright))
    with pytest.raises(AttributeError, match="find_cats"):
        upright.find_cats  # noqa: B018


def test_all_classes_of_the_spatial_transformer_that_one_builds_with_are_offered() -> None:
    room = importlib.import_module("upright.detector.spatial_transformer")
    classes = {name for name in room.__all__ if isinstance(getattr(room, name), type)}
    assert classes - {"ThetaStatistics"} <= set(upright.__all__)  # which one is given, and does not build


def test_a_path_and_its_array_give_the_same_people(street, tmp_path) -> None:
    path = tmp_path / "street.png"
    cv2.imwrite(str(path), street[..., ::-1])
    by_path, by_array = upright.detect(path), upright.detect(street)
    assert len(by_path.scores) > 3
    assert by_path.boxes.shape == (len(by_path.scores), 4)
    assert by_path.scores.min() >= upright.load_detector().settings.threshold
    assert np.array_equal(by_path.boxes, by_array.boxes)
    assert np.array_equal(upright.detect(str(path)).scores, by_array.scores)


def test_without_a_threshold_that_of_the_weights_holds(street) -> None:
    model = upright.load_detector()
    scores = upright.detect(street, model, threshold=0).scores
    between = float(scores[3:5].mean())
    model.settings = replace(model.settings, threshold=between)
    assert upright.detect(street, model).scores.tolist() == scores[:4].tolist()


def test_many_pictures_give_a_list_in_their_order(street) -> None:
    small = street[:240, :320]
    found = upright.detect([street, small])
    assert [one.boxes.tolist() for one in found] == [
        upright.detect(street).boxes.tolist(),
        upright.detect(small).boxes.tolist(),
    ]
    assert len(upright.detect(np.stack([street, street]), batch_size=2)) == 2
    assert upright.detect([]) == []


def test_reversed_channels_are_read_as_they_look(street) -> None:
    bgr = np.ascontiguousarray(street[..., ::-1])
    assert np.array_equal(upright.detect(bgr[..., ::-1]).boxes, upright.detect(street).boxes)


def test_the_threshold_decides_who_counts(street) -> None:
    everybody, sure = upright.detect(street, threshold=0), upright.detect(street, threshold=0.9)
    assert len(everybody.scores) > len(sure.scores) > 0
    assert sure.scores.min() >= 0.9


def test_a_model_of_ones_own_is_used_and_left_in_its_mode(street) -> None:
    model = upright.load_detector().train()
    found = upright.detect(street, model)
    assert np.array_equal(found.boxes, upright.detect(street, engine="torch", device="cpu").boxes)
    assert model.training
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert not np.array_equal(upright.detect(street, model).boxes, found.boxes)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ("no_such.jpg", "no_such.jpg"),
        ("", "cannot read"),
        (np.zeros((4, 4), np.uint8), r"uint8 \(4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        ([np.zeros((4, 4, 4), np.uint8)], r"\(4, 4, 4\)"),
        ([None], "NoneType"),
    ],
)
def test_what_is_no_picture_is_one_sentence(images, words) -> None:
    with pytest.raises(upright.InputError, match=words):
        upright.detect(images)


@pytest.mark.parametrize(
    "settings", [{"threshold": 1.5}, {"threshold": float("nan")}, {"batch_size": 0}, {"device": "abacus"}]
)
def test_settings_out_of_range_are_refused(street, settings) -> None:
    with pytest.raises(upright.InputError):
        upright.detect(street, **settings)
