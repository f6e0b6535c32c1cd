"""tools/calibrate.py as a user calls it, with the released weights on a few rendered pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import pytest
import torch

from upright.datasets.hold_out import DatasetRows
from upright.detector.engines.torch_engine import detect_pictures
from upright.detector.evaluation.calibration import Calibration
from upright.detector.model import build_detector
from upright.detector.settings import Settings
from upright.detector.weights import RELEASED, load_detector, read_metadata, save_weights
from upright.errors import InputError
from upright.tools import calibrate

PICTURES = 4


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["calibrate.py", *map(str, arguments)])
    calibrate.main()


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, str]:
    """Folder with the calibrated weights, the plot and the figures; the figures; the command line."""
    folder = tmp_path_factory.mktemp("calibrated")
    written = ["--output", folder / "w.safetensors", "--json", folder / "f.json", "--plot", folder / "p.png"]
    with pytest.MonkeyPatch.context() as patch:
        call(patch, RELEASED, "--dataset", "synthetic", "--length", PICTURES, *written)
        command = " ".join(["python", *sys.argv])
    return folder, json.loads((folder / "f.json").read_text()), command


def test_the_same_tensors_are_written_with_the_calibration_and_how_it_came_about(result) -> None:
    folder, figures, command = result
    before, after = (load_detector(path).state_dict() for path in (RELEASED, folder / "w.safetensors"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    settings, provenance = read_metadata(folder / "w.safetensors")
    for name in ("score_scale", "score_shift", "threshold"):
        assert getattr(settings, name) == figures[name]
    assert settings.score_scale != 1.0
    _, was = read_metadata(RELEASED)
    assert provenance == was | {"calibration": {"command": command, "pictures": PICTURES}}


def test_scores_come_nearer_to_the_truth_and_the_files_say_so(result) -> None:
    folder, figures, _ = result
    assert figures["after"]["expected_error"] < figures["before"]["expected_error"]
    assert figures["pictures"] == PICTURES
    assert sum(figures["before"]["count"]) == sum(figures["after"]["count"]) == figures["detections"]
    assert figures["at_threshold"]["threshold"] == figures["threshold"]
    assert figures["at_threshold"]["precision"] > 0.3
    assert cv2.imread(str(folder / "p.png")) is not None


def test_the_written_weights_give_the_calibrated_scores(result) -> None:
    folder, figures, _ = result
    from upright.datasets.synthetic import SyntheticPedestrians

    image = SyntheticPedestrians("val")[0].image
    plain = load_detector(RELEASED)
    plain.roi_heads.score_scale, plain.roi_heads.score_shift = 1.0, 0.0
    models = (plain, load_detector(folder / "w.safetensors"))
    before, after = (detect_pictures(model, [image])[0] for model in models)
    expected = Calibration(figures["score_scale"], figures["score_shift"])(before["scores"].double().numpy())
    count = min(len(before["scores"]), len(after["scores"]))  # the lowest scores are cut off at another place
    assert count > 5
    torch.testing.assert_close(after["scores"][:count].double(), torch.from_numpy(expected[:count]), atol=1e-5, rtol=0)


def test_calibrating_again_starts_from_the_bare_scores(result, monkeypatch, tmp_path, capsys) -> None:
    folder, figures, _ = result
    options = ["--dataset", "synthetic", "--length", PICTURES, "--output", tmp_path / "w.safetensors"]
    call(monkeypatch, folder / "w.safetensors", *options, "--json", tmp_path / "f.json")
    assert json.loads((tmp_path / "f.json").read_text()) == figures
    printed = capsys.readouterr().out
    assert f"threshold {figures['threshold']:g}: precision {figures['at_threshold']['precision']:.2%}" in printed


def test_with_hold_out_the_pictures_are_those_that_training_held_out(monkeypatch) -> None:
    base = ["calibrate", "w", "--output", "o", "--dataset", "synthetic", "--length", "5"]
    held_out = calibrate.pictures(calibrate.parser().parse_args([*base[1:], "--hold-out", "2"]))
    assert isinstance(held_out, DatasetRows)
    assert held_out.rows.tolist() == [1, 3]
    assert held_out.dataset.split == "train"
    assert calibrate.pictures(calibrate.parser().parse_args(base[1:])).split == "val"


def test_a_detector_that_knows_nothing_is_refused_and_nothing_is_written(tiny: Settings, monkeypatch, tmp_path) -> None:
    torch.manual_seed(0)
    save_weights(tmp_path / "w.safetensors", build_detector(tiny), {})
    with pytest.raises(InputError, match="calibrat"):
        call(
            monkeypatch, tmp_path / "w.safetensors", "--dataset", "synthetic", "--length", 1, "--output", tmp_path / "o"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ("missing.safetensors --dataset synthetic --output o", "missing.safetensors"),
        ("w --dataset synthetic --output o --workers 0", "--workers 0"),
        ("w --dataset synthetic --output o --false-people -1", "--false-people -1"),
        ("w --dataset synthetic --output o --hold-out 1", "--hold-out 1"),
        ("w --dataset coco --output o", "--root"),
    ],
)
def test_bad_input_is_refused(arguments: str, fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=fault):
        call(monkeypatch, *arguments.split())
    assert not list(tmp_path.iterdir())
