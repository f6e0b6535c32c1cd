"""What the experiments share: their flags, results that are kept, times, cells of tables, figures."""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from upright.detector.engines.torch_engine import choose_device
from upright.errors import InputError
from upright.output import whole_file
from upright.tools.report import around_block, write_block

Network = TypeVar("Network", bound=nn.Module)


def add_arguments(parser: argparse.ArgumentParser, *, steps: int | dict[str, int], output: str) -> None:
    """The flags that all experiments have; --steps is None by default where there are several by name."""
    if isinstance(steps, dict):
        default, said = None, ", ".join(f"{name} {number}" for name, number in steps.items())
    else:
        default, said = steps, str(steps)
    parser.add_argument(
        "--output", type=Path, default=Path(output), metavar="DIR", help=f"where results are kept (default {output})"
    )
    parser.add_argument("--seeds", type=positive, default=3, metavar="N", help="trainings of each network (default 3)")
    parser.add_argument("--steps", type=positive, default=default, metavar="N", help=f"a training (default {said})")
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu, cuda, cuda:1 ... (default cpu)")
    parser.add_argument("--document", type=Path, metavar="FILE", help="Markdown whose block to rewrite, with pictures")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="JSON whose entry to rewrite")
    parser.add_argument(
        "--quick", action="store_true", help="a short run below --output, to see that it runs (minutes on 2 cores)"
    )


def add_shared_arguments(parser: argparse.ArgumentParser, networks: Iterable[str]) -> None:
    """The flags of experiments whose trainings can be shared between processes and collected afterwards."""
    networks = list(networks)
    parser.add_argument(
        "--networks", nargs="+", choices=networks, default=networks, metavar="NAME", help="to train (default all)"
    )
    parser.add_argument("--collect", action="store_true", help="train nothing, write what is kept")


def positive(text: str) -> int:
    """A flag's value, 1 or more."""
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def parsed(parser: argparse.ArgumentParser, block: str, quick: Mapping[str, float]) -> argparse.Namespace:
    """The command line. What would fail after hours of training fails here.

    Args:
        parser: with `add_arguments`.
        block: of --document, that is written in the end.
        quick: the most that --quick does, by the name of the argument. It also keeps its results apart.

    Raises:
        InputError: no such device, no such block in the document, or the figures are not a JSON object.
    """
    arguments = parser.parse_args()
    choose_device(arguments.device)
    refuse_places(arguments, block)
    if arguments.quick:
        arguments.output /= "quick"
        for name, most in {"seeds": 1, **quick}.items():
            given = getattr(arguments, name)
            setattr(arguments, name, most if given is None else min(most, given))
    return arguments


def command(*places: str) -> str:
    """The command of this training for a document: as it was given, without --collect.

    Args:
        places: flags that say where somebody's copy of the data lies; they are left out with all their values.
    """
    shown: list[str] = []
    left_out = False
    for word in sys.argv:
        if word.startswith("--"):
            left_out = word == "--collect" or word.partition("=")[0] in places
        if not left_out:
            shown.append(word)
    return f"`python {shlex.join(shown)}`"


def kept(file: Path, conditions: dict[str, Any], work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` gives, read from `file` where it was kept there for the same conditions.

    The checkpoint of a training, `file` with the suffix .checkpoint.pt, is removed when its result is kept.
    """
    if (result := found(file, conditions)) is not None:
        return result
    result = work() | {"conditions": conditions}
    with whole_file(file) as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n")
    file.with_suffix(".checkpoint.pt").unlink(missing_ok=True)
    return result


def found(file: Path, conditions: dict[str, Any]) -> dict[str, Any] | None:
    """What is kept in `file` for these conditions.

    Raises:
        InputError: it holds no result.
    """
    if not file.exists():
        return None
    try:
        result = json.loads(file.read_text())
        return result if result["conditions"] == conditions else None
    except (OSError, ValueError, TypeError, KeyError):
        raise InputError(f"{file} holds no result of an experiment: delete it") from None


def require_any(output: Path, runs: Iterable[list]) -> None:
    """Raises InputError where nothing is kept."""
    if not any(runs):
        raise InputError(f"{output} keeps no training of these settings: check them, or leave --collect away")


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


def step_and_inference(
    networks: Mapping[str, Network],
    optimizers: Mapping[str, torch.optim.Optimizer],
    loss: Callable[[Network], Tensor],
    infer: Callable[[Network], object],
    rounds: int,
    device: str | torch.device,
) -> dict[str, dict[str, float]]:
    """Median seconds of a training step and of an inference, as `in_turn` measures them.

    Args:
        networks: by name; they learn a little by it.
        optimizers: by the same names.
        loss: of a network in training mode, a scalar.
        infer: what is timed as inference, of a network in evaluation mode.
        rounds: that count.
        device: of the networks.

    Returns:
        "step" and "inference": seconds by the name of the network.
    """

    def step(name: str) -> None:
        value = loss(networks[name].train())
        optimizers[name].zero_grad(set_to_none=True)
        value.backward()
        optimizers[name].step()

    @torch.inference_mode()
    def inference(name: str) -> None:
        infer(networks[name].eval())

    return {
        what: in_turn({name: partial(work, name) for name in networks}, rounds, device)
        for what, work in (("step", step), ("inference", inference))
    }


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


def minutes(results: list[dict[str, Any]]) -> str:
    """Mean processor time of a training, of the results of several."""
    if not results:
        return "not run"
    return f"{statistics.fmean(result['processor_seconds'] for result in results) / 60:.1f}"


def seeds(runs: Iterable[list]) -> str:
    """How many seeds each network had that had any, and what `spread` shows of them."""
    counts = sorted({len(some) for some in runs if some})
    if counts == [1]:
        return "one seed"
    number = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"mean of {number} seeds (smallest to largest)"


def refuse_places(options: argparse.Namespace, *blocks: str) -> None:
    """Check --document and --figures, before the work and not after it.

    Raises:
        InputError: the document lacks a block, or the figures are not a JSON object.
    """
    if options.document:
        for block in blocks:
            around_block(options.document, block)
    if options.figures:
        read_figures(options.figures)


def write_places(options: argparse.Namespace, block: str, lines: list[str], figures: dict[str, Any]) -> None:
    """Write a block of --document and an entry of --figures, where they were asked for."""
    if options.document:
        write_block(options.document, block, lines)
    if options.figures:
        write_figures(options.figures, block, figures)


def read_figures(file: Path) -> dict[str, Any]:
    """The entries of all experiments, none where there is no such file.

    Raises:
        InputError: the file is there and is not a JSON object.
    """
    if not file.exists():
        return {}
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        raise InputError(f"{file} is not a JSON object: mend it or choose another --figures") from None


def write_figures(file: Path, experiment: str, figures: dict[str, Any]) -> None:
    """Set the entry of one experiment in a JSON file of all of them; raises as `read_figures`."""
    everything = read_figures(file) | {experiment: figures}
    with whole_file(file) as temporary:
        temporary.write_text(json.dumps(everything, indent=2) + "\n")
