"""Both experiments on digits run from files to tables, figures and pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[3]
Write = Callable[[Path, bool], None]


def call(script: str, folder: Path, *flags: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "tools/experiments" / script), "--root", str(folder)]
    command += ["--output", str(folder / "runs"), "--quick", "--steps", "2", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def marked(folder: Path, block: str) -> list[str]:
    """Flags for a document with an empty block and figures."""
    (folder / "e.md").write_text(f"<!-- {block} -->\n<!-- /{block} -->\n")
    return ["--document", str(folder / "e.md"), "--figures", str(folder / "e.json")]


def test_distorted_mnist_from_files_to_the_document(tmp_path: Path, write_mnist: Write) -> None:
    write_mnist(tmp_path, True)
    writing = marked(tmp_path, "distorted_mnist")
    ended = call("distorted_mnist.py", tmp_path, "--columns", "R", "RTS", "--networks", "FCN", "ST-CNN Aff")
    assert ended.returncode == 0, ended.stderr
    ended = call("distorted_mnist.py", tmp_path, "--collect", *writing)
    assert ended.returncode == 0, ended.stderr

    figures = json.loads((tmp_path / "e.json").read_text())["distorted_mnist"]
    assert list(figures) == ["R", "RTS", "P", "E"]
    assert len(figures["R"]["FCN"]) == len(figures["RTS"]["ST-CNN Aff"]) == 1
    assert figures["E"]["FCN"] == figures["R"]["CNN"] == []
    text = (tmp_path / "e.md").read_text()
    error = figures["R"]["FCN"][0]
    assert f"| FCN | 2.1 | {error:.2f} ({error:.2f} to {error:.2f}) | 5.2 |" in text
    assert "| CNN | 1.2 | not run |" in text
    for name, frames in (("distorted_mnist.png", 1), ("turning_digits.gif", 46)):
        assert f"(pictures/{name})" in text
        assert getattr(Image.open(tmp_path / "pictures" / name), "n_frames", 1) == frames


def test_addition_from_files_to_the_document(tmp_path: Path, write_mnist: Write) -> None:
    write_mnist(tmp_path, True)
    writing = marked(tmp_path, "mnist_addition")
    ended = call("mnist_addition.py", tmp_path, "--networks", "ST-FCN Aff", "2x ST-FCN Aff", *writing)
    assert ended.returncode == 0, ended.stderr
    figures = json.loads((tmp_path / "e.json").read_text())["mnist_addition"]
    assert {name: len(errors) for name, errors in figures.items() if errors} == {"ST-FCN Aff": 1, "2x ST-FCN Aff": 1}
    text = (tmp_path / "e.md").read_text()
    assert "| CNN | 14.7 | not run | not run |" in text
    assert "(pictures/mnist_addition.png)" in text
    assert (tmp_path / "pictures/mnist_addition.png").exists()


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    ended = call("distorted_mnist.py", tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "--download" in ended.stderr
