"""MNIST as tensors."""

from __future__ import annotations

import argparse
import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor
from torchvision.datasets import MNIST

from upright.errors import InputError

SIDE = 28  # of a picture
QUICK_TEST = 1000  # digits that a quick run is tested on


@dataclass(frozen=True)
class Digits:
    """Pictures (N, 1, 28, 28), uint8, and their digits (N,), int64."""

    pictures: Tensor
    labels: Tensor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that say where MNIST lies."""
    parser.add_argument("--root", type=Path, default=Path("data"), metavar="DIR", help="with MNIST/raw (default data)")
    parser.add_argument("--download", action="store_true", help="download MNIST to --root first")


def load_chosen(arguments: argparse.Namespace) -> tuple[Digits, Digits]:
    """The digits to train and to test on that `add_arguments` says, the latter few where the run is quick."""
    train, test = load(arguments.root, arguments.download)
    if arguments.quick:
        test = Digits(test.pictures[:QUICK_TEST], test.labels[:QUICK_TEST])
    return train, test


def load(root: Path, download: bool = False) -> tuple[Digits, Digits]:
    """The 60 000 digits to train on and the 10 000 to test on.

    Args:
        root: holds MNIST/raw as torchvision lays it out; archives that are still packed will do.
        download: to `root`, where it is not there yet.

    Raises:
        InputError: MNIST is not there, cannot be downloaded or cannot be read.
    """
    raw = root / "MNIST" / "raw"
    names = [Path(address).stem for address, _ in MNIST.resources]
    try:
        if download or all((raw / name).exists() for name in names):
            return read(root, download)
        if not all((raw / f"{name}.gz").exists() for name in names):
            raise InputError(f"{raw} does not hold MNIST: name the folder that holds MNIST/ or --download it")
        # torchvision wants the files unpacked; the folder may not be ours to write to.
        with TemporaryDirectory() as folder:
            unpacked = Path(folder) / "MNIST" / "raw"
            unpacked.mkdir(parents=True)
            for name in names:
                (unpacked / name).write_bytes(gzip.decompress((raw / f"{name}.gz").read_bytes()))
            return read(Path(folder), False)
    except (RuntimeError, OSError, EOFError, KeyError, ValueError, AssertionError, zlib.error) as error:
        raise InputError(f"{raw}: MNIST cannot be read ({error}): name another folder, or --download it") from None


def read(root: Path, download: bool) -> tuple[Digits, Digits]:
    sets = [MNIST(root, train=train, download=download) for train in (True, False)]
    train, test = (Digits(one.data[:, None], one.targets) for one in sets)
    return train, test
