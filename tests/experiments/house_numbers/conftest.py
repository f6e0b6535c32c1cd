"""Annotations of house numbers of no to six digits."""

from __future__ import annotations

import numpy as np
import pytest

from upright.experiments.house_numbers.digit_struct import HouseNumber


def house_number(name: str, digits: tuple[int, ...], seed: int = 0) -> HouseNumber:
    boxes = np.random.default_rng(seed).uniform(-3, 40, (len(digits), 4)).round(2)
    return HouseNumber(name, boxes, digits)


@pytest.fixture
def numbers() -> list[HouseNumber]:
    lengths = [(), (0,), (1, 0, 9), (2, 3, 4, 5, 6), (1, 2, 3, 4, 5, 6)]
    return [house_number(f"{i + 1}.png", digits, i) for i, digits in enumerate(lengths)]
