"""Trainings side by side: several detectors learn from the same batches, each with a run folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.amp import GradScaler
from tqdm import tqdm

from upright.datasets.batches import TrainingPictures
from upright.detector.model import Detector
from upright.detector.processes import Processes, Stop
from upright.detector.run_directory import RunDirectory
from upright.detector.training import (
    StepWatch,
    build_optimizer,
    due,
    leave_out,
    loading,
    moving_average,
    theta_entry,
    theta_statistics,
    training_loader,
    training_step,
)
from upright.detector.training_options import TrainingOptions, TrainingPace
from upright.detector.training_state import TrainingState
from upright.errors import InputError
from upright.experiments.heads.methods import share_first_stage

ALONE = Processes()
SAVE_EVERY = 100  # steps


@dataclass(frozen=True)
class Trainee:
    """A detector on its way.

    Attributes:
        state: of its training.
        options: of its training; seed, batch size and steps are those of all others.
        directory: of its run.
    """

    state: TrainingState
    options: TrainingOptions
    directory: RunDirectory

    @classmethod
    def resumed(cls, model: Detector, options: TrainingOptions, directory: RunDirectory) -> Trainee:
        """From its checkpoint, where there is one."""
        leave_out(model, options.learn)
        scaler = GradScaler("cpu", enabled=False)
        state = TrainingState(model, build_optimizer(model, options), scaler, moving_average(model, options))
        state.load(directory, ALONE)
        return cls(state, options, directory)

    def save(self) -> None:
        self.state.save(self.directory, ALONE)


def train_side_by_side(
    trainees: Mapping[str, Trainee], pictures: TrainingPictures, pace: TrainingPace, *, shared: bool
) -> None:
    """Train all to the end of their schedule.

    Every step of a detector starts from random numbers of its own (seed and step say which), so that it learns the same
    whoever learns beside it.

    Args:
        trainees: by name.
        pictures: that all learn from, in the same order.
        pace: of the loading and of the log.
        shared: whether the first stages are equal and do not learn: then they look once for all.

    Raises:
        InputError: a picture cannot be read, or a loss or theta is not finite.
        KeyboardInterrupt: stopped by a signal, with the state saved.
    """
    waiting = [one for one in trainees.values() if one.state.step < one.options.steps]
    if not waiting:
        return
    if shared:
        share_first_stage([one.state.model for one in waiting])
    options, start = waiting[0].options, min(one.state.step for one in waiting)
    stop, watch = Stop(), {id(one): StepWatch() for one in waiting}
    steps = range(start, options.steps)
    with stop.listening(), loading(training_loader(pictures, options, pace, ALONE, start)) as batches:
        for step in tqdm(steps, desc=", ".join(trainees), initial=start, total=options.steps):
            batch = next(batches)
            if isinstance(batch, InputError):
                raise batch
            for one in waiting:
                if one.state.step == step:
                    learn(one, batch, pace, watch[id(one)])
            if stop.asked or due(step + 1, SAVE_EVERY, options.steps):
                for one in waiting:
                    if one.state.step == step + 1:
                        one.save()
            if stop.asked:
                raise KeyboardInterrupt


def learn(one: Trainee, batch: Any, pace: TrainingPace, watch: StepWatch) -> None:
    """One step of one detector, and a line of its log where one is due."""
    step = one.state.step
    torch.manual_seed(1_000_000 * one.options.seed + step)
    logging = due(step + 1, pace.log_every, one.options.steps)
    watch.read(1)
    with theta_statistics(one.state.model, logging) as theta:
        losses = training_step(one.state.model, batch, one.state, one.options, torch.device(pace.device))
    if logging:
        one.directory.log(one.state.step, {"losses": losses, **theta_entry(theta), **watch.read(1)})
