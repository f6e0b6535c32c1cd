"""The pose-normalising pool against RoIAlign and against a plain loop over regions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import grid_sample
from torchvision.ops import MultiScaleRoIAlign, roi_align

from upright.detector.model import build_pool
from upright.detector.person_priors import SQUARE_PRIORS
from upright.detector.pose_pool import PoseNormalisingPool, RoIAlignPool
from upright.detector.settings import PRESETS
from upright.detector.spatial_transformer import Affine, sampling_grid, target_points

STRIDES = (8, 16, 32, 64)
NAMES = ["0", "1", "2", "pool"]
SHAPE = (1024, 1024)  # large enough for regions of every level


def pyramid(pictures: int = 2, channels: int = 16, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(pictures, channels, SHAPE[0] // s, SHAPE[1] // s, generator=generator, dtype=dtype)
        for name, s in zip(NAMES, STRIDES, strict=True)
    }


def interior_boxes(count: int, seed: int) -> torch.Tensor:
    """Boxes of all sizes that stay a cell of their level away from the border of the map."""
    generator = torch.Generator().manual_seed(seed)
    size = (
        16 * (56 ** torch.rand(count, 1, generator=generator)) * (0.6 + 0.4 * torch.rand(count, 2, generator=generator))
    )
    corner = 64 + torch.rand(count, 2, generator=generator) * (1024 - size - 128)
    return torch.cat([corner, corner + size], dim=1)


def identity_pool(transformers: int, bin_samples: int, channels: int = 16) -> PoseNormalisingPool:
    priors = [Affine().identity()] * transformers
    return PoseNormalisingPool(
        NAMES, STRIDES, channels, 7, Affine(), priors, glance_channels=8, bin_samples=bin_samples
    )


def light_pool(transformers: int = 4, teach: float = 0.0) -> PoseNormalisingPool | RoIAlignPool:
    """The light preset's pool on 16 channels, of which the glance reads 8."""
    changed = {"channels": 16, "glance_channels": 8, "transformers": transformers, "teach": teach}
    return build_pool(replace(PRESETS["mobilenet"], **changed), STRIDES)


@pytest.mark.parametrize("transformers", [1, 2, 4])
def test_identity_transformers_with_four_samples_a_bin_are_roi_align(transformers: int) -> None:
    features, boxes = pyramid(), [interior_boxes(60, 1), interior_boxes(40, 2)]
    expected = aligned_roi_align(features, boxes)
    found = identity_pool(transformers, bin_samples=2)(features, boxes, [SHAPE] * 2)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def aligned_roi_align(features: dict[str, torch.Tensor], boxes: list[torch.Tensor]) -> torch.Tensor:
    rows = []
    for picture, regions in enumerate(boxes):
        for box in regions:
            side = math.sqrt((box[2] - box[0]) * (box[3] - box[1]))
            level = min(max(math.floor(4 + math.log2(side / 224) + 1e-6), 3), 6) - 3
            source = features[NAMES[level]][picture : picture + 1]
            rows.append(roi_align(source, [box[None]], 7, 1 / STRIDES[level], sampling_ratio=2, aligned=True))
    return torch.cat(rows)


def test_no_transformers_is_torchvisions_pool() -> None:
    pool = light_pool(transformers=0)
    assert isinstance(pool, MultiScaleRoIAlign)
    features, boxes = pyramid(), [interior_boxes(6, 1), interior_boxes(4, 2)]
    crops, theta = pool.crop(features, boxes, [SHAPE] * 2)
    expected = MultiScaleRoIAlign(NAMES, 7, 2)(features, boxes, [SHAPE] * 2)
    assert torch.equal(crops, expected)
    assert theta is None
    assert (pool.output_size, pool.sampling_ratio, pool.featmap_names) == ((7, 7), 2, NAMES)


