"""The training loop: parameter groups, schedule, validation; its state is kept by `TrainingState`."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from tqdm import tqdm

from upright.datasets.batches import TrainingBatches, TrainingPictures, collate
from upright.detector.model import Detector
from upright.detector.processes import Processes, Stop, deaf_children
from upright.detector.run_directory import RunDirectory
from upright.detector.spatial_transformer import ThetaStatistics
from upright.detector.training_options import TrainingOptions, TrainingPace
from upright.detector.training_state import TrainingState
from upright.errors import InputError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# Figures of a detector by name, "score" among them.
Validate = Callable[[Detector], dict[str, float | None]]


def leave_out(model: Detector, learn: Sequence[str]) -> None:
    """Let only these parts of a detector learn, see `TrainingOptions.learn`.

    Raises:
        InputError: the detector has none of them.
    """
    if "all" in learn:
        return
    heads = model.roi_heads
    parts: dict[str, nn.Module | None] = {
        "backbone": model.backbone,
        "proposals": model.rpn,
        "transformers": model.pool.localisation,
        "regions": heads.box_head,
        "second_look": heads.second_look,
    }
    for name, part in parts.items():
        if part is not None and name not in learn:
            part.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError(f"--learn {' '.join(learn)}: this detector has no such part, so that nothing would be learnt")


def parameter_groups(model: Detector, options: TrainingOptions) -> list[dict[str, Any]]:
    """What starts from published weights, localisation networks and the rest, each with its "rate".

    Biases are without weight decay.
    """
    rates = {id(p): options.backbone_rate for part in model.pretrained for p in part.parameters()}
    rates |= {id(p): options.localisation_rate for p in model.pool.localisation.parameters()}
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


def moving_average(model: Detector, options: TrainingOptions) -> AveragedModel | None:
    """The exponential moving average of the weights, where there is to be one."""
    if options.ema_decay == 0:
        return None

    def average(kept: Sequence[Tensor], current: Sequence[Tensor], averaged: Tensor | int) -> None:
        # It begins by following closely: a training of few steps would end where it began.
        decay = min(options.ema_decay, (1 + int(averaged)) / (10 + int(averaged)))
        torch._foreach_lerp_(list(kept), list(current), 1 - decay)

    return AveragedModel(model, multi_avg_fn=average)


def schedule(step: int, options: TrainingOptions) -> float:
    """Share of the learning rate at a step: linear warm-up, then half a cosine down to `final_rate`."""
    if step < options.warmup_steps:
        return (step + 1) / options.warmup_steps
    progress = (step - options.warmup_steps) / max(1, options.steps - options.warmup_steps)
    return options.final_rate + (1 - options.final_rate) * (1 + math.cos(math.pi * progress)) / 2


def theta_statistics(model: Detector, logging: bool) -> AbstractContextManager[list[ThetaStatistics]]:
    """Those of a step that is logged; they cost too much to be gathered in every one."""
    return model.pool.theta_statistics() if logging else nullcontext([])


def theta_entry(statistics: list[ThetaStatistics]) -> dict[str, Any]:
    """Theta by transformer, for the log: mean, standard deviation between regions, share at the bounds.

    Args:
        statistics: what `theta_statistics` of the pool gave, the last one counts; empty in the baseline.

    Raises:
        InputError: theta of a transformer is not finite. The sampler would pass it on as finite values.
    """
    if not statistics:
        return {}
    last = statistics[-1]
    for number, finite in enumerate(last.finite.tolist()):
        if not finite:
            raise InputError(f"theta of transformer {number} is not finite: lower --learning-rate")
    return {
        "theta": {
            str(i): {
                "mean": [round(v, 4) for v in last.mean[i].tolist()],
                "std": [round(v, 5) for v in last.std[i].tolist()],
                "mean_std": last.std[i].mean().item(),
                "at_bounds": last.at_bounds[i].mean().item(),
            }
            for i in range(len(last.mean))
        }
    }


def training_loader(
    pictures: TrainingPictures, options: TrainingOptions, pace: TrainingPace, processes: Processes, start: int
) -> DataLoader:
    """This process's share of the batches from step `start` on, for ever."""
    batches = TrainingBatches(
        pictures.portrait(),
        options.batch_size,
        options.seed,
        start=start,
        rank=processes.rank,
        processes=processes.count,
    )
    return DataLoader(
        pictures,
        batch_sampler=batches,
        num_workers=pace.workers,
        collate_fn=collate,
        pin_memory=pace.device.startswith("cuda"),
        # An own generator: the loader would draw from the global one, and a resumed run would differ.
        generator=torch.Generator().manual_seed(options.seed),
    )


@contextmanager
def loading(loader: DataLoader) -> Iterator[Iterator[Any]]:
    """The batches of a loader; its workers live as long as the block."""
    with deaf_children():
        batches = iter(loader)
    try:
        yield batches
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise InputError(
            f"a process that loads pictures has died ({' '.join(str(error).split()).rstrip('. ')}), as it does when "
            "memory runs out: use fewer --workers or a smaller --batch-size, and go on with --resume"
        ) from None
    finally:
        # An error that is on its way up keeps `batches` alive, and the workers would outlive the training.
        getattr(batches, "_shutdown_workers", lambda: None)()


