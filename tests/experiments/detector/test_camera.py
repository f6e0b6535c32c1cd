"""One camera: its pictures are drawn once, trained on and measured apart, and the table says what changed."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from upright.detector.model import Detector
from upright.detector.weights import save_weights
from upright.errors import InputError
from upright.experiments.detector import camera


def command(monkeypatch: pytest.MonkeyPatch, root: Path, folder: Path, *more: object) -> None:
    flags = ["--root", root, "--annotations", "a.json", "--weights", folder / "start.safetensors"]
    words = [str(word) for word in ("camera.py", *flags, "--runs", folder / "runs", *more)]
    monkeypatch.setattr(sys, "argv", words)
    camera.main()


def test_pictures_of_a_camera_are_trained_on_or_measured_on(
    monkeypatch: pytest.MonkeyPatch, root: Path, small: Detector, tmp_path: Path
) -> None:
    save_weights(tmp_path / "start.safetensors", small, {})
    trained: list[list[str]] = []

    def fake(arguments: list[str]) -> None:
        trained.append(arguments)
        output = Path(arguments[arguments.index("--output") + 1])
        output.mkdir(parents=True)
        shutil.copy(tmp_path / "start.safetensors", output / "last.safetensors")

    monkeypatch.setattr(camera, "train", fake)
    document, figures = tmp_path / "detector.md", tmp_path / "detector.json"
    document.write_text("<!-- camera -->\n<!-- /camera -->\n")
    more = ("--pictures", 4, "--seeds", 0, 1, "--document", document, "--figures", figures)
    command(monkeypatch, root, tmp_path, *more)
    command(monkeypatch, root, tmp_path, *more)
    assert len(trained) == 2, "what is kept is not done again"
    for seed in (0, 1):
        parts = [
            json.loads((tmp_path / "runs" / f"{seed}-{n}-annotations.json").read_text()) for n in ("train", "others")
        ]
        names = [[image["file_name"] for image in part["images"]] for part in parts]
        assert [len(part) for part in names] == [4, 2]
        assert sorted(names[0] + names[1]) == [f"{i}.png" for i in range(1, 7)]
        for part in parts:
            ids = {image["id"] for image in part["images"]}
            assert {one["image_id"] for one in part["annotations"]} == ids - {3}
    kept = json.loads(figures.read_text())["camera"]
    assert kept["0"]["before"] == kept["0"]["after"], "the same weights"
    assert "| after |" in document.read_text()


def test_a_camera_with_too_few_pictures_is_refused(monkeypatch: pytest.MonkeyPatch, root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 6 pictures"):
        command(monkeypatch, root, tmp_path, "--pictures", 6)
    with pytest.raises(InputError, match="has 0 pictures"):
        command(monkeypatch, root, tmp_path, "--pictures", 1, "--prefix", "other_")
