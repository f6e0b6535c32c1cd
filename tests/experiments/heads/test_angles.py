"""The comparison by angle from the command line: trained, measured, written, and not done twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from upright.experiments.heads.angles import Grid, main, parser
from upright.experiments.heads.methods import LATER, METHODS

SMALL = ["--min-size", 64, "--max-size", 96, "--crop-height", 64, "--crop-width", 96, "--looks", 4, "--threads", 1]


def test_taught_transformers_have_a_rate_of_their_own_and_a_frozen_first_stage_stays(tmp_path: Path) -> None:
    grid = Grid(
        parser().parse_args(["--output", str(tmp_path), "--frozen", "--learning-rate", "0.001", "--looks", "7"])
    )
    for method in METHODS:
        options = grid.training_options(method, 3)
        assert (options.seed, options.learn, options.learning_rate) == (3, LATER, 0.001)
        assert (options.localisation_rate == 1) == ("teach" in METHODS[method].settings)
        assert grid.conditions(method, "turned", 3)["detector"]["looks"] == 7
    whole = Grid(parser().parse_args(["--output", str(tmp_path)]))
    assert whole.training_options("none", 0).learn == ("all",)
    assert whole.conditions("none", "turned", 0) != whole.conditions("none", "upright", 0)


@pytest.mark.slow
def test_quick_trains_measures_and_writes_once(tmp_path: Path, call_main) -> None:
    document, figures = tmp_path / "a.md", tmp_path / "a.json"
    document.write_text("<!-- angles -->\n<!-- /angles -->\n")
    flags = ["--quick", "--frozen", "--kinds", "turned", "--only", "none", "oracle", *SMALL]
    flags += ["--output", tmp_path / "runs", "--document", document, "--figures", figures]
    first = call_main(main, *flags)
    assert first.status == 0, first.err
    assert "| no transformers (RoIAlign) | turned | 1 |" in document.read_text()
    assert (tmp_path / "pictures" / "angles.png").stat().st_size > 1000
    kept = json.loads(figures.read_text())["angles"]
    assert set(kept["results"]["turned"]) == {"none", "oracle"}
    assert "oracle" not in kept["price"]["seconds"]
    log = (tmp_path / "runs" / "quick" / "log.txt").read_text()
    assert log.count("trained") == 2
    assert call_main(main, *flags).status == 0
    assert call_main(main, *flags, "--collect").status == 0
    assert (tmp_path / "runs" / "quick" / "log.txt").read_text() == log


def test_a_document_without_the_block_is_one_line(tmp_path: Path, call_main) -> None:
    (tmp_path / "a.md").write_text("nothing\n")
    assert "lacks the marks" in call_main(main, "--document", tmp_path / "a.md").fault
