"""Which frames count."""

from __future__ import annotations

import math

import pytest

from upright.detector.selection import Chooser, Selection
from upright.errors import InputError


def chosen(selection: Selection, times: list[float]) -> list[int]:
    chooser = Chooser(selection)
    numbers = []
    for number, seconds in enumerate(times):
        if chooser.wants(seconds):
            numbers.append(number)
        if chooser.over:
            break
    return numbers


RATE = [number / 10 for number in range(30)]


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        (Selection(), list(range(30))),
        (Selection(every=7), [0, 7, 14, 21, 28]),
        (Selection(fps=5), list(range(0, 30, 2))),
        (Selection(fps=100), list(range(30))),
        (Selection(start=1.0, end=1.3), [10, 11, 12]),
        (Selection(start=1.0, seconds=0.2), [10, 11]),
        (Selection(start=0.5, every=4, frames=2), [5, 9]),
    ],
)
def test_frames_are_chosen_by_number_and_by_time(selection, numbers):
    assert chosen(selection, RATE) == numbers


def test_a_rate_that_does_not_divide_is_met_in_the_mean():
    times = [number / 30 for number in range(3000)]
    assert len(chosen(Selection(fps=7), times)) == pytest.approx(700, abs=1)


def test_after_a_gap_the_rate_is_not_caught_up():
    times = [0.0, 0.1, 0.2, *(5 + number / 10 for number in range(10))]
    assert chosen(Selection(fps=2), times) == [0, 3, 8]


@pytest.mark.parametrize(
    "values",
    [
        *({"every": 0}, {"frames": 0}, {"fps": 0}, {"fps": math.nan}, {"seconds": math.inf}, {"start": -1.0}),
        *({"start": 2.0, "end": 2.0}, {"every": 2, "fps": 5.0}),
    ],
)
def test_what_cannot_be_is_refused(values):
    with pytest.raises(InputError, match=f"--{next(iter(values))}|--end"):
        Selection(**values)
