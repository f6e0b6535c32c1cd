"""The comparison of heads runs, keeps what is done, and writes its table."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from upright.detector.model import build_detector
from upright.detector.settings import PRESETS
from upright.detector.weights import save_weights
from upright.experiments.heads.many_heads import VARIANTS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_a_head_that_can_be_built(name: str) -> None:
    build_detector(replace(PRESETS["light"], **VARIANTS[name].settings))


def test_quick_runs_end_to_end_and_keeps_finished_heads(tmp_path: Path) -> None:
    weights, output, document = tmp_path / "w.safetensors", tmp_path / "heads", tmp_path / "head.md"
    save_weights(weights, build_detector(PRESETS["light"]), {})
    document.write_text("<!-- heads -->\n<!-- /heads -->\n")
    command = [sys.executable, str(ROOT / "experiments/heads/many_heads.py"), "--quick", "--weights", str(weights)]
    command += ["--variants", "baseline", "affine", "--output", str(output), "--document", str(document)]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    assert "| baseline |" in document.read_text()
    assert "| affine |" in document.read_text()
    files = sorted(path.name for path in (output / "quick").iterdir())
    assert files == ["affine-0.json", "baseline-0.json"]
    figures = json.loads((output / "quick" / "affine-0.json").read_text())
    assert len(figures["synthetic"]["theta_deviation"]) == 4
    assert {"Reasonable", "All"} <= set(figures["synthetic"]["lamr"])

    written = (output / "quick" / "affine-0.json").stat().st_mtime_ns
    assert subprocess.run([*command, "--collect"], capture_output=True, check=False).returncode == 0
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert (output / "quick" / "affine-0.json").stat().st_mtime_ns == written
