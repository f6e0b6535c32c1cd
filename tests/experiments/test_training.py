"""Trainings of the experiments resume exactly, and what they cannot resume from is said in one line."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from upright.errors import InputError
from upright.experiments import training
from upright.experiments.harness import kept
from upright.experiments.training import cosine, fit, load_weights


class Killed(Exception):
    pass


def train(checkpoint: Path, killed_at: int | None = None, width: int = 4) -> tuple[nn.Module, dict[str, float]]:
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
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    checkpoint = tmp_path / "c.pt"
    whole, _ = train(tmp_path / "other.pt")
    with pytest.raises(Killed):
        train(checkpoint, killed_at=4)
    assert torch.load(checkpoint, weights_only=True)["step"] == 4
    before = torch.load(checkpoint, weights_only=True)["spent"]
    resumed, spent = train(checkpoint)
    assert spent["seconds"] > before["seconds"] > 0
    assert spent["processor_seconds"] >= before["processor_seconds"] > 0
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_training_whose_result_was_not_kept_is_not_trained_again(tmp_path: Path) -> None:
    file, checkpoint = tmp_path / "c.json", tmp_path / "c.checkpoint.pt"

    def stopped() -> dict[str, float]:
        train(checkpoint)
        raise Killed

    with pytest.raises(Killed):
        kept(file, {}, stopped)
    whole, _ = train(tmp_path / "other.pt")
    again, _ = train(checkpoint, killed_at=0)
    for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    kept(file, {}, lambda: train(checkpoint)[1])
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
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    checkpoint = tmp_path / "c.pt"
    whole, _ = train(tmp_path / "other.pt", width=5)
    with pytest.raises(Killed):
        train(checkpoint, killed_at=4)
    other, _ = train(checkpoint, width=5)
    for a, b in zip(whole.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "c.pt").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"c\.pt is damaged"):
        train(tmp_path / "c.pt")


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
