"""The house number experiment: networks as in the paper, measures by hand, both kinds of data from end to end."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from upright.detector.spatial_transformer import SpatialTransformer
from upright.errors import InputError
from upright.experiments.house_numbers import svhn
from upright.experiments.house_numbers.crops import Crops
from upright.experiments.house_numbers.digit_struct import HouseNumber, write_annotations
from upright.experiments.house_numbers.networks import NETWORKS, build, build_optimizer, sequence_loss, sequence_wrong
from upright.experiments.house_numbers.pictures import CELL
from upright.experiments.house_numbers.trainings import Schedule, Training, error, share_read


def kinds(model: nn.Sequential) -> list[str]:
    names = {SpatialTransformer: "transformer", nn.Conv2d: "convolution", nn.MaxPool2d: "pooling"}
    return [names[type(layer)] for layer in model if type(layer) in names]


def test_the_networks_are_those_of_the_appendix() -> None:
    with torch.device("meta"):
        models = {name: build(name, 64) for name in NETWORKS}
    convolutions = [layer for layer in models["CNN"] if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [48, 64, 128, 160, 192, 192, 192, 192]
    assert {layer.kernel_size for layer in convolutions} == {(5, 5)}
    linear = [layer for layer in models["CNN"] if isinstance(layer, nn.Linear)]
    assert [layer.in_features for layer in linear] == [192 * 4 * 4, 3072, 3072, 3072]
    single, multi = kinds(models["ST single"]), kinds(models["ST multi"])
    assert single == ["transformer", *kinds(models["CNN"])]
    before = ["transformer", "convolution"]
    assert multi[:10] == [*before, "pooling", *before, *before, "pooling", *before]
    assert "transformer" not in multi[10:]
    localisation = [
        type(m) for m in models["ST single"][0].localisation.modules() if isinstance(m, nn.Conv2d | nn.Linear)
    ]
    assert localisation == [nn.Conv2d, nn.Conv2d, nn.Linear, nn.Linear, nn.Linear]  # the last regresses theta


@pytest.mark.parametrize("name", NETWORKS[1:])
def test_untrained_transformers_change_nothing(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, 32, 0.1).eval()
    plain = nn.Sequential(*[layer for layer in model if not isinstance(layer, SpatialTransformer)])
    pictures = torch.randn(3, 3, 32, 32)
    scores = model(pictures)
    assert scores.shape == (3, 5, 11)
    torch.testing.assert_close(scores, plain(pictures), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("size", "rate"), [(64, 0.05), (128, 0.0125)])
def test_localisation_networks_learn_at_a_tenth_of_the_rate_and_less_with_more_inputs(size: int, rate: float) -> None:
    model = build("ST multi", size, 0.1)
    rates = {id(p): group["lr"] for group in build_optimizer(model, 0.5, size).param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert rates.pop(id(parameter)) == pytest.approx(rate if "localisation" in name else 0.5)
    assert not rates


def test_the_loss_is_minus_the_log_probability_of_the_number() -> None:
    scores = torch.randn(2, 5, 11, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[1, 2, 10, 10, 10], [7, 10, 10, 10, 10]])
    numbers = [
        -np.log(np.prod([np.exp(s[c].item()) / np.exp(s.numpy()).sum() for s, c in zip(places, classes, strict=True)]))
        for places, classes in zip(scores, labels, strict=True)
    ]
    assert sequence_loss(scores, labels).item() == pytest.approx(np.mean(numbers), rel=1e-5)


def certain(classes: list[list[int]]) -> Tensor:
    return nn.functional.one_hot(torch.tensor(classes), 11).float()


def test_a_number_is_wrong_where_any_place_is() -> None:
    labels = torch.tensor([[1, 2, 10, 10, 10]] * 4)
    read = [[1, 2, 10, 10, 10], [1, 3, 10, 10, 10], [1, 2, 0, 10, 10], [1, 10, 10, 10, 10]]
    assert sequence_wrong(certain(read), labels).tolist() == [False, True, True, True]


class Reader(nn.Module):
    """Reads the number (B, 5) from brightness: sees 1 where a picture's left half is darker than its right."""

    def forward(self, pictures: Tensor) -> Tensor:
        ones = pictures[..., :16].mean((1, 2, 3)) < pictures[..., 16:].mean((1, 2, 3))
        return certain([[int(one), 10, 10, 10, 10] for one in ones])


def test_the_error_is_percent_of_the_numbers() -> None:
    pictures = np.zeros((10, 32, 32, 3), np.uint8)
    pictures[:4, :, 16:] = 200  # four ones
    labels = torch.tensor([[1, 10, 10, 10, 10]] * 7 + [[0, 10, 10, 10, 10]] * 3)
    schedule = Schedule(width=1, steps=1, batch=1, learning_rate=1, precision="float32", device="cpu")
    assert error(Reader(), Crops(pictures, labels, 0), schedule) == pytest.approx(30)


class Constant(nn.Module):
    """Gives the same theta to every map."""

    def __init__(self, theta: list[float]) -> None:
        super().__init__()
        self.register_buffer("theta", torch.tensor(theta, dtype=torch.float32))

    def forward(self, U: Tensor) -> Tensor:
        return self.theta.expand(len(U), -1)


