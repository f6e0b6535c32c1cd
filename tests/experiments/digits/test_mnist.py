"""MNIST is read from files, packed or not; what is missing or broken is said in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from upright.errors import InputError
from upright.experiments.digits.mnist import Digits, load

Write = Callable[[Path, bool], None]


@pytest.mark.parametrize("packed", [True, False])
def test_mnist_is_read_packed_and_unpacked(
    tmp_path: Path, few_digits: Digits, write_mnist: Write, packed: bool
) -> None:
    write_mnist(tmp_path, packed)
    for read in load(tmp_path):
        assert torch.equal(read.pictures, few_digits.pictures)
        assert torch.equal(read.labels, few_digits.labels)


def test_where_mnist_is_not_or_is_broken_one_line_says_so(tmp_path: Path, write_mnist: Write) -> None:
    with pytest.raises(InputError, match="does not hold MNIST"):
        load(tmp_path)
    write_mnist(tmp_path, True)
    file = tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)
