"""Made-up digits, as tensors and as MNIST's files."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from upright.experiments.digits.mnist import Digits


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine two threads wait for each other in every one of many small operations."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def few_digits() -> Digits:
    """Thirty pictures of noise in a black frame, three of each digit."""
    draw = torch.Generator().manual_seed(0)
    pictures = torch.zeros(30, 1, 28, 28, dtype=torch.uint8)
    pictures[:, :, 8:20, 8:20] = torch.randint(0, 256, (30, 1, 12, 12), dtype=torch.uint8, generator=draw)
    return Digits(pictures, torch.arange(30) % 10)


@pytest.fixture
def write_mnist(few_digits: Digits) -> Callable[[Path, bool], None]:
    """Writes the few digits as both sets of MNIST below a folder, packed or not."""

    def write(root: Path, packed: bool) -> None:
        folder = root / "MNIST" / "raw"
        folder.mkdir(parents=True)
        pictures, labels = few_digits.pictures.numpy(), few_digits.labels.byte().numpy()
        for name in ("train", "t10k"):
            files = {
                f"{name}-images-idx3-ubyte": struct.pack(">4i", 2051, *pictures[:, 0].shape) + pictures.tobytes(),
                f"{name}-labels-idx1-ubyte": struct.pack(">2i", 2049, len(labels)) + labels.tobytes(),
            }
            for file, content in files.items():
                path = folder / (f"{file}.gz" if packed else file)
                path.write_bytes(gzip.compress(content) if packed else content)

    return write
