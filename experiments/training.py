"""Trainings that resume after a kill as if nothing had happened, and the weights they leave."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from upright.errors import InputError
from upright.experiments.harness import clock
from upright.output import whole_file

Network = TypeVar("Network", bound=nn.Module)

CHECKPOINT_SECONDS = 60.0


def cosine(step: int, steps: int, warmup: int = 0) -> float:
    """Share of the learning rate at a step: linear warm-up, then half a cosine down to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2


class Checkpoint:
    """The state of a training, restored from its file where there is one, and the time that the training has taken.

    Args:
        file: of the checkpoint.
        conditions: of the training; a checkpoint of others is ignored until it is overwritten.
        model: whose weights are restored and saved.
        optimizer: of the model, likewise.

    Raises:
        InputError: the file is damaged.
    """

    def __init__(
        self, file: Path, conditions: dict[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        self.file, self.conditions, self.model, self.optimizer = file, conditions, model, optimizer
        self.step = 0  # the first one that is still to be done
        self._device = next(model.parameters()).device
        self._spent = {"seconds": 0.0, "processor_seconds": 0.0}  # before a kill
        state = read_tensors(file, self._device) if file.exists() else {}
        if state.get("conditions") == conditions:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            self.step, self._spent = state["step"], state["spent"]
        self._start, self._processor = time.monotonic(), clock(self._device)
        self._saved = self._start

    def times(self) -> dict[str, float]:
        """The "seconds" by the clock and "processor_seconds" as `clock` has them, those before a kill included."""
        now = {"seconds": time.monotonic() - self._start, "processor_seconds": clock(self._device) - self._processor}
        return {name: self._spent[name] + value for name, value in now.items()}

    def save(self) -> None:
        """Write the file, whole."""
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        with whole_file(self.file) as temporary:
            torch.save(state | {"conditions": self.conditions, "spent": self.times()}, temporary)

    def save_now_and_then(self) -> None:
        """Write the file if the last time is longer ago than `CHECKPOINT_SECONDS`."""
        if time.monotonic() - self._saved > CHECKPOINT_SECONDS:
            self._saved = time.monotonic()
            self.save()


def fit(
    model: nn.Module,
    loss: Callable[[int], Tensor],
    optimizer: torch.optim.Optimizer,
    steps: int,
    *,
    rate: Callable[[int], float],
    checkpoint: Path,
    conditions: dict[str, Any],
    words: str,
) -> dict[str, float]:
    """Train a model to its last step, from its checkpoint where there is one.

    Args:
        model: in training mode afterwards.
        loss: of a step, a scalar. What it draws must follow from the step alone, so that a resumed training goes on
            as if nothing had happened.
        optimizer: of the model; each group's learning rate is multiplied by `rate`.
        steps: in all.
        rate: share of the learning rate at a step.
        checkpoint: written every minute and at the end: what follows may be stopped too. `kept` removes it.
        conditions: of the training, see `Checkpoint`.
        words: beside the progress bar.

    Returns:
        "seconds" by the clock and "processor_seconds" as `clock` has them, those before a kill included.

    Raises:
        InputError: a loss is not finite, or the checkpoint cannot be read or written.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    state = Checkpoint(checkpoint, conditions, model, optimizer)
    first = state.step
    model.train()
    bar = tqdm(range(first, steps), desc=words, initial=first, total=steps, leave=False, mininterval=1)
    for step in bar:
        for group, learning_rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = learning_rate * rate(step)
        value = loss(step)
        if step % 50 == 0 or step == steps - 1:
            if not math.isfinite(shown := value.item()):
                raise InputError(f"{words}: the loss is {shown} at step {step}: lower the learning rate")
            bar.set_postfix(loss=f"{shown:.3f}", refresh=False)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        state.step = step + 1
        state.save_now_and_then()
    if first < steps:
        state.save()
    return state.times()


def read_tensors(file: Path, device: str | torch.device) -> dict[str, Any]:
    """What `torch.save` wrote.

    Raises:
        InputError: it is damaged.
    """
    try:
        return torch.load(file, weights_only=True, map_location=device)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"{file} is damaged ({type(error).__name__}): delete it") from None


def load_weights(network: Network, file: Path, device: str | torch.device) -> Network:
    """A network with the weights that were kept beside its result, for inference.

    Raises:
        InputError: they are missing, damaged or another network's.
    """
    again = "delete the .json beside it, so that the network is trained again"
    if not file.exists():
        raise InputError(f"{file} is missing: {again}")
    try:
        network.load_state_dict(read_tensors(file, device))
    except RuntimeError:
        raise InputError(f"{file} holds another network: {again}") from None
    return network.eval()


def parameters(module: nn.Module) -> int:
    """Numbers that it learns."""
    return sum(parameter.numel() for parameter in module.parameters())
