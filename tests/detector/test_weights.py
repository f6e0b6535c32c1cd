"""Weights files keep the detector, and say what is wrong with themselves."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from upright.detector.backbone import imagenet_network
from upright.detector.model import build_detector
from upright.detector.settings import PRESETS, Settings
from upright.detector.weights import (
    RELEASED,
    load_backbone,
    load_detector,
    read_metadata,
    save_weights,
    save_with_settings,
    start_from,
)
from upright.errors import InputError


@pytest.mark.parametrize("name", ["tiny", "tiny_light"])
def test_a_saved_detector_comes_back_the_same(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    settings = request.getfixturevalue(name)
    model = build_detector(settings)
    save_weights(tmp_path / "w.safetensors", model, {"command": "test"})
    again = load_detector(tmp_path / "w.safetensors")
    assert read_metadata(tmp_path / "w.safetensors") == (settings, {"command": "test"})
    assert not again.training
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


def test_a_file_from_before_tensors_were_renamed_is_read_as_it_was_meant(tiny: Settings, tmp_path: Path) -> None:
    model = build_detector(tiny)
    torch.nn.init.normal_(model.pool.localisation[-1].linear.weight)
    earlier = {
        name.replace("localisation.2.linear.", "localisation.2."): value.contiguous()
        for name, value in model.state_dict().items()
    }
    assert earlier.keys() != model.state_dict().keys()
    save_file(earlier, tmp_path / "w.safetensors", metadata={"settings": tiny.to_json()})
    again = load_detector(tmp_path / "w.safetensors").state_dict()
    assert all(torch.equal(again[name], value) for name, value in model.state_dict().items())
    assert again.keys() == model.state_dict().keys()


def test_half_precision_halves_the_file_and_keeps_three_digits(tiny: Settings, tmp_path: Path) -> None:
    model = build_detector(tiny)
    save_weights(tmp_path / "full.safetensors", model, {})
    save_weights(tmp_path / "half.safetensors", model, {}, half=True)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.55 * (tmp_path / "full.safetensors").stat().st_size
    for name, value in load_detector(tmp_path / "half.safetensors").state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=1e-3, atol=1e-6)


def test_other_settings_leave_the_tensors_as_they_are_stored(tiny: Settings, tmp_path: Path) -> None:
    save_weights(tmp_path / "half.safetensors", build_detector(tiny), {"steps": 9}, half=True)
    calibrated = replace(tiny, score_scale=0.5, score_shift=-1.25, threshold=0.375)
    save_with_settings(tmp_path / "new.safetensors", tmp_path / "half.safetensors", calibrated, {"steps": 10})
    assert read_metadata(tmp_path / "new.safetensors") == (calibrated, {"steps": 10})
    before, after = load_file(tmp_path / "half.safetensors"), load_file(tmp_path / "new.safetensors")
    assert before.keys() == after.keys()
    assert all(before[name].dtype == after[name].dtype and torch.equal(before[name], after[name]) for name in before)
    heads = load_detector(tmp_path / "new.safetensors").roi_heads
    assert (heads.score_scale, heads.score_shift) == (0.5, -1.25)


def test_no_partial_file_is_left(tiny: Settings, tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", build_detector(tiny), {})
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def damaged(kind: str, tiny: Settings, folder: Path) -> Path:
    path = folder / "w.safetensors"
    if kind == "missing":
        return path
    save_weights(path, build_detector(tiny), {})
    whole = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut off":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "a pickle":
        path.write_bytes(pickle.dumps({"a": 1}))
    elif kind == "without settings":
        save_file({"a": torch.zeros(1)}, path)
    elif kind == "damaged settings":
        save_file({"a": torch.zeros(1)}, path, metadata={"settings": "{"})
    elif kind == "other tensors":
        save_file({"a": torch.zeros(1)}, path, metadata={"settings": tiny.to_json()})
    elif kind == "unknown settings":
        save_file({"a": torch.zeros(1)}, path, metadata={"settings": json.dumps({"wings": 2})})
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "empty",
        "cut off",
        "a pickle",
        "without settings",
        "damaged settings",
        "other tensors",
        "unknown settings",
    ],
)
def test_weights_that_cannot_be_used_are_one_line_about_the_file(kind: str, tiny: Settings, tmp_path: Path) -> None:
    path = damaged(kind, tiny, tmp_path)
    with pytest.raises(InputError) as caught:
        load_detector(path)
    assert str(path) in str(caught.value)


def test_weights_that_are_not_finite_are_refused(tiny: Settings, tmp_path: Path) -> None:
    model = build_detector(tiny)
    torch.nn.init.constant_(model.roi_heads.box_head.score.bias, float("nan"))
    save_weights(tmp_path / "w.safetensors", model, {})
    with pytest.raises(InputError, match="not finite"):
        load_detector(tmp_path / "w.safetensors")


def test_weights_of_other_settings_do_not_start_a_training(tiny: Settings, tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", build_detector(tiny), {})
    with pytest.raises(InputError, match="does not fit"):
        start_from(build_detector(replace(tiny, channels=64)), tmp_path / "w.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_backbone_weights_from_a_file_are_what_is_built_with(suffix: str, tmp_path: Path) -> None:
    network = imagenet_network("mobilenet_v2")
    tensors = {k: v.contiguous() for k, v in network.state_dict().items() if k.startswith("features")}
    path = tmp_path / f"backbone{suffix}"
    if suffix == ".pth":
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    loaded = load_backbone("mobilenet_v2", str(path)).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in tensors.items())


def test_backbone_weights_never_run_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "owned",))

    torch.save({"features.0.0.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(InputError) as refused:
        load_backbone("mobilenet_v2", str(tmp_path / "evil.pth"))
    assert "weights_only" not in str(refused.value), "torch's advice is to run the code"
    assert not (tmp_path / "owned").exists()


def test_weights_of_another_backbone_are_refused(tmp_path: Path) -> None:
    torch.save({"features.0.0.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "b.pth")
    with pytest.raises(InputError, match="do not fit resnet50"):
        load_backbone("resnet50", str(tmp_path / "b.pth"))


def test_weights_of_another_backbone_start_no_training(tiny: Settings, tiny_light: Settings, tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", build_detector(tiny), {})
    with pytest.raises(InputError, match="its backbone is mobilenet_v2, not shufflenet_v2"):
        start_from(build_detector(tiny_light), tmp_path / "w.safetensors")


def test_a_file_from_before_there_was_a_light_first_stage_still_loads(tiny: Settings, tmp_path: Path) -> None:
    model = build_detector(tiny).eval()
    values = json.loads(tiny.to_json())
    for name in ("proposals", "score_target", "first_stage_share"):
        del values[name]
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, tmp_path / "old.safetensors", metadata={"settings": json.dumps(values)})
    picture = [torch.rand(3, 96, 128)]
    with torch.inference_mode():
        (before,), (after,) = model(picture), load_detector(tmp_path / "old.safetensors")(picture)
    assert len(before["scores"])
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_no_network_and_no_file_say_what_to_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    with pytest.raises(InputError, match="--backbone-weights"):
        load_backbone("mobilenet_v2", "default")


def test_the_released_weights_fit_their_preset_and_the_limit() -> None:
    settings, provenance = read_metadata(RELEASED)
    assert settings == replace(
        PRESETS["light"],
        score_scale=settings.score_scale,
        score_shift=settings.score_shift,
        threshold=settings.threshold,
    )
    assert settings.score_scale != 1, "released scores are calibrated"
    assert RELEASED.stat().st_size <= 16e6
    assert "tools/train.py" in provenance["command"]
    load_detector()
