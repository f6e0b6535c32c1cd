"""What shares one pass finds what each detector by itself would find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from upright.detector.engines.torch_engine import TorchEngine
from upright.detector.evaluation import Detections
from upright.detector.inference import detect_dataset
from upright.detector.model import Detector, build_detector
from upright.detector.settings import PRESETS, Settings
from upright.errors import InputError
from upright.experiments.detector.variants import Variant, dense_proposals, detect_first_stage, detect_variants


def alone(model: Detector, settings: Settings, dataset) -> Detections:
    """Of a detector that was built with these settings."""
    other = build_detector(settings)
    other.load_state_dict(model.state_dict())
    return detect_dataset(TorchEngine(other), dataset, progress=False)


@pytest.mark.parametrize(
    ("changed", "settings"),
    [
        ({}, {}),
        ({"share": 0.0}, {"first_stage_share": 0.0}),
        ({"share": 1.0}, {"first_stage_share": 1.0}),
        ({"proposals": 5}, {"test_proposals": 5}),
        ({"suppression": 0.2}, {"nms_threshold": 0.2}),
    ],
)
def test_a_variant_is_the_detector_built_that_way(small: Detector, boards, changed: dict, settings: dict) -> None:
    own = Variant.of(small.settings)
    found = detect_variants(small, boards, {"own": own, "other": replace(own, **changed)})["other"]
    expected = alone(small, replace(small.settings, **settings), boards)
    assert len(found) == len(expected) > 0
    np.testing.assert_array_equal(found.image_index, expected.image_index)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)


def test_variants_of_other_sides_share_nothing(small: Detector, boards) -> None:
    own = Variant.of(small.settings)
    with pytest.raises(ValueError, match="share no maps"):
        detect_variants(small, boards, {"a": own, "b": replace(own, sides=(32, 64))})


@pytest.mark.parametrize("stretched", [False, True])
def test_boxes_of_the_first_stage_are_in_pixels_of_the_picture(small: Detector, boards, stretched: bool) -> None:
    found = detect_first_stage(small, boards, sides=(64, 64), stretched=stretched, threshold=0.0)
    far = found.boxes[:, :2] + found.boxes[:, 2:]
    assert set(found.image_index) == set(range(len(boards)))
    assert (far <= np.array([160, 128]) + 0.01).all()
    assert (far.max(axis=0) > np.array([150, 120])).all()  # nor in those of the resized one


def test_few_detections_of_the_first_stage_are_its_best(small: Detector, boards) -> None:
    many = detect_first_stage(small, boards, sides=(64, 96), stretched=False, threshold=0.0)
    few = detect_first_stage(small, boards, sides=(64, 96), stretched=False, threshold=0.0, kept=1)
    assert len(few) == len(boards) < len(many)
    best = [many.scores[many.image_index == i].max() for i in range(len(boards))]
    np.testing.assert_allclose(few.scores, best)
    assert not len(detect_first_stage(small, boards, sides=(64, 96), stretched=False, threshold=1.0))


def test_anchors_have_no_scores_to_choose_with() -> None:
    with pytest.raises(InputError, match="propose by anchors"):
        dense_proposals(build_detector(PRESETS["mobilenet"]))
