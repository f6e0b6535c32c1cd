"""The COCO-trained body: written as it is described, by the published names, and of the published weights."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import cv2
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, leaky_relu
from torchvision.models import shufflenet_v2_x1_0
from torchvision.ops import box_iou

from upright.detector.backbone import fold_batch_norm
from upright.detector.model import build_detector
from upright.detector.settings import PRESETS
from upright.detector.shufflenet import Depthwise, GhostPyramid, ShuffleNet, ShuffleNetPyramid, ShuffleUnit
from upright.detector.weights import fill_first_stage

BODY, HEAD = "nanodet_plus_m_416_coco.safetensors", "nanodet_plus_m_416_coco_head.safetensors"


@pytest.fixture(scope="module")
def published(shared: Path) -> Path:
    if not (shared / "weights" / BODY).is_file():
        pytest.skip("../shared has no weights of NanoDet-Plus-m")
    return shared / "weights"


@pytest.fixture
def body() -> ShuffleNetPyramid:
    torch.manual_seed(0)
    return ShuffleNetPyramid().eval()


def act(x: Tensor) -> Tensor:
    return leaky_relu(x, 0.1)


def convolved(tensors: dict[str, Tensor], name: str, x: Tensor, stride: int = 1) -> Tensor:
    """Convolution `name`; depthwise where its kernel reads one channel."""
    weight = tensors[f"{name}.weight"]
    groups = x.shape[1] if weight.shape[1] == 1 else 1
    return conv2d(x, weight, tensors[f"{name}.bias"], stride, weight.shape[-1] // 2, groups=groups)


def shuffled(x: Tensor) -> Tensor:
    half = x.shape[1] // 2
    return torch.stack([x[:, group * half + j] for j in range(half) for group in range(2)], dim=1)


def unit_as_described(tensors: dict[str, Tensor], x: Tensor, stride: int) -> Tensor:
    first, second = x.tensor_split(2, dim=1)
    if stride == 2:
        second = x
        first = act(convolved(tensors, "branch1.2", convolved(tensors, "branch1.0", x, 2)))
    second = act(convolved(tensors, "branch2.0", second))
    second = act(convolved(tensors, "branch2.5", convolved(tensors, "branch2.3", second, stride)))
    return shuffled(torch.cat([first, second], dim=1))


@pytest.mark.parametrize(("in_channels", "stride"), [(24, 2), (32, 1)])
def test_a_unit_does_what_its_description_says(in_channels: int, stride: int) -> None:
    torch.manual_seed(0)
    unit, x = ShuffleUnit(in_channels, 16, stride), torch.randn(2, in_channels, 8, 12)
    before = x.clone()
    torch.testing.assert_close(unit(x), unit_as_described(unit.state_dict(), x, stride))
    assert torch.equal(x, before), "the activations work in place, but never on what the unit was given"


def separable(tensors: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return act(convolved(tensors, f"{name}.pointwise", act(convolved(tensors, f"{name}.depthwise", x, 2))))


def bottleneck(tensors: dict[str, Tensor], name: str, coarse: Tensor, fine: Tensor) -> Tensor:
    x = torch.cat([coarse, fine], dim=1)
    a = act(convolved(tensors, f"{name}.expand.primary", x))
    e = torch.cat([a, act(convolved(tensors, f"{name}.expand.cheap", a))], dim=1)
    b = convolved(tensors, f"{name}.project.primary", e)
    p = torch.cat([b, convolved(tensors, f"{name}.project.cheap", b)], dim=1)
    return p + convolved(tensors, f"{name}.shortcut.pointwise", convolved(tensors, f"{name}.shortcut.depthwise", x))


def pyramid_as_described(tensors: dict[str, Tensor], maps: list[Tensor]) -> list[Tensor]:
    def up2(x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        return interpolate(x, (2 * height, 2 * width), mode="bilinear", align_corners=False)

    r8, r16, r32 = (act(convolved(tensors, f"reduce.{i}", m)) for i, m in enumerate(maps))
    t16 = bottleneck(tensors, "top_down.0", up2(r32), r16)
    p8 = bottleneck(tensors, "top_down.1", up2(t16), r8)
    p16 = bottleneck(tensors, "bottom_up.0", separable(tensors, "down.0", p8), t16)
    p32 = bottleneck(tensors, "bottom_up.1", separable(tensors, "down.1", p16), r32)
    return [p8, p16, p32, separable(tensors, "extra_in", r32) + separable(tensors, "extra_out", p32)]


def test_the_pyramid_does_what_its_description_says() -> None:
    torch.manual_seed(0)
    pyramid = GhostPyramid([6, 10, 14], 8)
    maps = [torch.randn(2, width, side, 2 * side) for width, side in ((6, 16), (10, 8), (14, 4))]
    for level, expected in zip(pyramid(maps), pyramid_as_described(pyramid.state_dict(), maps), strict=True):
        torch.testing.assert_close(level, expected)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (320, 544), (480, 640)])
def test_every_multiple_of_32_gives_four_levels(height: int, width: int, body: ShuffleNetPyramid) -> None:
    pictures = torch.randn(1, 3, height, width)
    with torch.inference_mode():
        maps = body(pictures)
    assert maps.pop("picture") is pictures
    assert list(maps) == ["0", "1", "2", "pool"]
    assert body.strides == (8, 16, 32, 64)
    sides = [(-(-height // stride), -(-width // stride)) for stride in body.strides]
    assert [tuple(m.shape) for m in maps.values()] == [(1, 96, *side) for side in sides]


def test_names_and_numbers_are_those_that_were_published(body: ShuffleNetPyramid) -> None:
    tensors = body.state_dict()
    assert len(tensors) == 180
    assert sum(value.numel() for value in tensors.values()) == 1_048_426
    assert sum(value.numel() for name, value in tensors.items() if name.startswith("backbone.")) == 769_354


def test_the_backbone_is_torchvisions_with_leaky_activations() -> None:
    torch.manual_seed(0)
    theirs = shufflenet_v2_x1_0(weights=None).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    fold_batch_norm(theirs)
    for parent in list(theirs.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU):
                setattr(parent, name, nn.LeakyReLU(0.1))
    ours = ShuffleNet().eval()
    used = {k: v for k, v in theirs.state_dict().items() if not k.startswith(("conv5.", "fc."))}
    ours.load_state_dict(used)  # the names fit, with none left over
    pictures = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        expected = [theirs.maxpool(theirs.conv1(pictures))]
        for name in ("stage2", "stage3", "stage4"):
            expected.append(getattr(theirs, name)(expected[-1]))
        for level, other in zip(ours(pictures), expected[1:], strict=True):
            torch.testing.assert_close(level, other, atol=1e-5 * other.abs().max().item(), rtol=1e-4)


def test_random_weights_all_learn() -> None:
    body = ShuffleNetPyramid()
    assert all(parameter.requires_grad for parameter in body.parameters())
    assert body.pretrained == ()


def test_of_learnt_weights_stem_first_stage_and_wide_depthwise_kernels_are_frozen() -> None:
    body = ShuffleNetPyramid()
    body.keep_learnt()
    sum(level.square().sum() for name, level in body(torch.randn(1, 3, 64, 64)).items() if name != "picture").backward()
    frozen = {name for name, parameter in body.named_parameters() if parameter.grad is None}
    wide = {f"{n}.{part}" for n, m in body.named_modules() if isinstance(m, Depthwise) for part in ("weight", "bias")}
    wide = {name for name in wide if body.get_parameter(name.rsplit(".", 1)[0] + ".weight").shape[-1] == 5}
    assert len(wide) == 2 * 8  # four bottlenecks, four separable convolutions
    stem = {n for n, _ in body.named_parameters() if n.startswith(("backbone.conv1.", "backbone.stage2."))}
    assert frozen == wide | stem
    assert {n for n, p in body.named_parameters() if not p.requires_grad} == frozen
    assert body.pretrained == (body,)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (3, 1)])
def test_depthwise_convolutions_learn_under_autocast_as_in_float32(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    layer, x = Depthwise(16, kernel, stride), torch.randn(2, 16, 24, 32)
    x = x.bfloat16().float()  # what autocast rounds of the input is not the question

    def gradients(enabled: bool) -> list[Tensor]:
        layer.zero_grad()
        leaf = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            layer(leaf).float().square().sum().backward()
        return [leaf.grad, *(p.grad for p in layer.parameters() if p.requires_grad)]

    rounded = 0.02 if stride == 1 else 1e-6  # with a stride nothing is computed in bfloat16
    pairs = list(zip(gradients(True), gradients(False), strict=True))
    assert len(pairs) == 3
    for half, full in pairs:
        assert half.dtype == torch.float32
        assert (half - full).norm() <= rounded * full.norm()


def test_the_published_weights_fit_by_name_and_shape(published: Path) -> None:
    model = build_detector(PRESETS["light"])
    fill_first_stage(model, [str(published / BODY), str(published / HEAD)])
    tensors = load_file(published / BODY)
    filled = model.backbone.state_dict()
    assert filled.keys() == tensors.keys()
    for name, value in tensors.items():
        expected = value.flip(1) if name == "backbone.conv1.0.weight" else value  # images are R, G, B here
        assert torch.equal(filled[name], expected), name
    head = load_file(published / HEAD)
    filled = model.rpn.state_dict()
    assert filled.keys() == head.keys()
    for name, value in head.items():
        expected = value[[0, *range(80, 112)]] if ".predict." in name else value
        assert torch.equal(filled[name], expected), name


def test_the_published_maps_have_the_published_scale(published: Path, shared: Path) -> None:
    """Means over pictures, so only the order of them: a wrong shuffle, slope or normalisation is off by far."""
    model = build_detector(PRESETS["light"]).eval()
    fill_first_stage(model, [str(published / BODY), str(published / HEAD)])
    pictures = sorted((shared / "data/people/images/coco").glob("*.jpg"))[:8]
    images = [torch.from_numpy(cv2.resize(cv2.imread(str(path)), (416, 416))[..., ::-1].copy()) for path in pictures]
    mean, std = (torch.tensor(v)[:, None, None] for v in (model.transform.image_mean, model.transform.image_std))
    batch = torch.stack([(image.permute(2, 0, 1) / 255 - mean) / std for image in images])
    with torch.inference_mode():
        maps = model.backbone(batch)
    for name, expected in (("0", 0.276), ("1", 0.190), ("2", 0.184), ("pool", 0.077)):
        assert maps[name].square().mean().sqrt().item() == pytest.approx(expected, rel=0.2)


def alone(shared: Path, count: int) -> list[tuple[Path, Tensor]]:
    """Pictures of one person, at least half as high as the picture, and that person's box (1, 4)."""
    folder = shared / "data/people"
    if not (folder / "coco_val2017.json").is_file():
        pytest.skip("../shared has no people/coco_val2017.json")
    data = json.loads((folder / "coco_val2017.json").read_text())
    people = defaultdict(list)
    for row in data["annotations"]:
        people[row["image_id"]].append(row)
    found = []
    for image in data["images"]:
        rows = people[image["id"]]
        if len(rows) == 1 and not rows[0]["iscrowd"] and rows[0]["bbox"][3] > 0.5 * image["height"]:
            x, y, width, height = rows[0]["bbox"]
            found.append((folder / image["file_name"], torch.tensor([[x, y, x + width, y + height]])))
    return found[:count]


def test_the_best_proposal_of_the_published_first_stage_is_the_person(published: Path, shared: Path) -> None:
    model = build_detector(PRESETS["light"]).eval()
    fill_first_stage(model, [str(published / BODY), str(published / HEAD)])
    pictures = alone(shared, 6)
    assert len(pictures) == 6
    for path, person in pictures:
        picture = torch.from_numpy(cv2.imread(str(path))[..., ::-1].copy()).permute(2, 0, 1) / 255
        with torch.inference_mode():
            images, _ = model.transform([picture])
            (proposals,), _ = model.rpn(images, model.backbone(images.tensors))
        scale = images.image_sizes[0][0] / picture.shape[1]
        overlap = box_iou(proposals.boxes[:1], person * scale).item()
        assert overlap >= 0.7, f"{path.name}: {overlap:.2f}"
        assert proposals.logits[0] > 0, path.name
