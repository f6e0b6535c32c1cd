"""Flags that say which engine a detector runs on, and the detector that they ask for."""

from __future__ import annotations

import argparse
import os

from upright.detector.engines.choice import has_gpu, open_engine
from upright.detector.engines.engine import ENGINES, PRECISIONS, Engine, Precision
from upright.detector.tiles import TiledEngine
from upright.errors import InputError

LARGEST = 4096  # pixels a side


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
    parser.add_argument(
        "--size",
        type=int,
        metavar="N",
        help="look at pictures N x N pixels large at most, with torch: larger finds smaller people, for more time "
        "(default: the weights' own, 640 of the released ones; a higher limit of longer sides grows with it)",
    )
    parser.add_argument(
        "--tiles",
        nargs="?",
        type=int,
        const=0,
        metavar="N",
        help="search overlapping tiles of N x N pixels besides the whole picture, for small people in large pictures "
        "(without N: as large as the detector looks at pictures)",
    )


def chosen_engine(arguments: argparse.Namespace) -> Engine:
    """The detector of `--weights` on the engine of the flags; each of several processes has its own GPU."""
    size, tiles = arguments.size, arguments.tiles
    if size is not None and not 32 <= size <= LARGEST:
        raise InputError(f"--size {size} is no side to look at: use 32 to {LARGEST} pixels")
    if tiles is not None and tiles != 0 and not 32 <= tiles <= LARGEST:
        raise InputError(f"--tiles {tiles} is no side of a tile: use 32 to {LARGEST} pixels, or no number")
    name = arguments.engine
    if size is not None and name == "auto" and arguments.weights is None:
        name = "torch"  # in exported files the size is fixed
    device, rank = arguments.device, os.environ.get("LOCAL_RANK")
    if device is None and rank is not None and name in ("auto", "torch") and has_gpu():
        device = f"cuda:{rank}"
    engine = open_engine(arguments.weights, name, device=device, precision=arguments.precision)
    if size is not None:
        resize = getattr(engine, "resize", None)
        if resize is None:
            raise InputError(f"--size {size}: exported files have a fixed size; take a weights file and --engine torch")
        resize(size)
    return engine if tiles is None else TiledEngine(engine, tiles or None)