def moved_pool(taught: bool = False) -> PoseNormalisingPool:
    """Priors of the four parts and a localisation network that has something to say, without dropout."""
    torch.manual_seed(3)
    pool = light_pool(teach=float(taught)).double().eval()
    last = pool.localisation.regression if taught else pool.localisation[-1]
    torch.nn.init.normal_(last.linear.weight, std=0.5)
    pool.glance_points = target_points((5, 5), dtype=torch.float64)  # not rounded to float32 first
    pool.crop_points = target_points((7, 7), dtype=torch.float64)
    return pool


def plain(pool: PoseNormalisingPool, features: dict, boxes: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """One region, one transformer at a time."""
    crops, thetas = [], []
    for picture, regions in enumerate(boxes):
        for x1, y1, x2, y2 in regions.tolist():
            level = min(max(math.floor(4 + math.log2(math.sqrt((x2 - x1) * (y2 - y1)) / 224) + 1e-6), 3), 6) - 3
            source = features[NAMES[level]][picture : picture + 1]
            reach = torch.tensor([source.shape[3] * STRIDES[level], source.shape[2] * STRIDES[level]]).double()
            centre = torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2], dtype=torch.float64)
            half = torch.tensor([(x2 - x1) / 2, (y2 - y1) / 2], dtype=torch.float64)

            def read(part: torch.Tensor, grid: torch.Tensor, frame: tuple = (centre, half, reach)) -> torch.Tensor:
                centre, half, reach = frame
                return grid_sample(
                    part, 2 * (centre + half * grid) / reach - 1, padding_mode="border", align_corners=False
                )

            whole = sampling_grid(Affine(), Affine().identity()[None].double(), (5, 5))
            if pool.taught:  # a square, as large as the longer side
                half = half.max().expand(2)
                theta = pool.localisation(read(source[:, :8], whole, (centre, half, reach)))[0][0]
            else:
                theta = pool.localisation(read(source[:, :8], whole).flatten(1)).unflatten(1, (4, 6))[0]
            groups = [
                read(part, sampling_grid(Affine(), theta[i : i + 1], (7, 7)), (centre, half, reach))
                for i, part in enumerate(source.chunk(4, dim=1))
            ]
            crops.append(torch.cat(groups, dim=1))
            thetas.append(theta)
    return torch.cat(crops), torch.stack(thetas)


def test_one_call_a_level_and_picture_equals_a_loop_over_regions() -> None:
    pool, features = moved_pool(), pyramid(pictures=3, dtype=torch.float64)
    for level in features.values():
        level.requires_grad_()
    boxes = [interior_boxes(30, 4).double(), interior_boxes(0, 5).double(), interior_boxes(9, 6).double()]
    crops, pose = pool.crop(features, boxes, [SHAPE] * 3)
    expected_crops, expected_theta = plain(pool, features, boxes)
    torch.testing.assert_close(crops, expected_crops)
    torch.testing.assert_close(pose.theta, expected_theta)
    with torch.inference_mode():  # another way of putting the crops together
        torch.testing.assert_close(pool(features, boxes, [SHAPE] * 3), expected_crops.detach())
    assert pose.theta.std(dim=0).max() > 0.01, "theta has to differ between regions for this test to say anything"

    wanted = [*features.values(), *pool.localisation.parameters()]
    weights = torch.randn(crops.shape, dtype=torch.float64)
    ours = torch.autograd.grad((crops * weights).sum(), wanted, materialize_grads=True)
    theirs = torch.autograd.grad((expected_crops * weights).sum(), wanted, materialize_grads=True)
    assert all(gradient.any() for gradient in theirs[:3]), "every level but the coarsest has to be read"
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


