"""Checkpoints, validation and the best weights: what is kept, when, and what a resumed run does again."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from upright.datasets.augmentation import Augmentation
from upright.datasets.batches import TrainingPictures
from upright.detector import training
from upright.detector.model import Detector, build_detector
from upright.detector.processes import Processes
from upright.detector.run_directory import RunDirectory
from upright.detector.settings import Settings
from upright.detector.training import train, training_step
from upright.detector.training_options import TrainingOptions, TrainingPace
from upright.detector.training_state import TrainingState
from upright.detector.weights import read_metadata
from upright.errors import InputError

PACE = TrainingPace(workers=0, validate_every=2, checkpoint_minutes=1000)
OPTIONS = TrainingOptions(steps=6, batch_size=2)


class Scores:
    """A validation that gives scores in turn, and stops the training where there is an exception instead."""

    def __init__(self, *scores: Any) -> None:
        self.scores = list(scores)
        self.calls = 0

    def __call__(self, model: Detector) -> dict[str, float | None]:
        self.calls += 1
        score = self.scores.pop(0)
        if isinstance(score, BaseException):
            raise score
        torch.rand(7)  # as a validation may: the training has to go on from there
        return {"score": score}


@pytest.fixture
def run(tiny: Settings, boards: Any, tmp_path: Path) -> Any:
    def run(name: str, validate: Scores | None, *, resume: bool = False, options: TrainingOptions = OPTIONS) -> Path:
        torch.manual_seed(0)
        pictures = TrainingPictures([boards], Augmentation(128, (96, 128), 0), seed=0)
        directory = RunDirectory(tmp_path / name, {"training": asdict(options)}, resume=resume)
        try:
            model = build_detector(tiny)
            train(model, pictures, options, PACE, directory=directory, processes=Processes(), validate=validate)
        finally:
            directory.close()
        return tmp_path / name

    return run


def validations(run: Path) -> list[tuple[int, Any]]:
    entries = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [(entry["step"], entry["validation"]["score"]) for entry in entries if "validation" in entry]


def checkpoint(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoint.pt", weights_only=True)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_the_best_is_the_highest_score_and_none_is_no_score(run: Any) -> None:
    folder = run("scores", Scores(None, 0.5, 0.25))
    assert validations(folder) == [(2, None), (4, 0.5), (6, 0.25)]
    assert read_metadata(folder / "best.safetensors")[1] == {"steps": 4, "score": 0.5}


def test_without_a_score_nothing_is_the_best(run: Any) -> None:
    assert not (run("none", Scores(None, None, None)) / "best.safetensors").exists()


def test_a_score_lost_again_does_not_take_the_place_of_the_best(run: Any) -> None:
    folder = run("lost", Scores(0.5, None, 0.4))
    assert read_metadata(folder / "best.safetensors")[1]["score"] == 0.5


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_run_stopped_while_it_validates_validates_again_and_ends_the_same(number: int, run: Any) -> None:
    scores: list[Any] = [0.3, 0.2, 0.1]
    unbroken = run("unbroken", Scores(*scores))
    stopped = Scores(*scores[:number], KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run("broken", stopped)
    saved = checkpoint(unbroken.parent / "broken")
    assert (saved["step"], saved["validated"]) == (2 * number + 2, 2 * number), "saved before it was validated"
    folder = run("broken", Scores(*scores[number:]), resume=True)
    assert validations(folder) == validations(unbroken)
    assert same(checkpoint(folder), checkpoint(unbroken))
    assert read_metadata(folder / "best.safetensors") == read_metadata(unbroken / "best.safetensors")


def test_a_run_in_which_some_parts_learn_is_killed_and_ends_the_same(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    options = replace(OPTIONS, warmup_steps=0, learn=("transformers", "regions"))
    unbroken = run("unbroken", Scores(0.3, 0.2, 0.1), options=options)

    def killed_in_the_fifth(model: Any, batch: Any, state: TrainingState, *more: Any) -> dict[str, float]:
        if state.step == 4:
            raise SystemExit
        return training_step(model, batch, state, *more)

    with monkeypatch.context() as patch:
        patch.setattr(training, "training_step", killed_in_the_fifth)
        with pytest.raises(SystemExit):
            run("broken", Scores(0.3, 0.2), options=options)
    early = checkpoint(unbroken.parent / "broken")
    assert early["step"] == 4
    folder = run("broken", Scores(0.1), resume=True, options=options)
    late = checkpoint(folder)
    assert same(late, checkpoint(unbroken))
    assert same(load_file(folder / "last.safetensors"), load_file(unbroken / "last.safetensors"))
    moved = {name for name, value in late["model"].items() if not torch.equal(value, early["model"][name])}
    learnt = ("roi_heads.box_roi_pool.localisation.", "roi_heads.box_head.")
    assert all(name.startswith(learnt) for name in moved), "the others stay"
    assert {part for part in learnt for name in moved if name.startswith(part)} == set(learnt)


def test_the_average_is_validated_and_written_and_the_model_goes_on(run: Any) -> None:
    folder = run("averaged", Scores(0.3, 0.2, 0.1))
    saved = checkpoint(folder)
    average = {n.removeprefix("module."): v for n, v in saved["average"].items() if n != "n_averaged"}
    assert saved["average"]["n_averaged"] == OPTIONS.steps
    assert same(load_file(folder / "last.safetensors"), average)
    assert not same(saved["model"], average)


def test_a_finished_run_is_not_validated_again(run: Any) -> None:
    run("finished", Scores(0.3, 0.2, 0.1))
    again = Scores()
    run("finished", again, resume=True)
    assert again.calls == 0


def test_a_checkpoint_of_other_contents_is_refused(run: Any) -> None:
    folder = run("odd", None)
    state = checkpoint(folder)
    others = (
        [],
        state | {"step": [3]},
        {"format": 2},
        state | {"model": {}},
        state | {"random": []},
        state | {"optimizer": None},
    )
    for other in others:
        torch.save(other, folder / "checkpoint.pt")
        with pytest.raises(InputError, match="checkpoint"):
            run("odd", None, resume=True)


def test_a_log_on_a_full_disk_is_an_input_error(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full is not here")
    with closing(RunDirectory(tmp_path / "run", {}, resume=False)) as directory:
        (tmp_path / "run/log.jsonl").symlink_to("/dev/full")
        with pytest.raises(InputError, match=r"log\.jsonl: cannot be written \(No space left"):
            directory.log(1, {"loss": 0.5})


def test_a_checkpoint_of_another_version_is_refused_with_the_log_untouched(run: Any) -> None:
    folder = run("old", None)
    state = checkpoint(folder)
    del state["format"], state["validated"]
    torch.save({**state, "step": 3}, folder / "checkpoint.pt")
    log = (folder / "log.jsonl").read_text()
    with pytest.raises(InputError, match=r"another version.*bit for bit"):
        run("old", None, resume=True)
    assert (folder / "log.jsonl").read_text() == log


def test_a_run_in_which_some_parts_learn_is_resumed_with_the_same_parts_alone(tmp_path: Path, tiny: Settings) -> None:
    """Tuples come back from JSON as lists."""

    def everything(**changes: Any) -> dict[str, Any]:
        detector = asdict(replace(tiny, teach=1.0))
        return {"detector": detector, "training": asdict(replace(OPTIONS, learn=("regions", "second_look"), **changes))}

    with closing(RunDirectory(tmp_path, everything(), resume=False)) as directory:
        directory.save_checkpoint({"step": 1, "validated": 0})
    with closing(RunDirectory(tmp_path, everything(), resume=True)) as directory:
        state = directory.load_checkpoint()
    assert state is not None
    assert state["step"] == 1
    other = everything()
    other["training"]["learn"] = ("regions",)
    with pytest.raises(InputError, match=r"training\.learn"):
        RunDirectory(tmp_path, other, resume=True)
