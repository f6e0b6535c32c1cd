"""What the experiments share: trainings that go on after a kill, results that are kept, times, figures in documents."""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from datasets.errors import InputError
from datasets.output import whole_file

CHECKPOINT_SECONDS = 60.0


def add_arguments(parser: argparse.ArgumentParser, *, steps: int | dict[str, int], output: str) -> None:
    """The flags that all experiments have; --steps is None by default where there are several by name."""
    if isinstance(steps, dict):
        default, said = None, ", ".join(f"{name} {number}" for name, number in steps.items())
    else:
        default, said = steps, str(steps)
    parser.add_argument(
        "--output", type=Path, default=Path(output), metavar="DIR", help=f"where results are kept (default {output})"
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings of each network (default 3)")
    parser.add_argument("--steps", type=int, default=default, metavar="N", help=f"a training (default {said})")
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu, cuda, cuda:1 ... (default cpu)")
    parser.add_argument("--document", type=Path, metavar="FILE", help="Markdown whose block to rewrite, with pictures")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="JSON whose entry to rewrite")
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it runs (minutes on 2 cores)")


def cosine(step: int, steps: int, warmup: int = 0) -> float:
    """Share of the learning rate at a step: linear warm-up, then half a cosine down to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2


def fit(
    model: nn.Module,
    loss: Callable[[int], Tensor],
    optimizer: torch.optim.Optimizer,
    steps: int,
    *,
    rate: Callable[[int], float],
    checkpoint: Path,
    words: str,
) -> float:
    """Train a model to its last step, from its checkpoint where there is one; the checkpoint is removed at the end.

    Args:
        model: in training mode afterwards.
        loss: of a step, a scalar. What it draws must follow from the step alone, so that a resumed training goes on
            as if nothing had happened.
        optimizer: of the model; each group's learning rate is multiplied by `rate`.
        steps: in all.
        rate: share of the learning rate at a step.
        checkpoint: written every minute.
        words: beside the progress bar.

    Returns:
        Seconds of training, those before a kill included.

    Raises:
        InputError: a loss is not finite, or the checkpoint cannot be written.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    first, seconds = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, seconds = state["step"], state["seconds"]
    model.train()
    start = saved = time.monotonic()
    bar = tqdm(range(first, steps), desc=words, initial=first, total=steps, leave=False, mininterval=1)
    for step in bar:
        for group, learning_rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = learning_rate * rate(step)
        value = loss(step)
        if step % 50 == 0 and not math.isfinite(shown := value.item()):
            raise InputError(f"{words}: the loss is {shown} at step {step}: lower the learning rate")
        if step % 50 == 0:
            bar.set_postfix(loss=f"{shown:.3f}", refresh=False)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        if (now := time.monotonic()) - saved > CHECKPOINT_SECONDS:
            saved = now
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            with whole_file(checkpoint) as temporary:
                torch.save(state | {"seconds": seconds + now - start}, temporary)
    checkpoint.unlink(missing_ok=True)
    return seconds + time.monotonic() - start


def kept(file: Path, conditions: dict[str, Any], work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` gives, read from `file` where it was kept there for the same conditions."""
    if file.exists():
        result = json.loads(file.read_text())
        if result["conditions"] == conditions:
            return result
    result = work() | {"conditions": conditions}
    with whole_file(file) as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n")
    return result


def in_turn(work: dict[str, Callable[[], object]], rounds: int, device: str | torch.device) -> dict[str, float]:
    """Median seconds of pieces of work that take turns, so that what else the machine does meets all of them.

    On a CPU the processor's seconds, which other processes hardly lengthen. A first round warms up and does not count.
    """
    device = torch.device(device)
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for number in tqdm(range(rounds + 1), desc="timing", leave=False):
        for name, piece in work.items():
            start = clock(device)
            piece()
            if number:
                seconds[name].append(clock(device) - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def clock(device: torch.device) -> float:
    """Seconds: of the processor for a CPU, by the clock for a GPU whose queue is empty."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def spread(values: list[float], digits: int = 1) -> str:
    """Mean of the seeds and, in brackets, smallest to largest; the value where there is one seed."""
    if not values:
        return "not run"
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def seeds(runs: Iterable[list]) -> str:
    """How many seeds each network had that had any: "3 seeds", "1 to 3 seeds"."""
    counts = sorted({len(some) for some in runs if some}) or [0]
    if counts == [1]:
        return "1 seed"
    return f"{counts[0]} seeds" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"


def write_figures(file: Path, experiment: str, figures: dict[str, Any]) -> None:
    """Set the entry of one experiment in a JSON file of all of them.

    Raises:
        InputError: the file is there and is no JSON object.
    """
    everything = {}
    if file.exists():
        try:
            everything = dict(json.loads(file.read_text()))
        except (ValueError, TypeError):
            raise InputError(f"{file} is not a JSON object: mend it or choose another --figures") from None
    everything[experiment] = figures
    with whole_file(file) as temporary:
        temporary.write_text(json.dumps(everything, indent=2) + "\n")
