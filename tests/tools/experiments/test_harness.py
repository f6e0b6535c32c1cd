"""Trainings of the experiments resume exactly, results are kept, figures stand beside each other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from datasets.errors import InputError
from tools.experiments import harness
from tools.experiments.harness import clock, cosine, fit, in_turn, kept, seeds, spread, write_figures


class Killed(Exception):
    pass


def training(checkpoint: Path, killed_at: int | None = None) -> tuple[nn.Module, float]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)

    def loss(step: int) -> Tensor:
        if step == killed_at:
            raise Killed
        return model(torch.randn(8, 3, generator=torch.Generator().manual_seed(step))).square().mean()

    seconds = fit(model, loss, optimizer, 6, rate=lambda s: cosine(s, 6, 2), checkpoint=checkpoint, words="test")
    return model, seconds


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "CHECKPOINT_SECONDS", 0.0)
    checkpoint = tmp_path / "c.pt"
    whole, _ = training(tmp_path / "other.pt")
    with pytest.raises(Killed):
        training(checkpoint, killed_at=4)
    assert torch.load(checkpoint, weights_only=True)["step"] == 4
    resumed, seconds = training(checkpoint)
    assert seconds > 0
    assert not checkpoint.exists()
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_loss_that_is_not_finite_stops(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(InputError, match="loss is nan"):
        fit(
            model,
            lambda step: model.weight.sum() * float("nan"),
            optimizer,
            1,
            rate=lambda step: 1.0,
            checkpoint=tmp_path / "c.pt",
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
    assert seeds([[1, 2, 3], [1, 2, 3]]) == "3 seeds"
    assert seeds([[1, 2, 3], [], [1]]) == "1 to 3 seeds"
    assert seeds([[1]]) == "1 seed"
    assert seeds([[]]) == "0 seeds"


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
