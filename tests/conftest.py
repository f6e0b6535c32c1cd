"""What several rooms' tests need: shared data, a small detector, a data set in memory, a call of a command."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from upright.datasets.sample import Annotations, Sample
from upright.detector.settings import PRESETS, Settings
from upright.tools.command import run

# A shell's background jobs ignore Ctrl-C, those of nohup a closed terminal, and so would all that the tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))  # beside a busy core one is faster than two


@pytest.fixture(scope="session")
def shared() -> Path:
    """The data beside the checkout, which a user's clone does not have."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("../shared with the real data is not here")
    return folder


@pytest.fixture(scope="session")
def tiny() -> Settings:
    """MobileNetV2's preset, narrow and for small pictures."""
    return replace(small(PRESETS["mobilenet"]), channels=32)


@pytest.fixture(scope="session")
def tiny_light() -> Settings:
    """The light preset for small pictures; its backbone has one width."""
    return small(PRESETS["light"])


def small(settings: Settings) -> Settings:
    return replace(
        settings,
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


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def fault(self) -> str:
        """The one line on stderr that bad input is answered with; anything else fails the test."""
        assert self.status == 2, self.err
        assert self.err.count("\n") == 1, f"one line was promised:\n{self.err}"
        assert self.err.startswith("error: ")
        return self.err


@pytest.fixture
def call_main(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command's `main` with arguments in this process, and end as `command.run` lets it end.

    Output is taken from the file descriptors: what FFmpeg and libpng print counts too.
    """

    def call_main(main: Callable[[], None], *arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", [f"{main.__module__.split('.')[-1]}.py", *map(str, arguments)])
        capfd.readouterr()  # what the test itself printed before
        status = 0
        try:
            run(main)
        except SystemExit as end:
            status = end.code
        return Ended(status, *capfd.readouterr())

    return call_main
