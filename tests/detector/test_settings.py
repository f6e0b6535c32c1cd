"""Settings refuse what cannot be built and survive the way through JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from upright.detector.option_fields import option_fields
from upright.detector.settings import PRESETS, Settings
from upright.errors import InputError


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name: str) -> None:
    assert Settings.from_dict(json.loads(PRESETS[name].to_json())) == PRESETS[name]


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "vgg"},
        {"transformation": "rubber"},
        {"transformers": 5},
        {"transformers": -1},
        {"glance_channels": 500},
        {"channels": 128},  # shufflenet_v2 has 96
        {"first_stage_share": -0.1},
        {"first_stage_share": 1.1},
        {"first_stage_share": float("nan")},
        {"proposals": "anchors"},  # have no scores that the share could take
        {"proposals": "sparse"},
        {"score_target": "height"},
        {"priors": ("wing",)},
        {"priors": ()},
        {"teach": -1.0},
        {"teach": float("inf")},
        {"teach": 1.0, "transformers": 0},
        {"taught": ("wing",)},
        {"taught": ()},
        {"score_scale": 0.0},
        {"score_scale": float("inf")},
        {"score_shift": float("nan")},
        {"threshold": -0.1},
        {"threshold": 1.5},
        {"threshold": float("nan")},
    ],
)
def test_settings_that_make_no_detector_are_refused(change: dict) -> None:
    with pytest.raises(InputError):
        replace(PRESETS["light"], **change)


def test_files_from_before_there_was_a_calibration_have_none() -> None:
    values = json.loads(PRESETS["light"].to_json())
    for name in ("score_scale", "score_shift", "threshold"):
        del values[name]
    settings = Settings.from_dict(values)
    assert (settings.score_scale, settings.score_shift, settings.threshold) == (1.0, 0.0, 0.5)


def test_files_from_before_there_were_dense_proposals_are_read_as_they_were_meant() -> None:
    values = json.loads(PRESETS["mobilenet"].to_json())
    for name in ("proposals", "score_target", "first_stage_share"):
        del values[name]
    assert Settings.from_dict(values) == PRESETS["mobilenet"]


def test_a_calibration_is_a_result_and_no_option() -> None:
    assert not {"score_scale", "score_shift", "threshold"} & {field.name for field in option_fields(Settings)}


def test_fields_of_another_version_are_named() -> None:
    with pytest.raises(InputError, match="novel"):
        Settings.from_dict({"novel": 1})


def test_a_file_from_before_the_second_look_that_read_the_pyramid_alone_is_read_as_it_was_meant() -> None:
    values = json.loads(PRESETS["light"].to_json())
    for name in ("teach", "taught", "second_look", "looks", "second_share"):
        del values[name]
    assert Settings.from_dict({**values, "read": "pyramid"}) == PRESETS["light"]
    assert "read" not in json.loads(PRESETS["light"].to_json())
    with pytest.raises(InputError, match="read") as caught:
        Settings.from_dict({**values, "read": "picture"})
    assert "\n" not in str(caught.value)


def test_parts_go_round_where_there_are_more_transformers_and_are_cut_where_there_are_fewer() -> None:
    names = ("whole", "head", "torso", "legs")
    for transformers, parts in ((0, ()), (3, names[:3]), (6, (*names, "whole", "head"))):
        assert replace(PRESETS["light"], transformers=transformers).parts == parts


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, False),
        ({"teach": 0.5}, True),
        ({"teach": 0.5, "transformers": 3}, False),
        ({"teach": 0.5, "transformers": 6}, True),
        ({"teach": 0.5, "taught": ("legs", "torso", "head", "whole")}, True),
        ({"teach": 0.5, "taught": ("whole", "torso", "head")}, False),
        ({"teach": 0.5, "priors": ("whole", "head")}, False),
    ],
)
def test_a_pose_is_told_where_all_parts_are_taught(change: dict, told: bool) -> None:
    assert replace(PRESETS["light"], **change).tells_pose == told


def test_a_taught_detector_survives_json() -> None:
    settings = replace(PRESETS["light"], teach=0.5, taught=("head", "whole", "legs", "torso"), second_look="canonical")
    assert Settings.from_dict(json.loads(settings.to_json())) == settings


@pytest.mark.parametrize(
    ("sides", "side"), [((640, 640), 480), ((480, 864), 480), ((1024, 2048), 1024), ((600, 700), 525)]
)
def test_training_pictures_are_scaled_as_pictures_are_at_inference(sides: tuple[int, int], side: int) -> None:
    assert Settings(min_size=sides[0], max_size=sides[1]).training_side == side
