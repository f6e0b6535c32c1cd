"""Canonical crops of the picture itself, against slices of it; `--read picture` end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import avg_pool2d

from upright.detector.model import build_detector
from upright.detector.picture_crops import PictureCrops
from upright.detector.settings import Settings
from upright.detector.spatial_transformer import Affine
from upright.detector.weights import load_detector, save_weights
from upright.errors import InputError

UPSIDE_DOWN = torch.tensor([-1.0, 0, 0, 0, -1, 0])


@pytest.fixture
def pictures() -> torch.Tensor:
    return torch.randn(2, 3, 160, 192, generator=torch.Generator().manual_seed(0))


def test_crops_on_whole_pixels_are_slices_of_the_picture(pictures: torch.Tensor) -> None:
    boxes = [torch.tensor([[32.0, 64, 64, 96]]), torch.tensor([[0.0, 0, 128, 128], [100, 50, 132, 82]])]
    theta = torch.stack([Affine().identity(), UPSIDE_DOWN]).expand(3, 2, 6)
    crops = PictureCrops(Affine()).crop(pictures, boxes, theta).unflatten(0, (3, 2))
    slices = [
        pictures[0, :, 64:96, 32:64],
        avg_pool2d(pictures[1, :, :128, :128], 4),  # four pixels a bin: read from the average at stride 4
        pictures[1, :, 50:82, 100:132],
    ]
    for crop, expected in zip(crops, slices, strict=True):
        torch.testing.assert_close(crop[0], expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(crop[1], expected.flip(-1, -2), atol=1e-4, rtol=0)


def test_each_transformer_has_its_own_numbers_of_one_network(pictures: torch.Tensor) -> None:
    crops, boxes = PictureCrops(Affine(), width=8), [torch.tensor([[10.0, 20, 70, 150]]), torch.zeros(0, 4)]
    theta = torch.stack([Affine().identity(), UPSIDE_DOWN])[None]
    both = crops(pictures, boxes, theta)
    assert both.shape == (1, 16)
    torch.testing.assert_close(both[:, :8], crops(pictures, boxes, theta[:, :1]))
    torch.testing.assert_close(both[:, 8:], crops(pictures, boxes, theta[:, 1:]))
    assert not torch.equal(both[:, :8], both[:, 8:])


def test_no_regions_give_no_numbers(pictures: torch.Tensor) -> None:
    crops = PictureCrops(Affine())
    assert crops(pictures, [torch.zeros(0, 4)] * 2, torch.zeros(0, 4, 6)).shape == (0, 4 * 32)


def test_theta_learns_from_what_is_seen_in_the_picture(tiny: Settings) -> None:
    """With the pyramid's crops cut off from the head, the localisation network still has a gradient."""
    torch.manual_seed(0)
    model = build_detector(replace(tiny, read="picture"))
    with torch.no_grad():
        model.roi_heads.box_head.first.weight[:, : -4 * 32] = 0
        model.roi_heads.box_head.second.weight[:, model.settings.head_width :] = 0
    one = {"boxes": torch.tensor([[10.0, 10, 30, 60]]), "labels": torch.ones(1, dtype=torch.int64)}
    sum(model([torch.rand(3, 96, 128)], [one | {"ignore": torch.tensor([False])}]).values()).backward()
    assert model.pool.localisation[-1].linear.weight.grad.any()


def test_a_detector_that_reads_the_picture_is_saved_and_loaded(tiny: Settings, tmp_path: Path) -> None:
    model = build_detector(replace(tiny, read="picture", score_threshold=1e-4)).eval()
    save_weights(tmp_path / "w.safetensors", model, {})
    picture = [torch.rand(3, 96, 128)]
    with torch.inference_mode():
        expected, found = model(picture)[0], load_detector(tmp_path / "w.safetensors")(picture)[0]
    assert len(expected["boxes"]) > 0
    torch.testing.assert_close(found["scores"], expected["scores"], atol=1e-3, rtol=0)


def test_the_baseline_has_no_canonical_crops_to_cut(tiny: Settings) -> None:
    with pytest.raises(InputError, match="without transformers"):
        replace(tiny, transformers=0, read="picture")
    with pytest.raises(InputError, match="read 'pixels'"):
        replace(tiny, read="pixels")
