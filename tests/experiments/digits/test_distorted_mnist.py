"""Both experiments on digits run from files to tables, figures and pictures."""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from upright.detector.spatial_transformer import Affine
from upright.errors import InputError
from upright.experiments.digits import distorted_mnist, mnist_addition
from upright.experiments.digits.networks import Network

Write = Callable[[Path, bool], None]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Calls a script on the data below the test's folder, shrunk."""

    def run(script: ModuleType, *flags: str) -> None:
        shrunk = ["--quick", "--steps", "2", "--root", str(tmp_path), "--output", str(tmp_path / "runs")]
        monkeypatch.setattr(sys, "argv", ["script", *shrunk, *flags])
        script.main()

    return run


def marked(folder: Path, block: str) -> list[str]:
    """Flags for a document with an empty block and figures."""
    (folder / "e.md").write_text(f"<!-- {block} -->\n<!-- /{block} -->\n")
    return ["--document", str(folder / "e.md"), "--figures", str(folder / "e.json")]


def test_distorted_mnist_from_files_to_the_document(
    tmp_path: Path, write_mnist: Write, call: Callable[..., None]
) -> None:
    write_mnist(tmp_path, True)
    writing = marked(tmp_path, "distorted_mnist")
    with pytest.raises(InputError, match="leave --collect away"):
        call(distorted_mnist, "--collect", *writing)
    assert not (tmp_path / "e.json").exists()
    call(distorted_mnist, "--columns", "R", "RTS", "--networks", "FCN", "ST-CNN Aff")
    call(distorted_mnist, "--collect", *writing)

    figures = json.loads((tmp_path / "e.json").read_text())["distorted_mnist"]
    assert list(figures) == ["R", "RTS", "P", "E"]
    assert len(figures["R"]["FCN"]) == len(figures["RTS"]["ST-CNN Aff"]) == 1
    assert figures["E"]["FCN"] == figures["R"]["CNN"] == []
    text = (tmp_path / "e.md").read_text()
    error = figures["R"]["FCN"][0]
    assert f"| FCN | 2.1 | {error:.2f} | 5.2 |" in text
    assert "| CNN | 1.2 | not run |" in text
    for name, frames in (("distorted_mnist.png", 1), ("turning_digits.gif", 30)):
        assert f"(pictures/{name})" in text
        assert getattr(Image.open(tmp_path / "pictures" / name), "n_frames", 1) == frames


def test_addition_from_files_to_the_document(tmp_path: Path, write_mnist: Write, call: Callable[..., None]) -> None:
    write_mnist(tmp_path, True)
    writing = marked(tmp_path, "mnist_addition")
    with pytest.raises(InputError, match="leave --collect away"):
        call(mnist_addition, "--collect", *writing)
    call(mnist_addition, "--networks", "CNN", "2x ST-FCN Aff", *writing)
    figures = json.loads((tmp_path / "e.json").read_text())["mnist_addition"]
    assert {name: len(errors) for name, errors in figures.items() if errors} == {"CNN": 1, "2x ST-FCN Aff": 1}
    text = (tmp_path / "e.md").read_text()
    assert "| ST-FCN Aff | 22.6 | not run | not run |" in text
    assert re.search(r"\| 2x ST-FCN Aff, 2 \| -?0\.\d\d \| -?0\.\d\d \| ", text)
    assert "(pictures/mnist_addition.png)" in text
    assert (tmp_path / "pictures/mnist_addition.png").exists()


class Following(nn.Module):
    """Three transformers: one goes half the way of the second digit, one as chance will, one against the first."""

    transformation = Affine()

    def forward(self, U: Tensor, return_theta: bool) -> tuple[Tensor, Tensor]:
        y, x = (torch.from_numpy(v) / 41 * 2 - 1 for v in np.unravel_index(U.flatten(2).argmax(2).numpy(), (42, 42)))
        theta = torch.eye(2, 3).flatten().repeat(len(U), 3, 1)
        theta[:, 0, 2], theta[:, 0, 5] = 0.3 + x[:, 1] / 2, y[:, 1] / 2 - 0.1
        theta[:, 1, 2::3] = torch.rand(len(U), 2, generator=torch.Generator().manual_seed(1))
        theta[:, 2, 2], theta[:, 2, 5] = -x[:, 0], -y[:, 0]
        return U, theta


def test_the_digits_that_transformers_follow_are_found() -> None:
    pictures = torch.zeros(400, 2, 42, 42)
    places = np.random.default_rng(0).integers(0, 42, (400, 2, 2))
    for index, channels in enumerate(places):
        for channel, (y, x) in enumerate(channels):
            pictures[index, channel, y, x] = 0.5
    slopes, explained = mnist_addition.follows(Network(nn.Identity(), Following()), pictures)
    torch.testing.assert_close(slopes[[0, 2]], torch.tensor([[0.0, 0.5], [-1.0, 0.0]]), atol=1e-4, rtol=0)
    assert slopes[1].abs().max() < 0.06
    assert explained.tolist() == pytest.approx([1, 0, 1], abs=0.02)


def test_columns_have_steps_of_their_own(tmp_path: Path) -> None:
    arguments = Namespace(steps=None, output=tmp_path, device="cpu")
    assert {c: distorted_mnist.training(arguments, c, "FCN", 0).steps for c in distorted_mnist.STEPS} == (
        distorted_mnist.STEPS
    )
    arguments.steps = 7
    assert distorted_mnist.training(arguments, "RTS", "FCN", 0).steps == 7


def test_without_mnist_a_line_says_where_to_get_it(call: Callable[..., None]) -> None:
    for script in (distorted_mnist, mnist_addition):
        with pytest.raises(InputError, match="--download"):
            call(script)
