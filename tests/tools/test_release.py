"""tools/release.py writes the released file and every block of the card, or stops before it writes anything."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from upright.detector.model import build_detector
from upright.detector.settings import Settings
from upright.detector.weights import read_metadata, save_weights
from upright.errors import InputError
from upright.tools import calibrate, evaluate, release

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tiny_light: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with weights, an evaluation of them, a calibration, a card and a README."""
    monkeypatch.chdir(tmp_path)
    provenance = {"command": "python tools/train.py", "steps": 5, "calibration": {"command": "the calibration"}}
    settings = replace(tiny_light, threshold=0.25)
    save_weights("w.safetensors", build_detector(settings), provenance)
    for name in ("weights", "docs/pictures"):
        Path(name).mkdir(parents=True)
    marks = (ROOT / "weights/README.md").read_text()
    Path("weights/README.md").write_text(marks)
    Path("README.md").write_text("<!-- figures -->\n<!-- /figures -->\n")
    options = "--dataset synthetic --length 2 --weights w.safetensors --json e.json"
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *options.split()])
    evaluate.main()
    released = str(ROOT / "weights/upright-light.safetensors")
    options = "--dataset synthetic --length 3 --output c.safetensors --json c.json --plot docs/pictures/reliability.png"
    monkeypatch.setattr(sys, "argv", ["calibrate.py", released, *options.split()])
    calibrate.main()
    one = {"name": "Other", "licence": "MIT", "conditions": "", "parameters": 1, "AP": 0.5, "AP50": 0.7, "lamr": 0.3}
    peers = {"data": "streets", "pictures": 2, "source": "Told.", "detectors": [one]}
    Path("docs/peers.json").write_text(json.dumps(peers))
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["release.py", "w.safetensors", *arguments])
    release.main()


def block(name: str) -> str:
    text = Path("weights/README.md").read_text()
    return text.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]


def test_every_block_of_the_card_is_written_and_the_tensors_are_halved(run: Path, monkeypatch) -> None:
    call(monkeypatch, "--figures", "streets=e.json", "--calibration", "c.json")
    assert all(value.dtype != torch.float32 for value in load_file("weights/upright-light.safetensors").values())
    assert read_metadata("weights/upright-light.safetensors") == read_metadata("w.safetensors")
    assert "the calibration" in block("training")
    assert "Recall at the default threshold" in block("figures")
    assert "| streets | 0.25 |" in block("figures")
    assert "| upright-light (torch) |" in block("peers")
    assert "](../docs/pictures/reliability.png)" in block("calibration")
    assert Path("README.md").read_text().count("| streets |") == 1


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--figures", "streets=none.json"], "none.json"),
        (["--figures", "streets=e.json", "--times", "none.json"], "none.json"),
        (["--calibration", "none.json"], "none.json"),
    ],
)
def test_figures_that_cannot_be_read_leave_everything_as_it_was(run, arguments, fault, monkeypatch) -> None:
    card = Path("weights/README.md").read_text()
    with pytest.raises(InputError, match=fault):
        call(monkeypatch, *arguments)
    assert Path("weights/README.md").read_text() == card
    assert not Path("weights/upright-light.safetensors").exists()
