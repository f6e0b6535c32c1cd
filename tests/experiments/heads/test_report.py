"""The table, the differences and what they say, of figures that were made up; the figure is a picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from upright.experiments.heads.columns import FISHEYE, LEAN_STEP, TURNS, rolled, turned
from upright.experiments.heads.report import SHOWN, answer, differences, draw_figure, lines, verdict


def columns(rate: float) -> dict:
    """All columns at one miss rate; leans miss more the farther they lean."""
    leans = {f"{low} to {low + LEAN_STEP}": rate + low / 1000 for low in range(0, 180, LEAN_STEP)}
    one = {"Reasonable": rate, "Heavy": rate + 0.2, "All": rate, "same people": rate, "AP": 0.5, "AP50": 0.75}
    people = {"Reasonable": 7, "posed": 5}
    names = [rolled(roll) for roll in (0, 45, 180)] + [turned(degrees) for degrees in (0, *TURNS)] + [FISHEYE]
    return {name: one | {"leans": leans if "rendered" in name else {}, "people": people} for name in names}


@pytest.fixture
def results() -> dict:
    return {
        "turned": {
            "none": {"0": columns(0.40), "1": columns(0.42)},
            "box": {"0": columns(0.38), "1": columns(0.43)},
            "canonical": {"0": columns(0.35), "1": columns(0.36), "2": columns(0.1)},
        }
    }


def test_each_method_is_a_row_with_its_spread_and_its_price(results: dict) -> None:
    price = {
        "seconds": {"none": 0.1, "box": 0.125, "canonical": 0.11},
        "parameters": dict.fromkeys(results["turned"], 2e6),
    }
    text = lines(results, price)
    [row] = [
        line
        for line in text
        if line.startswith("| no transformers") and "41.0 (40.0 to 42.0)" in line and "2.00" in line
    ]
    assert row.count("|") == len(SHOWN) + 6
    assert "0.750 (0.750 to 0.750)" in row
    assert "| 1.25 | 2.00 |" in "\n".join(text)
    assert "pictures/angles.png" in text[-1]


def test_differences_are_between_the_same_seeds(results: dict) -> None:
    found = differences(results, "turned", ("none", "canonical"), rolled(180), "Reasonable")
    assert found == [pytest.approx(-5), pytest.approx(-6)]
    said = "\n".join(answer(results))
    assert "**-5.5 (-6.0 to -5.0)** points, better in every seed, by the 3 points asked for" in said
    assert "Plain box to canonical crop" in said


@pytest.mark.parametrize(
    ("found", "word"),
    [
        ([-4.0], "one seed"),
        ([-1.0, -2.0], "better in every seed"),
        ([1.0, 2.0], "worse"),
        ([-9.0, 1.0], "no difference"),
    ],
)
def test_a_verdict_says_no_more_than_the_seeds(found: list[float], word: str) -> None:
    assert verdict(found).startswith(word)
    assert "asked for" not in verdict(found)


def test_nothing_measured_is_said(tmp_path: Path) -> None:
    assert lines({}, None) == ["Nothing is measured yet."]
    draw_figure({}, tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def test_the_figure_is_written(results: dict, tmp_path: Path) -> None:
    draw_figure(results, tmp_path / "pictures" / "a.png")
    assert cv2.imread(str(tmp_path / "pictures" / "a.png")).shape[1] == 1100
