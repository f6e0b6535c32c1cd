"""The comparison of heads runs, keeps what is done, and writes its table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from upright.detector.model import build_detector
from upright.detector.settings import PRESETS
from upright.detector.weights import save_weights
from upright.experiments.heads.many_heads import VARIANTS, main


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_a_head_that_can_be_built(name: str) -> None:
    build_detector(replace(PRESETS["light"], **VARIANTS[name].settings))


@pytest.mark.slow
def test_quick_runs_end_to_end_and_keeps_finished_heads(tmp_path: Path, call_main) -> None:
    weights, output, document = tmp_path / "w.safetensors", tmp_path / "heads", tmp_path / "head.md"
    save_weights(weights, build_detector(PRESETS["mobilenet"]), {})
    document.write_text("<!-- heads -->\n<!-- /heads -->\n")
    flags = ["--quick", "--weights", weights, "--variants", "baseline", "affine"]
    flags += ["--output", output, "--document", document]
    first = call_main(main, *flags)
    assert first.status == 0, first.err
    assert "| baseline |" in document.read_text()
    assert "| affine |" in document.read_text()
    files = sorted(path.name for path in (output / "quick").iterdir())
    assert files == ["affine-0.json", "baseline-0.json"]
    figures = json.loads((output / "quick" / "affine-0.json").read_text())
    assert len(figures["synthetic"]["theta_deviation"]) == 4
    assert {"Reasonable", "All"} <= set(figures["synthetic"]["lamr"])

    written = (output / "quick" / "affine-0.json").stat().st_mtime_ns
    assert call_main(main, *flags, "--collect").status == 0
    assert call_main(main, *flags).status == 0
    assert (output / "quick" / "affine-0.json").stat().st_mtime_ns == written
