"""tools/average.py: the weighted mean of first stages, all else of the first file."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from upright.detector.model import build_detector
from upright.detector.settings import PRESETS, Settings
from upright.detector.weights import RELEASED, load_detector, read_metadata, save_weights
from upright.errors import InputError
from upright.tools import average

PROVENANCE = {"command": "python tools/train.py", "steps": 5}


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["average.py", *map(str, arguments)])
    average.main()


@pytest.fixture
def files(tiny_light: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two detectors of one kind, a.safetensors and b.safetensors."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate("ab"):
        torch.manual_seed(seed)
        save_weights(f"{name}.safetensors", build_detector(tiny_light), PROVENANCE)
    return tmp_path


def test_first_stages_are_averaged_and_all_else_is_of_the_first(files: Path, monkeypatch) -> None:
    call(monkeypatch, "a.safetensors", "b.safetensors", "--shares", 0.75, 0.25, "--output", "c.safetensors")
    a, b, c = (load_detector(f"{name}.safetensors").state_dict() for name in "abc")
    for name, value in c.items():
        first = name.startswith(("backbone.", "rpn."))
        torch.testing.assert_close(value, 0.75 * a[name] + 0.25 * b[name] if first else a[name])
    assert any(not torch.equal(a[name], b[name]) for name in c if name.startswith("rpn."))
    settings, provenance = read_metadata("c.safetensors")
    assert settings == read_metadata("a.safetensors")[0]
    assert provenance == {**PROVENANCE, "average": {"command": " ".join(["python", *sys.argv])}}


def test_what_the_shares_lack_is_that_of_the_start(tmp_path: Path, monkeypatch) -> None:
    torch.manual_seed(0)
    save_weights(tmp_path / "own.safetensors", build_detector(PRESETS["light"]), PROVENANCE)
    call(monkeypatch, tmp_path / "own.safetensors", "--shares", 0.3, "--output", tmp_path / "mean.safetensors")
    own, mean = (load_detector(tmp_path / f"{name}.safetensors").state_dict() for name in ("own", "mean"))
    start = load_detector(RELEASED).state_dict()
    for name in ("backbone.backbone.conv1.0.weight", "rpn.head.0.predict.weight"):
        torch.testing.assert_close(mean[name], 0.3 * own[name] + 0.7 * start[name])


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ("a.safetensors --shares 0.5 0.5", "2 --shares for 1"),
        ("a.safetensors --shares 1.5", "from 0 to 1"),
        ("a.safetensors b.safetensors --shares 0.8 0.4", "at most 1"),
        ("a.safetensors b.safetensors --shares 1 nan", "from 0 to 1"),
        ("a.safetensors other.safetensors --shares 0.5 0.5", "differ in kind"),
        ("missing.safetensors --shares 1", "missing.safetensors"),
    ],
)
def test_bad_input_is_one_sentence(arguments: str, fault: str, files: Path, tiny: Settings, monkeypatch) -> None:
    save_weights("other.safetensors", build_detector(replace(tiny, proposals="anchors")), PROVENANCE)
    with pytest.raises(InputError, match=fault):
        call(monkeypatch, *arguments.split(), "--output", "c.safetensors")
    assert not (files / "c.safetensors").exists()
