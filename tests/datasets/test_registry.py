"""Data sets are opened by name, and what is missing is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from upright.datasets.registry import open_dataset
from upright.errors import InputError


def test_synthetic_needs_nothing() -> None:
    assert len(open_dataset("synthetic", split="val", length=3)) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("imagenet",), "synthetic, coco"),
        (("coco",), "--root"),
        (("caltech", "/nowhere"), "/nowhere"),
        (("coco", "."), "--annotations"),
    ],
)
def test_what_is_missing_is_named(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_dataset(*arguments)


def test_coco_opens_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"images": [], "annotations": []}')
    assert len(open_dataset("coco", tmp_path, annotations=["a.json"])) == 0