def test_taught_transformers_in_one_call_equal_a_loop_over_regions_with_square_frames() -> None:
    pool, features = moved_pool(taught=True), pyramid(pictures=2, dtype=torch.float64)
    for level in features.values():
        level.requires_grad_()
    boxes = [interior_boxes(20, 4).double(), interior_boxes(9, 6).double()]
    together = torch.cat(boxes)
    crops, pose = pool.crop(features, boxes, [SHAPE] * 2)
    expected_crops, expected_theta = plain(pool, features, boxes)
    torch.testing.assert_close(crops, expected_crops)
    torch.testing.assert_close(pose.theta, expected_theta)
    assert pose.theta[..., :2].std(dim=0).min() > 0.01, "the turn has to differ between regions"
    sides = together[:, 2:] - together[:, :2]
    torch.testing.assert_close(pose.half, sides.amax(dim=1, keepdim=True).expand(-1, 2) / 2)
    torch.testing.assert_close(pose.centre, (together[:, :2] + together[:, 2:]) / 2)
    torch.testing.assert_close(pose.outline, sides / sides.amax(dim=1, keepdim=True))
    assert pose.features().shape == (29, pool.pose_features)
    # Nobody who is taught learns from the crops, and the maps learn as from fixed places.
    assert pose.theta.requires_grad
    assert not torch.autograd.grad(crops.sum(), pose.theta, retain_graph=True, allow_unused=True)[0]
    (finest,) = torch.autograd.grad(crops.square().sum(), [features["0"]], retain_graph=True)
    assert finest.any()


def test_directions_are_those_that_the_taught_are_turned_to() -> None:
    pool, features = moved_pool(taught=True), pyramid(dtype=torch.float64)
    torch.nn.init.zeros_(pool.localisation.regression.linear.weight.view(4, 8, -1)[:, 2:])  # they turn and nothing else
    pose = pool.look(features, [interior_boxes(5, 6).double(), interior_boxes(3, 7).double()])
    priors = pool.localisation.regression.bounds.priors
    unit = pose.directions / pose.directions.norm(dim=-1, keepdim=True)
    assert unit[..., 1].std(dim=0).min() > 0.01
    torch.testing.assert_close(pose.theta, Affine().turned(priors, unit), check_dtype=False, atol=1e-6, rtol=0)


def test_a_glance_may_read_other_maps_than_the_crops() -> None:
    pool, features = moved_pool(taught=True), pyramid(dtype=torch.float64)
    boxes = [interior_boxes(5, 6).double(), interior_boxes(3, 7).double()]
    doubled = {name: 2 * level for name, level in features.items()}
    crops, pose = pool.crop(features, boxes, [SHAPE] * 2, doubled)
    assert torch.equal(pose.theta, pool.look(doubled, boxes).theta)
    assert not torch.equal(pose.theta, pool.look(features, boxes).theta)
    assert torch.equal(crops, pool.warp(features, pool.assigned(boxes), pose))


def test_an_untrained_taught_pool_stands_at_the_priors_of_a_square() -> None:
    pool = light_pool(teach=1.0)
    pose = pool.look(pyramid(), [interior_boxes(5, 6), interior_boxes(3, 7)])
    expected = torch.stack([Affine().window(*SQUARE_PRIORS[part]) for part in ("whole", "head", "torso", "legs")])
    torch.testing.assert_close(pose.theta, expected.expand(8, 4, 6))


def test_statistics_of_theta_are_gathered_from_the_taught_too() -> None:
    pool = moved_pool(taught=True)
    with pool.theta_statistics() as gathered:
        pose = pool.look(pyramid(dtype=torch.float64), [interior_boxes(5, 6).double(), interior_boxes(3, 7).double()])
    torch.testing.assert_close(gathered[0].mean, pose.theta.mean(dim=0), check_dtype=False, atol=1e-5, rtol=0)


def test_an_untrained_pool_stands_at_its_priors() -> None:
    pool = light_pool()
    theta = pool.crop(pyramid(), [interior_boxes(5, 6), interior_boxes(3, 7)], [SHAPE] * 2)[1].theta
    torch.testing.assert_close(theta, pool.localisation[-1].bounds.priors.expand(8, 4, 6))


