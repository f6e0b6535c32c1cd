"""Windows start as tiles, move without growing, and learn what they should."""

from __future__ import annotations

import torch
from torch import nn

from upright.experiments.parts.networks import CHANNELS, TILES, PartNetwork

SIDE = 64


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
