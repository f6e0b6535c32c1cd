"""Flags that say which engine a detector runs on, and the detector that they ask for."""

from __future__ import annotations

import argparse
import os

from upright.detector.engines.choice import has_gpu, open_engine
from upright.detector.engines.engine import ENGINES, PRECISIONS, Engine, Precision


def add_engine_flags(parser: argparse.ArgumentParser | argparse._ArgumentGroup, precision: Precision = "auto") -> None:
    """`--engine`, `--precision` with this default, and `--device`."""
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="what the detector runs on (default: auto: torch on a GPU and for weights files, OpenVINO otherwise)",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=precision,
        help="auto: bfloat16 where OpenVINO's processor multiplies in it, float32 otherwise (default: %(default)s)",
    )
    parser.add_argument(
        "--device", metavar="D", help="of torch: cpu, cuda, cuda:1 ... (default: a GPU if there is one)"
    )


def chosen_engine(arguments: argparse.Namespace) -> Engine:
    """The detector of `--weights` on the engine of the flags; each of several processes has its own GPU."""
    device, rank = arguments.device, os.environ.get("LOCAL_RANK")
    if device is None and rank is not None and arguments.engine in ("auto", "torch") and has_gpu():
        device = f"cuda:{rank}"
    return open_engine(arguments.weights, arguments.engine, device=device, precision=arguments.precision)
