"""The experiment on parts runs from end to end, and again from what is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from upright.experiments.parts import finding_parts
from upright.experiments.parts.networks import NETWORKS
from upright.experiments.parts.posed_pedestrians import write_pedestrians
from upright.experiments.parts.trainings import Training


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    write_pedestrians(root, 24, 24)
    return root


@pytest.mark.slow
def test_the_whole_experiment_and_again_from_what_is_kept(
    made: Path, backbone: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call_main
) -> None:
    weights = tmp_path / "weights.pth"
    torch.save(backbone.state_dict(), weights)
    document = tmp_path / "docs" / "experiments.md"
    document.parent.mkdir()
    document.write_text("before\n<!-- parts -->\n<!-- /parts -->\nafter\n")
    figures = tmp_path / "docs" / "experiments.json"
    output = tmp_path / "out"
    flags = ["--quick", "--made", made, "--output", output, "--document", document, "--figures", figures]
    flags += ["--pictures", 24, "--test-pictures", 24, "--size", 32, "--backbone-weights", weights, "--batch", 4]
    ended = call_main(finding_parts.main, *flags, "--steps", 2)
    assert ended.status == 0, ended.err

    entry = json.loads(figures.read_text())["parts"]
    assert entry["data"] == "made"
    for name, (transformers, _) in NETWORKS.items():
        assert len(entry[name]) == 1
        # Percent of 24 pictures, with two digits.
        assert entry[name][0] == pytest.approx(100 * round(24 * entry[name][0] / 100) / 24, abs=0.006)
        if transformers:
            assert len(entry["stays_on_part"][name][0]) == len(entry["theta_deviation"][name][0]) == transformers
            assert entry["step_ratio"][name] > 0
            assert entry["inference_ratio"][name] > 0
    assert max(entry["theta_deviation"]["4 fixed"][0]) == 0
    assert max(entry["theta_deviation"]["4 x ST"][0]) > 0
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    for name in NETWORKS:
        assert f"| {name} | " in text
    for picture in ("parts_windows.png", "parts_classes.png"):
        assert f"(pictures/{picture})" in text
        assert Image.open(document.parent / "pictures" / picture).width > 300
    assert not list((output / "quick").glob("*.pt"))

    monkeypatch.setattr(Training, "fit", None)  # nothing is trained again
    assert call_main(finding_parts.main, *flags, "--steps", 2).status == 0
    assert document.read_text() == text
    ended = call_main(finding_parts.main, *flags, "--steps", 2, "--batch", 100)
    assert "24 pictures to train on, at least 100 are needed" in ended.fault


def test_a_data_set_as_distributed_is_read_by_root(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call_main
) -> None:
    monkeypatch.setattr(finding_parts, "NETWORKS", {name: NETWORKS[name] for name in ("CNN", "2 x ST")})
    monkeypatch.setattr(finding_parts, "ROUNDS", 1)
    flags = ["--root", made, "--output", tmp_path / "out", "--figures", tmp_path / "f.json", "--size", 32]
    flags += ["--steps", 1, "--seeds", 1, "--backbone-weights", "none", "--batch", 2]
    ended = call_main(finding_parts.main, *flags)
    assert ended.status == 0, ended.err
    assert json.loads((tmp_path / "f.json").read_text())["parts"]["data"] == "CUB-200-2011"
    assert "24 pictures of CUB-200-2011 to train on, 24 to test" in ended.out
    assert "headgear" not in ended.out


def test_a_missing_data_set_is_said_in_one_line(tmp_path: Path, call_main) -> None:
    assert (
        str(tmp_path / "no")
        in call_main(finding_parts.main, "--root", tmp_path / "no", "--output", tmp_path / "out").fault
    )
    assert not (tmp_path / "out").exists()
