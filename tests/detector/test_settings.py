"""Settings refuse what cannot be built and survive the way through JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

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
        {"transformers": 3},
        {"transformers": -1},
        {"glance_channels": 500},
        {"priors": ("wing",)},
        {"priors": ()},
    ],
)
def test_settings_that_make_no_detector_are_refused(change: dict) -> None:
    with pytest.raises(InputError):
        replace(PRESETS["light"], **change)


def test_fields_of_another_version_are_named() -> None:
    with pytest.raises(InputError, match="novel"):
        Settings.from_dict({"novel": 1})
