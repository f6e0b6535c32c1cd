"""Who learns beside others learns what it learns alone, and goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from upright.datasets.augmentation import Augmentation
from upright.datasets.batches import TrainingPictures
from upright.detector.model import Detector
from upright.detector.run_directory import RunDirectory
from upright.detector.settings import Settings
from upright.detector.training_options import TrainingOptions, TrainingPace
from upright.experiments.heads import side_by_side
from upright.experiments.heads.methods import LATER, METHODS, built
from upright.experiments.heads.side_by_side import Trainee, train_side_by_side

OPTIONS = TrainingOptions(steps=3, batch_size=2, learn=LATER, warmup_steps=1)


def trained(
    names: list[str], base: Settings, start: Detector, boards, folder: Path, options=OPTIONS
) -> dict[str, dict]:
    """Weights of detectors that learnt side by side, from what is kept in the folder on."""
    pictures = TrainingPictures([boards], Augmentation(64, (64, 96), 0), seed=0)
    trainees = {}
    for name in names:
        directory = RunDirectory(folder / name, {}, resume=True)
        trainees[name] = Trainee.resumed(built(METHODS[name], base, start, 0), options, directory)
    try:
        train_side_by_side(trainees, pictures, TrainingPace(workers=0, log_every=1), shared=True)
    finally:
        for one in trainees.values():
            one.directory.close()
    return {name: one.state.model.state_dict() for name, one in trainees.items()}


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(value.equal(second[name]) for name, value in first.items())


def test_together_and_alone_are_the_same(base: Settings, start: Detector, boards, tmp_path: Path) -> None:
    together = trained(["none", "canonical"], base, start, boards, tmp_path / "both")
    alone = trained(["canonical"], base, start, boards, tmp_path / "one")
    assert same(together["canonical"], alone["canonical"])
    begun = built(METHODS["canonical"], base, start, 0).state_dict()
    learnt = {name for name, value in begun.items() if not value.equal(alone["canonical"][name])}
    assert any("box_head" in name for name in learnt)
    assert any("second_look" in name for name in learnt)
    assert not any(name.startswith(("backbone.", "rpn.")) for name in learnt)
    assert len((tmp_path / "one/canonical/log.jsonl").read_text().splitlines()) == 3


def test_a_stopped_one_catches_up_to_the_same_end(
    base: Settings, start: Detector, boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(["none", "taught"], base, start, boards, tmp_path / "whole")
    monkeypatch.setattr(side_by_side, "SAVE_EVERY", 1)
    done = []
    real = side_by_side.training_step

    def step(model, batch, state, options, device):
        done.append(state.step)
        if len(done) == 4:  # "none" has done two steps, "taught" one
            raise KeyboardInterrupt
        return real(model, batch, state, options, device)

    monkeypatch.setattr(side_by_side, "training_step", step)
    with pytest.raises(KeyboardInterrupt):
        trained(["none", "taught"], base, start, boards, tmp_path / "cut")
    monkeypatch.setattr(side_by_side, "training_step", real)
    again = trained(["none", "taught"], base, start, boards, tmp_path / "cut")
    assert all(same(whole[name], again[name]) for name in whole)
