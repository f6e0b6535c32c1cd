"""The table of --size and --tiles, of a detector that knows nothing, in small walls."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from upright.detector.engines.engine import Engine
from upright.detector.evaluation import Detections
from upright.detector.inference import detect_dataset
from upright.detector.model import build_detector
from upright.detector.weights import save_weights
from upright.errors import InputError
from upright.experiments.video import small_people
from upright.experiments.video.walls import Walls


@pytest.fixture
def call(monkeypatch, boards, tiny_light, tmp_path):
    """Run the script on the boards."""
    torch.manual_seed(0)
    save_weights(tmp_path / "random.safetensors", build_detector(tiny_light), {})
    monkeypatch.setattr(small_people, "open_dataset", lambda *_, **__: boards)

    def call(*more: object) -> None:
        flags = ["--root", tmp_path, "--across", 2, "--weights", tmp_path / "random.safetensors"]
        words = ["small_people.py", *flags, "--runs", tmp_path / "runs", *more]
        monkeypatch.setattr(sys, "argv", [str(word) for word in words])
        small_people.main()

    return call


def test_a_row_for_each_size_and_each_side_of_a_tile(call, tmp_path: Path, monkeypatch) -> None:
    document, figures = tmp_path / "video.md", tmp_path / "video.json"
    document.write_text("before\n<!-- small_people -->\n<!-- /small_people -->\nafter\n")
    seen = []

    def noted(engine: Engine, walls: Walls) -> Detections:
        seen.append((engine.settings.min_size, engine.name.partition(" in ")[2]))
        return detect_dataset(engine, walls)

    monkeypatch.setattr(small_people, "detect_dataset", noted)
    more = ("--sizes", 256, "--tiles", 0, 96, "--document", document, "--figures", figures)
    call(*more)
    text = document.read_text()
    names = ["neither", "`--size 256`", "`--tiles`", "`--tiles 96`"]
    assert [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")][2:] == names
    assert "2 walls of 2 x 2 pictures of coco_val2017.json, 320 x 256 pixels" in text
    rows = json.loads(figures.read_text())["small_people"]
    assert list(rows) == names
    assert all(row["seconds"] > 0 for row in rows.values())
    assert seen == [(128, ""), (256, ""), (128, "tiles of 192 x 128"), (128, "tiles of 96 x 96")]
    call(*more)
    assert document.read_text() == text
    assert len(seen) == 4, "what is kept is not done again"


def test_what_is_no_side_is_refused_before_anything_is_measured(call, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--tiles 5"):
        call("--tiles", 5)
    assert not (tmp_path / "runs").exists()
