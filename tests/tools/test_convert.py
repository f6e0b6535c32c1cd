"""Any data set as COCO-style JSON, and back through the reader of that."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from upright.datasets.coco import CocoPedestrians
from upright.datasets.registry import open_dataset
from upright.errors import InputError
from upright.tools import convert


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["convert.py", *map(str, arguments)])
    convert.main()


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    (tmp_path / "Images").mkdir()
    cv2.imwrite(str(tmp_path / "Images/a.jpg"), np.zeros((80, 100, 3), np.uint8))
    boxes = [
        {"tag": "person", "fbox": [-10.5, 5, 40, 60], "vbox": [0, 5, 20, 60]},
        {"tag": "mask", "fbox": [50, 5, 10, 30], "vbox": [50, 5, 10, 30]},
    ]
    (tmp_path / "annotation_val.odgt").write_text(json.dumps({"ID": "a", "gtboxes": boxes}) + "\n")
    return tmp_path


def test_what_is_converted_reads_the_same(
    crowd: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, "--dataset", "crowdhuman", "--root", crowd, "--output", crowd / "out" / "val.json")
    assert capsys.readouterr().out.startswith("1 pictures, 1 people, 1 ignore regions of crowdhuman")
    before = open_dataset("crowdhuman", crowd, "val")
    after = CocoPedestrians(crowd, ["out/val.json"])
    for name in ("boxes", "visible", "ignore", "height", "visible_ratio", "sizes", "image_index", "category"):
        assert getattr(after.annotations, name).tolist() == getattr(before.annotations, name).tolist(), name
    assert after.annotations.file_names == ["Images/a.jpg"]
    assert after[0].boxes.tolist() == before[0].boxes.tolist()


def test_caltechs_pixels_count_from_0_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "anno_test_1xnew"
    folder.mkdir()
    (folder / "set06_V000_I00029.jpg.txt").write_text("% bbGt version=3\nperson 11 21 10 50 0 0 0 0 0 0 0\n")
    arguments = ["--dataset", "caltech", "--root", tmp_path, "--annotations", folder.name]
    call(monkeypatch, *arguments, "--split", "test", "--output", tmp_path / "a.json")
    (row,) = json.loads((tmp_path / "a.json").read_text())["annotations"]
    assert row["bbox"] == [10, 20, 10, 50]


def test_bad_input_leaves_no_file(crowd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (crowd / "Images/a.jpg").unlink()
    with pytest.raises(InputError, match=r"a\.jpg is missing"):
        call(monkeypatch, "--dataset", "crowdhuman", "--root", crowd, "--output", crowd / "val.json")
    assert not (crowd / "val.json").exists()