@pytest.mark.parametrize("teach", [0.0, 1.0])
def test_no_regions_give_no_crops_and_no_theta(teach: float) -> None:
    pool = light_pool(teach=teach)
    crops, pose = pool.crop(pyramid(), [torch.zeros(0, 4), torch.zeros(0, 4)], [SHAPE] * 2)
    assert crops.shape == (0, 16, 7, 7)
    assert pose.theta.shape == (0, 4, 6)


@pytest.mark.parametrize("teach", [0.0, 1.0])
def test_regions_at_and_beyond_the_border_are_finite(teach: float) -> None:
    pool = light_pool(teach=teach)
    boxes = torch.tensor(
        [[0, 0, 1024, 1024], [-50, -50, 10, 10], [900, 900, 1500, 1600], [5, 5, 5, 5], [0, 0, 1e-3, 200]]
    )
    crops, pose = pool.crop(pyramid(), [boxes, boxes[:2]], [SHAPE] * 2)
    assert crops.isfinite().all()
    assert pose.features().isfinite().all()


def test_bfloat16_maps_are_read_at_float32_points() -> None:
    features, boxes = pyramid(), [interior_boxes(20, 8), interior_boxes(20, 9)]
    half = {name: level.bfloat16() for name, level in features.items()}
    pool = identity_pool(4, bin_samples=1)
    crops = pool(half, boxes, [SHAPE] * 2)
    assert crops.dtype == torch.bfloat16
    exact = pool({name: level.float() for name, level in half.items()}, boxes, [SHAPE] * 2)
    torch.testing.assert_close(crops.float(), exact, atol=0.02, rtol=0.02)


def test_theta_is_computed_in_float32_under_autocast() -> None:
    """In bfloat16 theta would be off by up to 0.4 % of the region."""
    features, boxes = pyramid(), [interior_boxes(20, 8), interior_boxes(20, 9)]
    pool = light_pool()
    torch.nn.init.normal_(pool.localisation[-1].linear.weight, std=0.5)
    hidden = []
    pool.localisation[-1].register_forward_hook(lambda _, given, theta: hidden.append((given[0], theta)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pool.crop(features, boxes, [SHAPE] * 2)
    ((given, theta),) = hidden
    assert theta.dtype == torch.float32
    assert torch.equal(theta, pool.localisation[-1](given.float()))


def test_channels_that_do_not_share_evenly_are_refused() -> None:
    with pytest.raises(ValueError, match="16 channels"):
        identity_pool(3, bin_samples=1)


def gradients(pool: PoseNormalisingPool, call: Callable, features: dict, boxes: list) -> list[torch.Tensor]:
    """Crops, and their gradients to every map and to the localisation network."""
    leaves = {name: level.detach().clone().requires_grad_() for name, level in features.items()}
    crops = call(leaves, boxes, [SHAPE] * len(boxes))
    wanted = [*leaves.values(), *pool.localisation.parameters()]
    return [crops, *torch.autograd.grad(crops.sin().sum(), wanted, materialize_grads=True)]


@pytest.mark.parametrize("taught", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_compiled_pool_gives_the_same_with_its_gradients(taught: bool) -> None:
    torch._dynamo.reset()
    pool, features = moved_pool(taught), pyramid(dtype=torch.float64)
    boxes = [interior_boxes(20, 4).double(), interior_boxes(9, 6).double()]
    compiled = torch.compile(pool, backend="aot_eager")
    for mine, other in zip(
        gradients(pool, compiled, features, boxes), gradients(pool, pool, features, boxes), strict=True
    ):
        torch.testing.assert_close(mine, other)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_the_pool_on_a_gpu_gives_the_same_with_its_gradients() -> None:
    pool, features = moved_pool(), pyramid(dtype=torch.float64)
    boxes = [interior_boxes(20, 4).double(), interior_boxes(9, 6).double()]
    expected = gradients(pool, pool, features, boxes)
    pool = pool.cuda()
    features = {name: level.cuda() for name, level in features.items()}
    found = gradients(pool, pool, features, [b.cuda() for b in boxes])
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.cpu(), other)
