"""Windows are drawn where they look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from upright.experiments.parts.pictures import COLOURS, draw_windows


def test_windows_are_drawn_where_theta_says(tmp_path: Path) -> None:
    images = torch.full((1, 3, 100, 100), 40, dtype=torch.uint8)
    draw_windows(tmp_path / "w.png", images, {"1 x ST": [[[0.5, 0.5, -0.5]]]})  # the upper right quarter
    drawn = np.asarray(Image.open(tmp_path / "w.png").convert("RGB")).astype(int)
    grey = (drawn == 40).all(axis=2)
    columns, rows = np.flatnonzero(grey.sum(axis=0) > 20), np.flatnonzero(grey.sum(axis=1) > 20)
    left, right, top, bottom = columns[0], columns[-1], rows[0], rows[-1]
    colour = [int(COLOURS[0][k : k + 2], 16) for k in (1, 3, 5)]
    rows, columns = np.nonzero((np.abs(drawn - colour).max(axis=2) < 40)[: bottom + 1])  # below is the legend
    assert columns.min() == pytest.approx((left + right) / 2, abs=3)
    assert rows.max() == pytest.approx((top + bottom) / 2, abs=3)
