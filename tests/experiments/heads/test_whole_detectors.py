"""Runs and their evaluations stand side by side, in the words of their files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from upright.detector.model import build_detector
from upright.detector.settings import Settings
from upright.detector.weights import save_weights
from upright.experiments.heads.whole_detectors import main


def make_run(directory: Path, settings: Settings, rate: float) -> None:
    directory.mkdir()
    save_weights(
        directory / "last.safetensors",
        build_detector(settings),
        {"command": f"train {rate} --output /mine/x", "steps": 7},
    )
    theta = {"0": {"mean": [1.0, 0.5], "std": [0.25, 0.125], "at_bounds": 0.5}}
    entries = [{"step": 1, "theta": theta} if settings.transformers else {"step": 1}, {"step": 2}]
    (directory / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    (directory / "settings.json").write_text("{}")
    subsets = {name: {"lamr_corrected": rate} for name in ("Reasonable", "All")}
    poses = {"cycling": {"lamr": rate / 2, "ground_truths": 3}}
    figures = {"images": 4, "subsets": subsets, "coco": {"AP": 0.25, "AP50": 0.5}, "poses": poses}
    (directory / "synthetic.json").write_text(json.dumps(figures))


def test_each_run_has_its_row_its_poses_and_its_theta(tiny: Settings, tmp_path: Path, call_main) -> None:
    make_run(tmp_path / "four", tiny, 0.25)
    make_run(tmp_path / "none", replace(tiny, transformers=0), 0.75)
    (tmp_path / "a.md").write_text("<!-- whole -->\n<!-- /whole -->\n")
    ended = call_main(main, tmp_path / "four", tmp_path / "none", "--document", tmp_path / "a.md")
    assert ended.status == 0, ended.err
    lines = (tmp_path / "a.md").read_text().splitlines()
    assert "| synthetic | four | 4 | 25.0 % | 25.0 % | 0.250 | 0.500 |" in lines
    assert "| synthetic | none | 4 | 75.0 % | 75.0 % | 0.250 | 0.500 |" in lines
    assert "| synthetic | cycling | 3 | 12.5 % | 37.5 % |" in lines
    assert "| four | 0 | 1.00 0.50 | 0.25 0.12 | 50.0 % |" in lines
    assert "none, 7 steps:" in lines
    assert "train 0.75 --output runs/none" in lines


def test_a_run_that_was_not_evaluated_is_one_line(tiny: Settings, tmp_path: Path, call_main) -> None:
    make_run(tmp_path / "four", tiny, 0.25)
    (tmp_path / "four" / "synthetic.json").unlink()
    assert "holds no evaluation" in call_main(main, tmp_path / "four").fault