def train(
    model: Detector,
    pictures: TrainingPictures,
    options: TrainingOptions,
    pace: TrainingPace,
    *,
    directory: RunDirectory | None,
    processes: Processes,
    validate: Validate | None = None,
) -> None:
    """Train a detector to the end of its schedule, from its checkpoint where there is one.

    Longer than other functions, so that a training can be read from top to bottom.

    Args:
        model: in training mode, on `pace.device`.
        pictures, options, pace: what it learns from, and how.
        directory: where the run is kept; None in all processes but the first.
        processes: of `torchrun`.
        validate: called in the first process; "score" is the larger, the better, or None where there is none.

    Raises:
        InputError: a picture cannot be read, or a loss or theta is not finite.
        KeyboardInterrupt: stopped by a signal, with the state saved.
    """
    device = torch.device(pace.device)
    scaler = torch.amp.GradScaler(device.type, enabled=options.precision == "float16")
    torch.manual_seed(options.seed + 1000 * processes.rank)
    leave_out(model, options.learn)
    state = TrainingState(model, build_optimizer(model, options), scaler, moving_average(model, options))
    state.load(directory, processes)
    runner: nn.Module = DistributedDataParallel(model) if processes.count > 1 else model
    loader = training_loader(pictures, options, pace, processes, state.step)
    stop = Stop()
    saved_at = time.monotonic()
    watch = StepWatch()
    if state.step >= options.steps and directory is not None:
        print(f"{directory.path} has done its {options.steps} steps; {directory.longer()}", file=sys.stderr)
    with (
        stop.listening(),
        progress(state.step, options.steps, directory) as bar,
        loading(loader) if state.step < options.steps else nullcontext(()) as batches,
    ):
        if validate and state.validated < state.step and due(state.step, pace.validate_every, options.steps):
            run_validation(validate, state, directory, processes)  # stopped while it was under way
        for batch in batches:
            if isinstance(batch, InputError):
                raise batch
            logging = due(state.step + 1, pace.log_every, options.steps)
            with theta_statistics(model, logging) as theta:
                losses = training_step(runner, batch, state, options, device)
            bar.update()
            bar.set_postfix({name.removeprefix("loss_"): f"{v:.3f}" for name, v in losses.items()}, refresh=False)
            if logging:
                entry = {"losses": losses, "learning_rate": options.learning_rate * schedule(state.step - 1, options)}
                log(directory, state.step, {**entry, **theta_entry(theta), **watch.read(pace.log_every)})
            ended = state.step == options.steps
            validating = validate is not None and due(state.step, pace.validate_every, options.steps)
            stopped = processes.any(stop.asked)
            late = processes.any(time.monotonic() - saved_at > 60 * pace.checkpoint_minutes)
            if ended or validating or stopped or late:
                state.save(directory, processes)
                saved_at = time.monotonic()
            if stopped:
                raise KeyboardInterrupt
            if validating and validate is not None:
                run_validation(validate, state, directory, processes)
            if ended:
                break


class StepWatch:
    """What steps take, of the clock and of the processor, since it was made or last read."""

    def __init__(self) -> None:
        self._times = (time.monotonic(), time.process_time())

    def read(self, steps: int) -> dict[str, float]:
        """Entries of the log, when so many steps were done."""
        before, self._times = self._times, (time.monotonic(), time.process_time())
        seconds, worked = ((now - then) / steps for now, then in zip(self._times, before, strict=True))
        return {"seconds_a_step": seconds, "processor_seconds_a_step": worked}


def log(directory: RunDirectory | None, step: int, entry: dict[str, Any]) -> None:
    """An entry of the log, in the process that keeps the run."""
    if directory is not None:
        directory.log(step, entry)


def due(step: int, every: int, last: int) -> bool:
    """Whether what happens every so many steps, 0 is never, and after the last one happens after this one."""
    return step == last or (every > 0 and step % every == 0)


def progress(done: int, steps: int, directory: RunDirectory | None) -> tqdm:
    """The bar of a training, shown by the process that keeps the run."""
    return tqdm(total=steps, initial=done, desc="training", disable=directory is None)


def run_validation(
    validate: Validate, state: TrainingState, directory: RunDirectory | None, processes: Processes
) -> None:
    """Log the figures of the model and keep it if it is the best so far; then save that this was done.

    The first process does it. The others wait for it here, and not in a step's collectives, whose patience is short.
    """
    if directory is not None:
        figures = validate(state.released.eval())
        score = figures["score"]
        if score is not None and (state.best is None or score > state.best):
            state.best = score
            directory.save_weights("best.safetensors", state.released, {"steps": state.step, **figures})
        directory.log(state.step, {"validation": figures})
        tqdm.write(f"step {state.step}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items() if v is not None))
    state.model.train()
    state.validated = state.step
    processes.wait()
    state.save(directory, processes)


def training_step(
    model: nn.Module,
    batch: tuple[list[Tensor], list[dict[str, Any]]],
    state: TrainingState,
    options: TrainingOptions,
    device: torch.device,
) -> dict[str, float]:
    """One step; the losses by name, their sum as "loss".

    Args:
        model: that of the state, or what runs it in several processes.
        batch: images uint8 (3, H, W) and their targets.
        state: its optimizer and step go on.
        options: of the training.
        device: where the model is.

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
    for group in state.optimizer.param_groups:
        group["lr"] = options.learning_rate * group["rate"] * schedule(state.step, options)
    state.optimizer.zero_grad(set_to_none=True)
    state.scaler.scale(total).backward()
    state.scaler.unscale_(state.optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), options.clip_norm)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    if state.average is not None:
        state.average.update_parameters(state.model)
    state.step += 1
    return values
