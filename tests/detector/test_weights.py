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


@pytest.mark.parametrize("second_look", ["none", "box", "canonical"])
def test_a_taught_detector_comes_back_the_same(second_look: str, tiny_light: Settings, tmp_path: Path) -> None:
    settings = replace(tiny_light, teach=0.5, second_look=second_look, looks=3)
    model = build_detector(settings).eval()
    torch.nn.init.normal_(model.pool.localisation.regression.linear.weight, std=0.3)
    save_weights(tmp_path / "w.safetensors", model, {})
    again = load_detector(tmp_path / "w.safetensors")
    assert again.settings == settings
    assert again.state_dict().keys() == model.state_dict().keys()
    picture = [torch.rand(3, 96, 128)]
    with torch.inference_mode():
        (before,), (after,) = model(picture), again(picture)
    assert {"lean", "whole", "parts", "seen"} < before.keys()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_second_look_starts_as_a_copy_of_the_first_stage_and_the_rest_anew(
    tiny_light: Settings, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source = build_detector(tiny_light)
    save_weights(tmp_path / "w.safetensors", source, {})
    capsys.readouterr()
    model = build_detector(replace(tiny_light, teach=1.0, second_look="canonical"))
    built = {name: value.clone() for name, value in model.state_dict().items()}
    start_from(model, tmp_path / "w.safetensors")
    note = capsys.readouterr().err
    assert note.count("\n") == 1
    assert note.strip().endswith("started anew: box_head.second, box_roi_pool.localisation, second_look.judge")
    old, new = source.state_dict(), model.state_dict()
    for name, value in new.items():
        if name.startswith("roi_heads.second_look.stages."):
            assert torch.equal(value, old[name.replace("roi_heads.second_look.stages.", "backbone.backbone.")]), name
        elif "second_look.judge" in name or "localisation" in name or name == "roi_heads.box_head.second.weight":
            assert torch.equal(value, built[name]), name
        else:
            assert torch.equal(value, old[name]), name
    second = model.roi_heads.second_look
    assert second.pretrained == (second.stages,)
    assert not any(p.requires_grad for p in [*second.stages.conv1.parameters(), *second.stages.stage2.parameters()])
    assert all(p.requires_grad for p in second.judge.parameters())


def test_a_second_look_that_has_learnt_goes_on_from_where_it_was(
    tiny_light: Settings, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source = build_detector(replace(tiny_light, second_look="box"))
    save_weights(tmp_path / "w.safetensors", source, {})
    model = build_detector(replace(tiny_light, second_look="canonical", teach=1.0))
    start_from(model, tmp_path / "w.safetensors")
    assert "second_look." not in capsys.readouterr().err
    for name, value in source.roi_heads.second_look.state_dict().items():
        assert torch.equal(model.roi_heads.second_look.state_dict()[name], value), name
    assert not model.roi_heads.second_look.stages.stage2[0].branch2[0].weight.requires_grad


def test_a_second_look_that_nothing_is_known_of_learns_as_a_whole(
    tiny: Settings, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """MobileNetV2 has no stages that it could start from."""
    save_weights(tmp_path / "w.safetensors", build_detector(tiny), {})
    model = build_detector(replace(tiny, second_look="box"))
    start_from(model, tmp_path / "w.safetensors")
    assert "second_look.judge, second_look.stages" in capsys.readouterr().err
    assert all(p.requires_grad for p in model.roi_heads.second_look.parameters())
    assert model.roi_heads.second_look.pretrained == ()


def test_weights_that_fit_start_a_training_without_a_word(
    tiny_light: Settings, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    settings = replace(tiny_light, teach=1.0, second_look="box")
    source = build_detector(settings)
    save_weights(tmp_path / "w.safetensors", source, {})
    model = build_detector(replace(settings, teach=2.0))
    start_from(model, tmp_path / "w.safetensors")
    assert capsys.readouterr().err == ""
    assert all(torch.equal(model.state_dict()[name], value) for name, value in source.state_dict().items())


@pytest.mark.parametrize("read", ["pyramid", "picture"])
def test_files_that_read_the_pyramid_load_and_those_that_read_the_picture_are_refused(
    read: str, tiny: Settings, tmp_path: Path
) -> None:
    tensors = {name: value.contiguous() for name, value in build_detector(tiny).state_dict().items()}
    values = {**json.loads(tiny.to_json()), "read": read}
    save_file(tensors, tmp_path / "w.safetensors", metadata={"settings": json.dumps(values)})
    if read == "pyramid":
        assert load_detector(tmp_path / "w.safetensors").settings == tiny
        return
    with pytest.raises(InputError, match="read") as caught:
        load_detector(tmp_path / "w.safetensors")
    assert str(tmp_path / "w.safetensors") in str(caught.value)
    assert "\n" not in str(caught.value)


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
