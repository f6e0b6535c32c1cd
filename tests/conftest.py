"""What several rooms' tests need: the shared data, a detector small enough for a test, a data set in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from upright.datasets.sample import Annotations, Sample
from upright.detector.settings import PRESETS, Settings

torch.set_num_threads(2)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The data beside the checkout, which a user's clone does not have."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("../shared with the real data is not here")
    return folder


@pytest.fixture(scope="session")
def tiny() -> Settings:
    """The light preset, narrow and for small pictures."""
    return replace(
        PRESETS["light"],
        channels=32,
        min_size=128,
        max_size=192,
        crop_height=96,
        crop_width=128,
        train_proposals=60,
        test_proposals=40,
        head_width=32,
        head_samples=32,
        glance_channels=8,
    )


class Boards:
    """Pictures 160 x 128 of dark upright boards on noise: people enough for a loop to learn from."""

    def __init__(self, length: int = 6, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        self._images, self._boxes = [], []
        for _ in range(length):
            image = generator.integers(150, 220, (128, 160, 3)).astype(np.uint8)
            height = int(generator.integers(50, 100))
            width = round(0.41 * height)
            x, y = int(generator.integers(0, 160 - width)), int(generator.integers(0, 128 - height))
            image[y : y + height, x : x + width] = (20, 30, 90)
            self._images.append(image)
            self._boxes.append([x, y, width, height])
        boxes = np.array(self._boxes, np.float64)
        self.annotations = Annotations(
            image_ids=list(range(1, length + 1)),
            file_names=[f"{i}.png" for i in range(1, length + 1)],
            sizes=np.array([[160, 128]] * length),
            image_index=np.arange(length),
            boxes=boxes,
            visible=boxes,
            ignore=np.zeros(length, bool),
            height=boxes[:, 3],
            visible_ratio=np.ones(length),
            category=np.ones(length, np.int64),
        )

    @property
    def sizes(self) -> np.ndarray:
        return self.annotations.sizes

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        x, y, w, h = self._boxes[index]
        box = np.array([[x, y, x + w, y + h]], np.float32)
        return Sample(
            image=self._images[index],
            boxes=box,
            visible=box,
            ignore=np.zeros(1, bool),
            visible_ratio=np.ones(1, np.float32),
            attributes={},
            id=index + 1,
            path=None,
        )


@pytest.fixture
def boards() -> Boards:
    return Boards()
