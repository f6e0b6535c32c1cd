"""Trainings of the experiments resume exactly, results are kept, figures stand beside each other."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from upright.errors import InputError
from upright.experiments import harness
from upright.experiments.harness import (
    add_arguments,
    clock,
    command,
    cosine,
    fit,
    in_turn,
    kept,
    load_weights,
    minutes,
    parsed,
    seeds,
    spread,
    write_figures,
)


class Killed(Exception):
    pass


def training(checkpoint: Path, killed_at: int | None = None, width: int = 4) -> tuple[nn.Module, dict[str, float]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)

    def loss(step: int) -> Tensor:
        if step == killed_at:
            raise Killed
        return model(torch.randn(8, 3, generator=torch.Generator().manual_seed(step))).square().mean()

    rate = partial(cosine, steps=6, warmup=2)
    conditions = {"width": width}
    spent = fit(model, loss, optimizer, 6, rate=rate, checkpoint=checkpoint, conditions=conditions, words="test")
    return model, spent


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "CHECKPOINT_SECONDS", 0.0)
    checkpoint = tmp_path / "c.pt"
    whole, _ = training(tmp_path / "other.pt")
    with pytest.raises(Killed):
        training(checkpoint, killed_at=4)
    assert torch.load(checkpoint, weights_only=True)["step"] == 4
    before = torch.load(checkpoint, weights_only=True)["spent"]
    resumed, spent = training(checkpoint)
    assert spent["seconds"] > before["seconds"] > 0
    assert spent["processor_seconds"] >= before["processor_seconds"] > 0
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_training_whose_result_was_not_kept_is_not_trained_again(tmp_path: Path) -> None:
    file, checkpoint = tmp_path / "c.json", tmp_path / "c.checkpoint.pt"

    def stopped() -> dict[str, float]:
        training(checkpoint)
        raise Killed

    with pytest.raises(Killed):
        kept(file, {}, stopped)
    whole, _ = training(tmp_path / "other.pt")
    again, _ = training(checkpoint, killed_at=0)
    for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    kept(file, {}, lambda: training(checkpoint)[1])
    assert not checkpoint.exists()


def test_weights_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    with pytest.raises(InputError, match=r"w\.pt is missing: delete the \.json"):
        load_weights(nn.Linear(2, 3), file, "cpu")
    torch.save(nn.Linear(2, 4).state_dict(), file)
    with pytest.raises(InputError, match=r"w\.pt holds another network"):
        load_weights(nn.Linear(2, 3), file, "cpu")
    file.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"w\.pt is damaged"):
        load_weights(nn.Linear(2, 3), file, "cpu")


def test_a_checkpoint_of_other_conditions_is_not_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "CHECKPOINT_SECONDS", 0.0)
    checkpoint = tmp_path / "c.pt"
    whole, _ = training(tmp_path / "other.pt", width=5)
    with pytest.raises(Killed):
        training(checkpoint, killed_at=4)
    other, _ = training(checkpoint, width=5)
    for a, b in zip(whole.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "c.pt").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"c\.pt is damaged"):
        training(tmp_path / "c.pt")


@pytest.mark.parametrize("step", [0, 6])
def test_a_loss_that_is_not_finite_stops(step: int, tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(InputError, match=f"loss is nan at step {step}"):
        fit(
            model,
            lambda now: model.weight.sum() * (float("nan") if now == step else 1.0),
            optimizer,
            7,
            rate=lambda step: 0.1,
            checkpoint=tmp_path / "c.pt",
            conditions={},
            words="net",
        )


def test_cosine_warms_up_and_ends_near_zero() -> None:
    assert [cosine(s, 12, 2) for s in (0, 1, 2)] == [0.5, 1.0, 1.0]
    assert cosine(7, 12, 2) == pytest.approx(0.5)
    assert cosine(12, 12, 2) == pytest.approx(0)


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


def test_minutes_of_trainings() -> None:
    assert minutes([{"processor_seconds": 60}, {"processor_seconds": 120}]) == "1.5"
    assert minutes([]) == "not run"
