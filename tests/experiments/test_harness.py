"""Results of the experiments are kept, figures stand beside each other, times are medians of turns."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from upright.errors import InputError
from upright.experiments import harness
from upright.experiments.harness import (
    add_arguments,
    clock,
    command,
    in_turn,
    kept,
    minutes,
    parsed,
    seeds,
    spread,
    write_figures,
)


def test_results_are_kept_for_the_same_conditions_only(tmp_path: Path) -> None:
    calls = []

    def work() -> dict:
        calls.append(1)
        return {"error": len(calls)}

    file = tmp_path / "new" / "r.json"
    assert kept(file, {"steps": 3}, work)["error"] == 1
    assert kept(file, {"steps": 3}, work)["error"] == 1
    assert kept(file, {"steps": 4}, work)["error"] == 2
    file.write_text("[]")
    with pytest.raises(InputError, match=r"r\.json holds no result"):
        kept(file, {"steps": 4}, work)


def test_figures_of_other_experiments_stay(tmp_path: Path) -> None:
    file = tmp_path / "f.json"
    write_figures(file, "a", {"x": [1]})
    write_figures(file, "b", {"y": [2]})
    write_figures(file, "a", {"x": [3]})
    assert json.loads(file.read_text()) == {"a": {"x": [3]}, "b": {"y": [2]}}
    file.write_text("[1")
    with pytest.raises(InputError, match="not a JSON object"):
        write_figures(file, "a", {})


def test_cells_of_the_tables() -> None:
    assert spread([1.0, 2.0, 4.5], 2) == "2.50 (1.00 to 4.50)"
    assert spread([26.46]) == "26.5"
    assert spread([]) == "not run"
    assert seeds([[1, 2, 3], [1, 2, 3]]) == "mean of 3 seeds (smallest to largest)"
    assert seeds([[1, 2, 3], [], [1]]) == "mean of 1 to 3 seeds (smallest to largest)"
    assert seeds([[1]]) == "one seed"


def test_work_takes_turns_and_the_first_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now, order = [0.0], []

    def spend(name: str, *seconds: float) -> Callable[[], None]:
        left = list(seconds)

        def work() -> None:
            order.append(name)
            now[0] += left.pop(0)

        return work

    monkeypatch.setattr(harness, "clock", lambda device: now[0])
    work = {"a": spend("a", 100, 1, 9, 2), "b": spend("b", 100, 5, 3, 4)}
    assert in_turn(work, 3, "cpu") == {"a": 2, "b": 4}
    assert "".join(order) == "abababab"


def test_a_processor_that_waits_spends_nothing() -> None:
    start = clock(torch.device("cpu"))
    time.sleep(0.3)
    assert clock(torch.device("cpu")) - start < 0.2


def parse(monkeypatch: pytest.MonkeyPatch, *flags: str, steps: int | dict[str, int] = 500) -> Namespace:
    parser = ArgumentParser()
    add_arguments(parser, steps=steps, output="runs/x")
    monkeypatch.setattr(sys, "argv", ["tools/x.py", *flags])
    return parsed(parser, "x", {"steps": 20})


def test_a_quick_run_is_short_and_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parse(monkeypatch)
    assert (whole.steps, whole.seeds, whole.output) == (500, 3, Path("runs/x"))
    quick = parse(monkeypatch, "--quick")
    assert (quick.steps, quick.seeds, quick.output) == (20, 1, Path("runs/x/quick"))
    assert parse(monkeypatch, "--quick", "--steps", "2").steps == 2
    assert parse(monkeypatch, steps={"a": 5}).steps is None
    assert parse(monkeypatch, "--quick", steps={"a": 5}).steps == 20


def test_what_would_fail_in_the_end_fails_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="the device abacus cannot be used"):
        parse(monkeypatch, "--device", "abacus")
    with pytest.raises(InputError, match=r"d\.md"):
        parse(monkeypatch, "--document", str(tmp_path / "d.md"))
    (tmp_path / "d.md").write_text("<!-- x -->\n<!-- /x -->\n")
    parse(monkeypatch, "--document", str(tmp_path / "d.md"))
    for flag in ("--seeds", "--steps"):
        with pytest.raises(SystemExit):
            parse(monkeypatch, flag, "0")


def test_the_command_is_given_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tools/x.py", "--networks", "ST-CNN Aff", "--collect", "--steps", "3"])
    assert command() == "`python tools/x.py --networks 'ST-CNN Aff' --steps 3`"


def test_a_documents_command_does_not_say_where_my_data_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "argv", ["x.py", "--root", "/my/own", "--mnist=/my", "--steps", "3", "--rooted", "--kinds", "a", "b"]
    )
    assert command("--root", "--mnist", "--kinds") == "`python x.py --steps 3 --rooted`"


def test_minutes_of_trainings() -> None:
    assert minutes([{"processor_seconds": 60}, {"processor_seconds": 120}]) == "1.5"
    assert minutes([]) == "not run"
