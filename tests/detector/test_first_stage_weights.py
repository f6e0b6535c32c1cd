"""What the first stage starts from: files that fit by name and shape, or one line that says which tensor does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from upright.detector.model import build_detector
from upright.detector.settings import Settings
from upright.detector.weights import fill_first_stage, save_weights
from upright.errors import InputError


def coco_files(tiny_light: Settings, folder: Path, change: Callable[[dict, dict], None]) -> list[str]:
    """Files of random numbers by the names and shapes of NanoDet-Plus-m's, body and head, changed."""
    generator = torch.Generator().manual_seed(5)
    model = build_detector(tiny_light)
    body, head = (
        {name: torch.randn(value.shape, generator=generator) for name, value in part.state_dict().items()}
        for part in (model.backbone, model.rpn)
    )
    for name in head:
        if ".predict." in name:
            head[name] = torch.randn(112, *head[name].shape[1:], generator=generator)
    change(body, head)
    for tensors, name in ((body, "body"), (head, "head")):
        save_file(tensors, folder / f"{name}.safetensors")
    return [str(folder / "body.safetensors"), str(folder / "head.safetensors")]


def parameters(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(model: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def test_the_first_stage_is_filled_for_people_and_rgb(tiny_light: Settings, tmp_path: Path) -> None:
    body, head = coco_files(tiny_light, tmp_path, lambda body, head: None)
    model = build_detector(tiny_light)
    before = parameters(model)
    fill_first_stage(model, [body, head])
    first = {name for name in before if name.startswith(("backbone.", "rpn."))}
    assert changed(model, before) == first
    conv1 = load_file(body)["backbone.conv1.0.weight"]
    assert torch.equal(model.backbone.backbone.conv1[0].weight, conv1[:, [2, 1, 0]])
    predict = load_file(head)["head.2.predict.bias"]
    assert torch.equal(model.rpn.head[2].predict.bias, predict[[0, *range(80, 112)]])


def test_a_second_look_starts_as_a_copy_of_the_first_stages_stages(tiny_light: Settings, tmp_path: Path) -> None:
    body, head = coco_files(tiny_light, tmp_path, lambda body, head: None)
    model = build_detector(replace(tiny_light, second_look="box"))
    judge = parameters(model.roi_heads.second_look.judge)
    fill_first_stage(model, [body, head])
    second = model.roi_heads.second_look
    first = model.backbone.backbone.state_dict()
    assert all(torch.equal(first[name], value) for name, value in second.stages.state_dict().items())
    assert changed(second.judge, judge) == set()
    assert second.pretrained == (second.stages,)


def test_the_body_alone_leaves_the_proposals_as_they_were(tiny_light: Settings, tmp_path: Path) -> None:
    body, _ = coco_files(tiny_light, tmp_path, lambda body, head: None)
    for proposals, fusion in (("dense", "product"), ("anchors", "region")):
        model = build_detector(replace(tiny_light, proposals=proposals, fusion=fusion))
        before = parameters(model)
        fill_first_stage(model, [body])
        assert changed(model, before) == {name for name in before if name.startswith("backbone.")}


def test_a_first_stage_of_none_stays_random(tiny_light: Settings) -> None:
    model = build_detector(tiny_light)
    before = parameters(model)
    fill_first_stage(model, ["none"])
    assert not changed(model, before)


def lack(body: dict, head: dict) -> None:
    del body["pyramid.reduce.1.bias"]


def lack_in_head(body: dict, head: dict) -> None:
    del head["head.3.conv.0.depthwise.weight"]


def have_one_more(body: dict, head: dict) -> None:
    body["backbone.conv5.0.weight"] = torch.zeros(3)


def have_one_more_in_head(body: dict, head: dict) -> None:
    head["head.4.predict.bias"] = torch.zeros(112)


def reshape(body: dict, head: dict) -> None:
    body["backbone.stage3.1.branch2.0.weight"] = torch.zeros(116, 116, 3, 3)


def reshape_first(body: dict, head: dict) -> None:
    body["backbone.conv1.0.weight"] = torch.zeros(24)


def reshape_prediction(body: dict, head: dict) -> None:
    head["head.0.predict.weight"] = torch.zeros(())


def have_other_classes(body: dict, head: dict) -> None:
    head["head.1.predict.bias"] = torch.zeros(20 + 32)


def be_no_number(body: dict, head: dict) -> None:
    body["pyramid.down.0.pointwise.bias"][3] = float("nan")


@pytest.mark.parametrize(
    ("change", "fault", "name"),
    [
        (lack, "lack 1 tensors", "pyramid.reduce.1.bias"),
        (lack_in_head, "lack 1 tensors", "head.3.conv.0.depthwise.weight"),
        (have_one_more, "have, but should not, 1 tensors", "backbone.conv5.0.weight"),
        (have_one_more_in_head, "have, but should not, 1 tensors", "head.4.predict.bias"),
        (reshape, "in another shape 1 tensors", "backbone.stage3.1.branch2.0.weight"),
        (reshape_first, "in another shape 1 tensors", "backbone.conv1.0.weight"),
        (reshape_prediction, "in another shape 1 tensors", "head.0.predict.weight"),
        (have_other_classes, "in another shape 1 tensors", "head.1.predict.bias"),
        (be_no_number, "not finite 1 tensors", "pyramid.down.0.pointwise.bias"),
    ],
)
def test_a_first_stage_that_does_not_fit_names_its_tensor(
    change: Callable[[dict, dict], None], fault: str, name: str, tiny_light: Settings, tmp_path: Path
) -> None:
    files = coco_files(tiny_light, tmp_path, change)
    model = build_detector(tiny_light)
    before = parameters(model)
    with pytest.raises(InputError) as caught:
        fill_first_stage(model, files)
    assert fault in str(caught.value)
    assert name in str(caught.value)
    assert all(file in str(caught.value) for file in files)
    assert not changed(model, before)


def test_the_head_does_not_fill_anchors_and_is_not_enough_alone(tiny_light: Settings, tmp_path: Path) -> None:
    body, head = coco_files(tiny_light, tmp_path, lambda body, head: None)
    with pytest.raises(InputError, match="lack 180 tensors"):
        fill_first_stage(build_detector(tiny_light), [head])
    anchors = build_detector(replace(tiny_light, proposals="anchors", fusion="region"))
    with pytest.raises(InputError, match=r"first is rpn\.head"):
        fill_first_stage(anchors, [body, head])


def test_a_wrong_file_of_the_first_stage_is_named(tiny_light: Settings, tmp_path: Path) -> None:
    torch.save({"features.0.0.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "mobilenet.pth")
    (tmp_path / "text.safetensors").write_text("not weights")
    for name in ("mobilenet.pth", "text.safetensors", "missing.safetensors"):
        with pytest.raises(InputError, match=name):
            fill_first_stage(build_detector(tiny_light), [str(tmp_path / name)])


def test_default_is_the_first_stage_of_the_released_detector(
    tiny: Settings, tiny_light: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = build_detector(tiny_light)
    save_weights(tmp_path / "light.safetensors", released, {})
    monkeypatch.setattr("upright.detector.weights.RELEASED", tmp_path / "light.safetensors")
    dense, anchors = ("dense", "product", ("backbone.", "rpn.")), ("anchors", "region", ("backbone.",))
    for proposals, fusion, parts in (dense, anchors):
        model = build_detector(replace(tiny_light, proposals=proposals, fusion=fusion, head_width=16))
        before = parameters(model)
        fill_first_stage(model, ["default"])
        filled = {name for name in before if name.startswith(parts)}
        assert all(torch.equal(model.state_dict()[name], released.state_dict()[name]) for name in filled)
        assert changed(model, before) <= filled
    save_weights(tmp_path / "old.safetensors", build_detector(tiny), {})
    monkeypatch.setattr("upright.detector.weights.RELEASED", tmp_path / "old.safetensors")
    with pytest.raises(InputError, match="another backbone, mobilenet_v2"):
        fill_first_stage(build_detector(tiny_light), ["default"])
