"""Data sets are opened by name, with the options that each of them declares, and what is missing is said."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

import numpy as np
import pytest

from upright.datasets.registry import DATASETS, dataset_entry, open_dataset
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


@pytest.mark.parametrize("name", DATASETS)
def test_what_an_entry_declares_is_what_its_opener_takes(name: str) -> None:
    entry = dataset_entry(name)
    root, split, *options = signature(entry.open).parameters.values()
    assert (root.name, split.name) == ("root", "split")
    assert {option.name for option in options} == set(entry.options())
    assert all(option.kind is option.KEYWORD_ONLY and option.default is not option.empty for option in options)


@pytest.mark.parametrize("name", DATASETS)
def test_a_validation_set_takes_no_option_that_its_opener_does_not_know(name: str) -> None:
    entry = dataset_entry(name)
    options = entry.validation({flag.name: ["given"] for flag in entry.flags})
    assert options is not None
    assert set(options) <= set(entry.options())


def test_another_seed_opens_another_world() -> None:
    first, second = (open_dataset("synthetic", split="val", length=1, seed=seed)[0].image for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_an_option_of_another_data_set_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="'synthetic' has no option 'every', only length, roll, poses, seed"):
        open_dataset("synthetic", every=3)
    assert len(open_dataset("synthetic", length=2, every=None)) == 2  # None: not given
