"""The table of averaged first stages, of a detector that has learnt nothing."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from upright.detector.model import Detector
from upright.detector.weights import save_weights
from upright.experiments.detector import averages


def test_each_mean_has_its_row(small: Detector, root: Path, tmp_path: Path, call_main, monkeypatch) -> None:
    monkeypatch.setattr(averages, "SHARES", ((1, 0, 0), (0, 1, 0), (0.5, 0, 0.5)))
    document, figures = tmp_path / "a.md", tmp_path / "a.json"
    document.write_text("<!-- averages -->\n<!-- /averages -->\n")
    save_weights(tmp_path / "last.safetensors", small, {})
    for level in small.rpn.head:
        torch.nn.init.normal_(level.predict.weight, std=5.0)
    save_weights(tmp_path / "earlier.safetensors", small, {})
    weights = [tmp_path / "last.safetensors", tmp_path / "earlier.safetensors", "--backbone-weights", "none"]
    flags = ["--root", root, "--annotations", "a.json", "--hold-out", 2, "--document", document, "--figures", figures]
    ended = call_main(averages.main, *weights, *flags)
    assert ended.status == 0, ended.err
    rows = json.loads(figures.read_text())["averages"]["rows"]
    assert list(rows) == ["1 / 0 / 0", "0 / 1 / 0", "0.5 / 0 / 0.5"]
    assert rows["0.5 / 0 / 0.5"] == rows["1 / 0 / 0"]  # random weights that stay: the start is the last
    assert rows["0 / 1 / 0"] != rows["1 / 0 / 0"]
    assert "3 pictures held out" in document.read_text()
