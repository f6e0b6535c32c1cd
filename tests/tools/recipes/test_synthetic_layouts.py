"""The layouts that the recipes are tried on can be opened, small ones too."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from upright.datasets.registry import open_dataset

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("layout", "annotations"), [("caltech", "original"), ("caltech", "new"), ("citypersons", None)]
)
def test_a_small_layout_has_training_and_validation_pictures(
    layout: str, annotations: str | None, tmp_path: Path, call_main
) -> None:
    main = runpy.run_path(str(ROOT / "tools/recipes/synthetic_layouts.py"))["main"]
    ended = call_main(main, "--layout", layout, "--output", tmp_path, "--train", 6, "--test", 2)
    assert ended.status == 0, ended.err
    named = [annotations] if annotations else None
    train = open_dataset(layout, tmp_path, "train", annotations=named, every=3 if layout == "caltech" else None)
    val = open_dataset(layout, tmp_path, "val", annotations=named)
    assert len(train) >= 6
    assert len(val) >= 1
    assert train[0].image.ndim == 3
