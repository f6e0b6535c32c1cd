"""The tables of choices at inference, of a detector that has learnt nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from upright.detector.model import Detector
from upright.detector.weights import save_weights
from upright.experiments.detector import choices

BLOCKS = ("scores", "boxes", "proposals", "sides", "suppressions")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "SHARES", (0.5,))
    monkeypatch.setattr(choices, "BOX_SHARES", (0.0,))
    monkeypatch.setattr(choices, "PROPOSALS", (5, 40))
    monkeypatch.setattr(choices, "SIDES", ((32, 64), (64, 96)))
    monkeypatch.setattr(choices, "SUPPRESSIONS", (0.4,))
    monkeypatch.setattr(choices, "ROUNDS", 1)


def test_each_choice_has_its_table(small: Detector, root: Path, tmp_path: Path, call_main, few) -> None:
    document, figures = tmp_path / "a.md", tmp_path / "a.json"
    document.write_text("".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in BLOCKS))
    save_weights(tmp_path / "w.safetensors", small, {})
    flags = ["--root", root, "--annotations", "a.json", "--document", document, "--figures", figures]
    ended = call_main(choices.main, tmp_path / "w.safetensors", *flags)
    assert ended.status == 0, ended.err
    kept = json.loads(figures.read_text())
    assert list(kept) == list(BLOCKS)
    assert {name: list(kept[name]["rows"]) for name in BLOCKS} == {
        "scores": [
            "the region's alone",
            "product, share 0.5",
            "product, share 0.7",
            "the proposal's alone",
            "sum of the logits",
        ],
        "boxes": ["0", "1"],
        "proposals": ["5", "40"],
        "sides": ["32 / 64", "64 / 96"],
        "suppressions": ["0.4", "0.6"],
    }
    for name in BLOCKS:
        assert sum(row["chosen"] for row in kept[name]["rows"].values()) == 1
    lines = document.read_text().splitlines()
    assert sum(line.startswith("| **") for line in lines) == len(BLOCKS)
    assert sum("processor ms" in line for line in lines) == 2


def test_one_file_of_the_first_stage_is_not_enough(tmp_path: Path, call_main) -> None:
    fault = call_main(choices.main, tmp_path / "w.safetensors", "--root", tmp_path, "--body", "b").fault
    assert "belong together" in fault
