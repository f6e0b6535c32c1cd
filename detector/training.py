"""The training loop: parameter groups, schedule, checkpoints, resumption, several processes."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from tqdm import tqdm

from upright.datasets.batches import TrainingBatches, TrainingPictures, collate
from upright.detector.model import Detector
from upright.detector.run_directory import RunDirectory
from upright.detector.weights import save_weights
from upright.errors import InputError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
LEARNING_RATES = {"sgd": 0.01, "adamw": 5e-4}


@dataclass(frozen=True)
class TrainingOptions:
    """What decides the weights that a training ends with, besides model and pictures."""

    steps: int
    batch_size: int = 8  # of all processes together
    optimizer: str = "adamw"
    learning_rate: float = LEARNING_RATES["adamw"]
    weight_decay: float = 0.01  # not on biases
    warmup_steps: int = 100
    final_rate: float = 0.01  # of the learning rate, at the end of the cosine
    backbone_rate: float = 0.2  # of the learning rate: ImageNet's features are to be kept
    localisation_rate: float = 0.2  # of the learning rate: theta moves every sample of a region at once
    clip_norm: float = 10.0
    precision: str = "float32"
    seed: int = 0


@dataclass(frozen=True)
class TrainingPace:
    """How a training is run; none of it changes the weights."""

    workers: int = 1
    device: str = "cpu"
    log_every: int = 20  # steps
    checkpoint_minutes: float = 5.0
    validate_every: int = 0  # steps; 0: never


def parameter_groups(model: Detector, options: TrainingOptions) -> list[dict[str, Any]]:
    """Backbone, localisation networks and the rest, each with its "rate"; biases without weight decay."""
    localisation = model.pose_pool.localisation if model.pose_pool else nn.Module()
    rates = {id(p): options.backbone_rate for p in model.backbone.stages.parameters()}
    rates |= {id(p): options.localisation_rate for p in localisation.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            decay = options.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rates.get(id(parameter), 1.0), decay), []).append(parameter)
    return [{"params": p, "rate": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]


def build_optimizer(model: Detector, options: TrainingOptions) -> torch.optim.Optimizer:
    groups = parameter_groups(model, options)
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=0.9)
    return torch.optim.AdamW(groups, lr=options.learning_rate)


def schedule(step: int, options: TrainingOptions) -> float:
    """Share of the learning rate at a step: linear warm-up, then half a cosine down to `final_rate`."""
    if step < options.warmup_steps:
        return (step + 1) / options.warmup_steps
    progress = (step - options.warmup_steps) / max(1, options.steps - options.warmup_steps)
    return options.final_rate + (1 - options.final_rate) * (1 + math.cos(math.pi * progress)) / 2


def theta_entry(model: Detector) -> dict[str, Any]:
    """Theta of the last step by transformer, for the log: mean, deviation between regions, share at the bounds.

    Raises:
        InputError: theta of a transformer is not finite. The sampler would pass it on as finite values.
    """
    pool = model.pose_pool
    if pool is None or pool.last_raw is None:
        return {}
    statistics = pool.theta.statistics(pool.last_raw)
    for number, finite in enumerate(statistics.finite.tolist()):
        if not finite:
            raise InputError(f"theta of transformer {number} is not finite: lower --learning-rate")
    return {
        "theta": {
            str(i): {
                "mean": [round(v, 4) for v in statistics.mean[i].tolist()],
                "deviation": [round(v, 5) for v in statistics.deviation[i].tolist()],
                "mean_deviation": statistics.deviation[i].mean().item(),
                "at_bounds": statistics.at_bounds[i].mean().item(),
            }
            for i in range(len(statistics.mean))
        }
    }


class Stop:
    """Ctrl-C or a polite kill ends a training after the step in hand; a second one at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        before = {number: signal.signal(number, self) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@dataclass(frozen=True)
class Processes:
    """The processes of a `torchrun`, or this one alone."""

    rank: int = 0
    count: int = 1

    @classmethod
    def joined(cls, device: str) -> Processes:
        """Join the others where `torchrun` started this process."""
        if "RANK" not in os.environ:
            return cls()
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        return cls(dist.get_rank(), dist.get_world_size())

    def gathered(self, value: Any) -> list[Any]:
        """The values of all processes, in each of them."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def any(self, flag: bool) -> bool:
        return any(self.gathered(flag)) if self.count > 1 else flag


def train(
    model: Detector,
    pictures: TrainingPictures,
    options: TrainingOptions,
    pace: TrainingPace,
    directory: RunDirectory | None,
    processes: Processes,
    validate: Callable[[Detector], dict[str, Any]] | None = None,
    provenance: dict[str, Any] | None = None,
) -> None:
    """Train a detector to the end of its schedule, from its checkpoint where there is one.

    Args:
        model: in training mode, on `pace.device`.
        pictures: to learn from.
        options, pace: see there.
        directory: where the run is kept; None in all processes but the first.
        processes: of `torchrun`.
        validate: figures of the model, "score" among them: the larger, the better. Called in the first process.
        provenance: stored in the weights files.

    Raises:
        InputError: a picture cannot be read, or a loss or theta is not finite.
        KeyboardInterrupt: stopped by a signal, with the state saved.
    """
    device = torch.device(pace.device)
    optimizer = build_optimizer(model, options)
    scaler = torch.amp.GradScaler(device.type, enabled=options.precision == "float16")
    torch.manual_seed(options.seed + 1000 * processes.rank)
    step, best = 0, -math.inf
    state = processes_checkpoint(directory, processes)
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"][processes.rank])
        if device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"][processes.rank])
        step, best = state["step"], state["best"]

    batches = TrainingBatches(
        pictures.portrait(),
        options.batch_size,
        options.seed,
        start=step,
        rank=processes.rank,
        processes=processes.count,
    )
    loader = DataLoader(
        pictures,
        batch_sampler=batches,
        num_workers=pace.workers,
        collate_fn=collate,
        pin_memory=device.type == "cuda",
        # An own generator: the loader would draw from the global one, and a resumed run would differ.
        generator=torch.Generator().manual_seed(options.seed),
    )
    runner: nn.Module = DistributedDataParallel(model) if processes.count > 1 else model
    stop = Stop()

    def save() -> None:
        random = processes.gathered(torch.get_rng_state())
        cuda = processes.gathered(torch.cuda.get_rng_state() if device.type == "cuda" else torch.empty(0))
        if directory is not None:
            directory.save_checkpoint(
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "scaler": scaler.state_dict(),
                    "step": step,
                    "best": best,
                    "random": random,
                    "random_cuda": cuda,
                }
            )
            save_weights(directory.path / "last.safetensors", model, {**(provenance or {}), "steps": step})

    saved_at = logged_at = time.monotonic()
    with (
        stop.listening(),
        tqdm(total=options.steps, initial=step, desc="training", disable=directory is None) as bar,
    ):
        for batch in loader if step < options.steps else ():
            if isinstance(batch, InputError):
                raise batch
            for group in optimizer.param_groups:
                group["lr"] = options.learning_rate * group["rate"] * schedule(step, options)
            losses = training_step(runner, batch, optimizer, scaler, options, device)
            step += 1
            logging = step % pace.log_every == 0 or step == options.steps
            if logging:
                entry = {"losses": losses, "learning_rate": options.learning_rate * schedule(step - 1, options)}
                entry |= theta_entry(model)
                now = time.monotonic()
                entry["seconds_a_step"] = (now - logged_at) / pace.log_every
                logged_at = now
                if directory is not None:
                    directory.log(step, entry)
            bar.update()
            bar.set_postfix(
                {name.removeprefix("loss_"): f"{value:.3f}" for name, value in losses.items()}, refresh=False
            )
            ended = step == options.steps
            if validate and (ended or (pace.validate_every and step % pace.validate_every == 0)):
                if directory is not None:
                    figures = validate(model)
                    directory.log(step, {"validation": figures})
                    bar.write(f"step {step}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items() if v is not None))
                    if figures["score"] > best:
                        best = figures["score"]
                        save_weights(
                            directory.path / "best.safetensors", model, {**(provenance or {}), "steps": step, **figures}
                        )
                model.train()
            late = time.monotonic() - saved_at > 60 * pace.checkpoint_minutes
            asked = processes.any(stop.asked)
            if ended or asked or processes.any(late):
                save()
                saved_at = time.monotonic()
            if asked:
                raise KeyboardInterrupt
            if ended:
                break


def processes_checkpoint(directory: RunDirectory | None, processes: Processes) -> dict[str, Any] | None:
    """The first process's checkpoint, in every process."""
    state = directory.load_checkpoint() if directory is not None else None
    if processes.count == 1:
        return state
    states = [state]
    dist.broadcast_object_list(states, src=0)
    return states[0]


def training_step(
    model: nn.Module,
    batch: tuple[list[Tensor], list[dict[str, Any]]],
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    options: TrainingOptions,
    device: torch.device,
) -> dict[str, float]:
    """One step; the losses by name, their sum as "loss".

    Raises:
        InputError: the loss is not finite; nothing was learnt from it.
    """
    images = [image.to(device, non_blocking=True).float().div(255) for image in batch[0]]
    targets = [
        {name: value.to(device) if isinstance(value, Tensor) else value for name, value in target.items()}
        for target in batch[1]
    ]
    dtype = PRECISIONS[options.precision]
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        losses = model(images, targets)
    total = torch.stack([loss.float() for loss in losses.values()]).sum()
    values = {name: loss.item() for name, loss in losses.items()} | {"loss": total.item()}
    if not math.isfinite(values["loss"]):
        ids = ", ".join(str(target["image_id"]) for target in batch[1])
        raise InputError(f"the loss is not finite on the pictures {ids}: look at their boxes, or lower --learning-rate")
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(total).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), options.clip_norm)
    scaler.step(optimizer)
    scaler.update()
    return values
