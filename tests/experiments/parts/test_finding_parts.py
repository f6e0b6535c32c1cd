"""The experiment on parts runs from end to end; its windows start, move and are measured as they should."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import mobilenet_v2

from upright.experiments.parts import finding_parts
from upright.experiments.parts.finding_parts import NETWORKS, Pictures, batch_loss, look
from upright.experiments.parts.networks import CHANNELS, TILES, PartNetwork
from upright.experiments.parts.pictures import COLOURS, draw_windows
from upright.experiments.parts.posed_pedestrians import write_pedestrians
from upright.tools.command import run

SIDE = 64


@pytest.fixture(scope="module")
def backbone() -> nn.Module:
    """Random weights; statistics that keep activations from vanishing."""
    torch.manual_seed(0)
    network = mobilenet_v2(weights=None)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    network.train()(torch.rand(8, 3, SIDE, SIDE))
    return network


def test_windows_start_as_tiles_of_the_picture(backbone: nn.Module) -> None:
    pictures = torch.rand(2, 3, SIDE, SIDE)
    half, quarter = SIDE // 2, SIDE // 4
    four = PartNetwork(backbone, 5, 4, moves=False, side=SIDE).parallel(pictures)
    tiles = [pictures[..., y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    assert torch.allclose(four, torch.stack(tiles, 1), atol=1e-5)
    two = PartNetwork(backbone, 5, 2, moves=True, side=SIDE).parallel(pictures)
    upright = [pictures[..., y : y + half, quarter : quarter + half] for y in (0, half)]
    assert torch.allclose(two, torch.stack(upright, 1), atol=1e-5)


def test_windows_move_without_growing(backbone: nn.Module) -> None:
    model = PartNetwork(backbone, 5, 4, moves=True, side=SIDE)
    nn.init.normal_(model.parallel.localisation.regression.linear.weight)
    _, theta = model(torch.rand(3, 3, SIDE, SIDE))
    assert theta.shape == (3, 4, 3)
    assert (theta[..., 0] == 0.5).all()
    assert (theta[..., 1:] - torch.tensor(TILES[4])).abs().min() > 1e-4
    assert theta[..., 1:].std(0).min() > 1e-4  # each picture its own


def test_the_cnn_sees_the_whole_picture_at_the_size_of_a_crop(backbone: nn.Module) -> None:
    model = PartNetwork(backbone, 5, 0, moves=False, side=SIDE).eval()
    coarse = torch.rand(1, 3, SIDE // 2, SIDE // 2)
    scores, theta = model(coarse.repeat_interleave(2, -1).repeat_interleave(2, -2))
    described = model.descriptions[0](coarse).mean((2, 3))
    assert theta is None
    assert torch.allclose(scores, model.classifier(described), atol=1e-5)


def test_each_window_has_a_description_of_its_own(backbone: nn.Module) -> None:
    model = PartNetwork(backbone, 5, 2, moves=False, side=SIDE).eval()
    pictures = torch.rand(1, 3, SIDE, SIDE)
    with torch.no_grad():
        whole, _ = model(pictures)
        model.classifier.weight[:, CHANNELS:] = 0
        first, _ = model(pictures)
        pictures[..., SIDE // 2 :, :] = 0  # the second window's half
        same, _ = model(pictures)
    assert not torch.allclose(whole, first)
    assert torch.allclose(first, same)


def test_early_and_localisation_s_features_stay_the_rest_learns(backbone: nn.Module) -> None:
    model = PartNetwork(backbone, 5, 2, moves=True, side=SIDE)
    others, localisation = model.groups(0.1, 0.5)
    assert (others["lr"], localisation["lr"]) == (0.1, 0.05)
    learning = [p for p in model.parameters() if p.requires_grad]
    assert {id(p) for p in learning} == {id(p) for g in (others, localisation) for p in g["params"]}
    assert not any(p.requires_grad for p in model.parallel.localisation.features.parameters())
    assert not any(p.requires_grad for d in model.descriptions for p in d[:4].parameters())
    assert all(p.requires_grad for d in model.descriptions for p in d[4:].parameters())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loss = model.train()(torch.rand(4, 3, SIDE, SIDE))[0].square().sum()
    loss.backward()
    assert all(p.grad is not None for p in learning)
    assert model.parallel.localisation.regression.linear.bias.grad.unflatten(0, (2, 3))[:, 1:].abs().min() > 0
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    # In training mode alone statistics of batch normalisation move, and none of what stays.
    assert changed
    assert all(".running_" in name or "num_batches" in name for name in changed)
    assert not any(name.startswith("parallel") for name in changed)


def test_a_fixed_network_has_no_localisation_to_learn(backbone: nn.Module) -> None:
    assert len(PartNetwork(backbone, 5, 2, moves=False, side=SIDE).groups(0.1, 0.5)) == 1


def test_windows_are_measured_by_hand() -> None:
    nan = float("nan")
    theta = torch.tensor([[[0.5, 0.0, -0.5], [0.5, 0.0, 0.5]], [[0.5, 0.5, -0.5], [0.5, 0.0, 0.5]]])
    head, torso, legs = [-0.1, -0.9, 0.1, -0.7], [-0.2, -0.6, 0.2, 0.2], [-0.2, 0.2, 0.2, 1.0]
    hidden = [nan] * 4
    found = look(theta, torch.tensor([[head, torso, legs], [[0.9, -0.9, 1.1, -0.7], hidden, legs]]))
    # First window, first picture: x -0.5 to 0.5, y -1 to 0. It holds the head, the upper 0.6 of 0.8 of the torso.
    # Second picture: x 0 to 1 holds half of the head; the legs lie below.
    assert found["overlap"][0] == pytest.approx([0.75, 0.75, 0.0])
    # Second window: y 0 to 1. The torso's lower 0.2 of 0.8; all of the legs.
    assert found["overlap"][1] == pytest.approx([0.0, 0.25, 1.0])
    # Centre (0, -0.5): 0.3 from head and from torso (0, -0.2); (0.5, -0.5) is nearest to the head, the torso hidden.
    assert found["part"] == ["head", "legs"]
    assert found["stays"][1] == 1.0
    # x is 0 and 0.5: deviation 0.25, y none.
    assert found["deviation"] == pytest.approx([0.125, 0.0])


def test_windows_follow_as_far_as_they_go_with_the_torso() -> None:
    centres = torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
    boxes = torch.cat([centres - 0.1, centres + 0.1], dim=1)[:, None].repeat(1, 3, 1)
    theta = torch.full((50, 3, 3), 0.5)
    theta[:, 1, 1:] = 0.4 + centres * torch.tensor([0.6, 0.9])
    theta[:, 2, 1:] = 0.4 - centres
    boxes[7] = float("nan")  # nobody is seen there
    theta[7] = 9
    assert look(theta, boxes)["follows"] == pytest.approx([0, 0.6, -1], abs=1e-5)


def test_a_batch_follows_from_seed_and_step() -> None:
    images = torch.randint(0, 256, (10, 3, 4, 4), dtype=torch.uint8)
    pictures = Pictures(images, torch.arange(10), torch.zeros(10, 3, 4))
    seen = []

    class Spy(nn.Module):
        def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, None]:
            seen.append(batch)
            return torch.zeros(len(batch), 10), None

    for seed, step in ((0, 3), (0, 3), (0, 4), (1, 3)):
        batch_loss(Spy(), pictures, seed, step, 6, "cpu")
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[3])
    plain = finding_parts.normalised(images, "cpu")
    both = torch.cat([plain, plain.flip(-1)])
    which = [(both - one).flatten(1).abs().max(1).values.argmin().item() for one in torch.cat(seen)]
    assert any(k < 10 for k in which)
    assert any(k >= 10 for k in which)
    assert all(any(torch.equal(one, other) for other in both) for one in torch.cat(seen))


def test_windows_are_drawn_where_theta_says(tmp_path: Path) -> None:
    images = torch.full((1, 3, 100, 100), 40, dtype=torch.uint8)
    draw_windows(tmp_path / "w.png", images, {"1 x ST": [[[0.5, 0.5, -0.5]]]})  # the upper right quarter
    drawn = np.asarray(Image.open(tmp_path / "w.png").convert("RGB")).astype(int)
    grey = (drawn == 40).all(axis=2)
    columns, rows = np.flatnonzero(grey.sum(axis=0) > 20), np.flatnonzero(grey.sum(axis=1) > 20)
    left, right, top, bottom = columns[0], columns[-1], rows[0], rows[-1]
    colour = [int(COLOURS[0][k : k + 2], 16) for k in (1, 3, 5)]
    rows, columns = np.nonzero((np.abs(drawn - colour).max(axis=2) < 40)[: bottom + 1])  # below is the legend
    assert columns.min() == pytest.approx((left + right) / 2, abs=3)
    assert rows.max() == pytest.approx((top + bottom) / 2, abs=3)


def command(monkeypatch: pytest.MonkeyPatch, *flags: object) -> int:
    monkeypatch.setattr(sys, "argv", ["parts.py", *map(str, flags)])
    try:
        run(finding_parts.main)
    except SystemExit as end:
        return end.code
    return 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    write_pedestrians(root, 24, 24)
    return root


def test_the_whole_experiment_and_again_from_what_is_kept(
    made: Path, backbone: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
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
    assert command(monkeypatch, *flags, "--steps", 2) == 0

    entry = json.loads(figures.read_text())["parts"]
    assert entry["data"] == "made"
    for name, (transformers, _) in NETWORKS.items():
        assert len(entry[name]) == 1
        assert all(0 <= value <= 100 for value in entry[name])
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

    monkeypatch.setattr(finding_parts, "fit_network", None)  # nothing is trained again
    assert command(monkeypatch, *flags, "--steps", 2) == 0
    assert document.read_text() == text
    capsys.readouterr()
    assert command(monkeypatch, *flags, "--steps", 2, "--batch", 100) == 2
    assert "24 pictures to train on, at least 100 are needed" in capsys.readouterr().err


def test_a_data_set_as_distributed_is_read_by_root(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(finding_parts, "NETWORKS", {name: NETWORKS[name] for name in ("CNN", "2 x ST")})
    monkeypatch.setattr(finding_parts, "ROUNDS", 1)
    flags = ["--root", made, "--output", tmp_path / "out", "--figures", tmp_path / "f.json", "--size", 32]
    assert command(monkeypatch, *flags, "--steps", 1, "--seeds", 1, "--backbone-weights", "none", "--batch", 2) == 0
    assert json.loads((tmp_path / "f.json").read_text())["parts"]["data"] == "CUB-200-2011"
    said = capsys.readouterr().out
    assert "24 pictures of CUB-200-2011 to train on, 24 to test" in said
    assert "headgear" not in said


def test_a_missing_data_set_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert command(monkeypatch, "--root", tmp_path / "no", "--output", tmp_path / "out") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
