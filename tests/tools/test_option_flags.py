"""Flags made from the fields of a dataclass of options."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from upright.detector.settings import PRESETS, Settings
from upright.detector.training_options import LEARNING_RATES, TrainingOptions, TrainingPace
from upright.errors import InputError
from upright.tools.command import add_flags, chosen_settings, given_options


@dataclass(frozen=True)
class Options:
    inner: int  # says nothing: no flag
    share: Annotated[float, "half of 100 %"] = 0.5
    how: Annotated[Literal["fast", "slow"], "speed"] = "slow"
    sides: Annotated[tuple[int, ...], "of a box"] = (1, 2)


def parsed(*words: str, options: type = Options) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_flags(parser.add_argument_group(), options)
    return parser.parse_args(words)


def test_flags_take_the_types_of_the_fields_and_only_what_is_given_counts() -> None:
    assert given_options(parsed(), Options) == {}
    given = given_options(parsed("--share", "2", "--how", "fast", "--sides", "3", "4", "5"), Options)
    assert given == {"share": 2.0, "how": "fast", "sides": (3, 4, 5)}
    assert isinstance(given["share"], float)
    with pytest.raises(SystemExit):
        parsed("--inner", "1")


def test_the_help_says_what_a_field_is_with_its_default_and_names(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        parsed("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "half of 100 % (default: 0.5)" in text
    assert "speed (default: slow); one of fast, slow" in text
    assert "of a box (default: 1 2)" in text


def test_a_preset_holds_where_no_flag_is_given() -> None:
    arguments = parsed("--anchor-aspects", "2", "1", options=Settings)
    arguments.preset = "resnet50"
    settings = chosen_settings(arguments)
    assert settings.anchor_aspects == (2.0, 1.0)
    assert settings.anchor_heights == PRESETS["resnet50"].anchor_heights


def test_warm_up_decay_and_clipping_are_in_reach_and_the_rate_follows_the_optimizer() -> None:
    flags = ("--warmup-steps", "7", "--weight-decay", "0.1", "--clip-norm", "3", "--optimizer", "sgd")
    options = TrainingOptions.chosen(5, given_options(parsed(*flags, options=TrainingOptions), TrainingOptions))
    assert (options.steps, options.warmup_steps, options.weight_decay, options.clip_norm) == (5, 7, 0.1, 3.0)
    assert options.learning_rate == LEARNING_RATES["sgd"]
    assert TrainingOptions.chosen(5, {"optimizer": "sgd", "learning_rate": 0.3}).learning_rate == 0.3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 0}, "--batch-size 0"),
        ({"learning_rate": float("nan")}, "--learning-rate nan"),
        ({"warmup_steps": -1}, "--warmup-steps -1"),
        ({"optimizer": "lion"}, "optimizer 'lion'.*sgd, adamw"),
        ({"precision": "int8"}, "precision 'int8'"),
    ],
)
def test_options_out_of_range_are_refused(change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        TrainingOptions(5, **change)


def test_a_pace_out_of_range_is_refused() -> None:
    for change in ({"log_every": 0}, {"workers": -1}, {"checkpoint_minutes": -1.0}, {"validate_every": -1}):
        with pytest.raises(InputError):
            TrainingPace(**change)