def test_shares_that_transformers_read_are_multiplied() -> None:
    model = build("ST multi", 32, 0.1)
    transformers = [layer for layer in model if isinstance(layer, SpatialTransformer)]
    # Half the width and a fifth more height, turned by 0.6 and 0.8; then a quarter of the area.
    thetas = ([0.3, -0.96, 0.1, 0.4, 0.72, 0.2], [0.5, 0, 0, 0, 0.5, 0], [-1, 0, 0, 0, 1, 0], [1, 0, 0.3, 0, 1, 0])
    for transformer, theta in zip(transformers, thetas, strict=True):
        transformer.localisation = Constant(theta)
    crops = Crops(np.zeros((2, 32, 32, 3), np.uint8), torch.zeros(2, 5, dtype=torch.long), 0)
    assert share_read(model, crops, "cpu") == pytest.approx((0.5 * 1.2) ** 0.5 * 0.5)


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *flags: str) -> None:
    small = [
        "--quick",
        "--width=0.1",
        "--steps=2",
        "--batch=4",
        "--train-pictures=12",
        "--test-pictures=6",
    ]
    document = folder / "d.md"
    if not document.exists():
        document.write_text("before\n<!-- svhn -->\n<!-- /svhn -->\nafter\n")
    paths = ["--output", folder / "runs", "--document", document, "--figures", folder / "f.json"]
    monkeypatch.setattr(sys, "argv", ["svhn.py", *small, *map(str, paths), *flags])
    svhn.main()


@pytest.fixture
def mnist(tmp_path: Path, write_mnist: Callable[[Path, bool], None]) -> Path:
    write_mnist(tmp_path / "mnist", True)
    return tmp_path / "mnist"


@pytest.mark.slow
def test_composed_numbers_from_end_to_end_and_a_second_run_trains_nothing(
    tmp_path: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ["--made", str(tmp_path / "made"), "--mnist", str(mnist), "--sizes", "64", "128"]
    with pytest.raises(InputError, match=r"train/digitStruct\.mat is missing"):
        run(monkeypatch, tmp_path, *made, "--collect")
    run(monkeypatch, tmp_path, *made, "--networks", "ST multi")
    with pytest.raises(InputError, match="leave --collect away"):
        run(monkeypatch, tmp_path, *made, "--collect", "--batch=3")
    assert "| CNN | 4.0 | not run | 5.6 | not run | not run, not run | not run, not run |" in (
        (tmp_path / "d.md").read_text()
    )
    assert not (tmp_path / "pictures").exists()  # it takes both networks with transformers
    run(monkeypatch, tmp_path, *made)
    figures = json.loads((tmp_path / "f.json").read_text())["svhn"]
    assert figures["data"] == "made"
    assert set(figures) == {"data", "64", "128"}
    for size in ("64", "128"):
        assert set(figures[size]) == {*NETWORKS, "share_read", "step_ratio", "inference_ratio"}
        for name in NETWORKS:
            (found,) = figures[size][name]
            # Percent of 6 pictures, with two digits.
            assert found == pytest.approx(100 * round(6 * found / 100) / 6, abs=0.006)
        assert all(set(figures[size][ratio]) == set(NETWORKS[1:]) for ratio in ("step_ratio", "inference_ratio"))
    document = (tmp_path / "d.md").read_text()
    assert document.startswith("before\n<!-- svhn -->\n")
    assert all(f"| {name} |" in document for name in NETWORKS)
    for size in (64, 128):
        picture = cv2.imread(str(tmp_path / "pictures" / f"svhn_{size}.png"))
        assert picture.shape[0] == 3 * (CELL + 4)  # crops, single, multi
        assert f"pictures/svhn_{size}.png" in document

    def no_training(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(Training, "fit", no_training)
    monkeypatch.setattr(svhn, "compose_split", no_training)
    monkeypatch.setattr(svhn, "read_splits", no_training)
    (tmp_path / "f.json").unlink()
    run(monkeypatch, tmp_path, *made)
    assert json.loads((tmp_path / "f.json").read_text())["svhn"] == figures
    with pytest.raises(InputError, match="does not hold 5 house numbers: name another --made"):
        run(monkeypatch, tmp_path, *made, "--train-pictures=5")


def test_svhn_as_distributed_from_end_to_end_with_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("extra", 5), ("test", 6)):
        numbers = []
        for index in range(count):
            digits = tuple(map(int, rng.integers(0, 10, index + 1)))  # some of six and more
            boxes = np.array([[5.0 + 4 * i, 5, 4, 10] for i in range(len(digits))])
            numbers.append(HouseNumber(f"{index + 1}.png", boxes, digits))
        write_annotations(tmp_path / "svhn" / split / "digitStruct.mat", numbers)
        for number in numbers:
            picture = rng.integers(0, 256, (30, 50, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "svhn" / split / number.name), picture)
    run(monkeypatch, tmp_path, "--root", str(tmp_path / "svhn"))
    assert json.loads((tmp_path / "f.json").read_text())["svhn"]["data"] == "svhn"
    document = (tmp_path / "d.md").read_text()
    assert "of 10 others" in document  # 5 of train and 5 of extra
    assert "4 numbers without a digit or with more than 5 are left out" in document


def test_a_folder_of_other_house_numbers_is_not_written_over(
    tmp_path: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_annotations(tmp_path / "made" / "train" / "digitStruct.mat", [])
    with pytest.raises(InputError, match="not composed here: pass it as --root"):
        run(monkeypatch, tmp_path, "--made", str(tmp_path / "made"), "--mnist", str(mnist))


def test_folders_without_data_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"nowhere/train/digitStruct\.mat is missing: unpack"):
        run(monkeypatch, tmp_path, "--root", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="nowhere/MNIST/raw does not hold MNIST"):
        run(monkeypatch, tmp_path, "--made", str(tmp_path / "made"), "--mnist", str(tmp_path / "nowhere"))
