"""The samplers against the paper's sums, written out, in float64."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from upright.detector.spatial_transformer import (
    Affine,
    Attention,
    Projective,
    ThinPlateSpline,
    sample,
    sampling_grid,
)

ALL = [Attention(), Affine(), Projective(), ThinPlateSpline()]
each = pytest.mark.parametrize("transformation", ALL, ids=lambda t: type(t).__name__)


def random_map(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def random_grid(*shape, reach=1.3, seed=1):
    noise = torch.rand(*shape, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return reach * (2 * noise - 1)


def by_hand(U, grid, weight, padding):
    """Sum over all pixels n, m of U[n, m] weight(x - m) weight(y - n), pixel by pixel."""
    U, grid = U.numpy(), grid.numpy()
    B, C, H, W = U.shape
    V = np.zeros((B, C, *grid.shape[1:3]))
    for b, i, j in np.ndindex(B, *grid.shape[1:3]):
        x, y = ((grid[b, i, j] + 1) * [W, H] - 1) / 2
        if padding == "border":
            x, y = min(max(x, 0), W - 1), min(max(y, 0), H - 1)
        for n, m in np.ndindex(H, W):
            V[b, :, i, j] += U[b, :, n, m] * weight(x - m) * weight(y - n)
    return torch.from_numpy(V)


def triangle(d):
    return max(0, 1 - abs(d))


def integer(d):
    return float(math.floor(d + 0.5) == 0)


@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize(("mode", "weight"), [("bilinear", triangle), ("nearest", integer)])
def test_sampler_is_the_sum_of_the_paper(mode, weight, padding):
    U, grid = random_map(2, 3, 5, 7), random_grid(2, 6, 4)
    expected = by_hand(U, grid, weight, padding)
    torch.testing.assert_close(sample(U, grid, mode, padding), expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(sample(U.float(), grid.float(), mode, padding).double(), expected, rtol=0, atol=5e-6)


def test_bilinear_agrees_with_grid_sample():
    U, grid = random_map(2, 3, 5, 7), random_grid(2, 6, 4)
    for padding in ("border", "zeros"):
        expected = functional.grid_sample(U, grid, padding_mode=padding, align_corners=False)
        torch.testing.assert_close(sample(U, grid, padding=padding), expected, rtol=0, atol=0)


def test_nearest_rounds_halves_up_as_the_paper_and_not_to_even():
    U = torch.arange(8, dtype=torch.float64).view(1, 1, 1, 8)
    x = torch.tensor([0.5, 1.5, 2.5, 3.5])  # pixels
    grid = torch.stack([(2 * x + 1) / 8 - 1, torch.zeros(4)], dim=-1).view(1, 1, 4, 2)
    assert sample(U, grid, "nearest").flatten().tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_bilinear_gradients_are_those_of_the_paper(padding):
    # x gets U[n, m] weight(y - n) times 0 where |m - x| >= 1, else 1 where m >= x and -1 where m < x, per pixel.
    U, grid = random_map(1, 2, 4, 5), random_grid(1, 3, 3, reach=0.7).requires_grad_()
    sample(U, grid, padding=padding).sum().backward()
    x, y = ((grid.detach() + 1) * torch.tensor([5, 4]) - 1).div(2).unbind(-1)
    for i, j in np.ndindex(3, 3):
        slope = np.zeros(2)
        for n, m in np.ndindex(4, 5):
            dx, dy = m - x[0, i, j].item(), n - y[0, i, j].item()
            u = U[0, :, n, m].sum().item()
            slope[0] += u * triangle(dy) * (0 if abs(dx) >= 1 else 1 if dx >= 0 else -1)
            slope[1] += u * triangle(dx) * (0 if abs(dy) >= 1 else 1 if dy >= 0 else -1)
        np.testing.assert_allclose(grid.grad[0, i, j].numpy(), slope * [5 / 2, 4 / 2], rtol=1e-9)


@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_gradcheck_of_map_and_grid(padding):
    U, grid = random_map(2, 1, 3, 4).requires_grad_(), random_grid(2, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda U, grid: sample(U, grid, padding=padding), (U, grid))
    assert torch.autograd.gradcheck(lambda U: sample(U, grid.detach(), "nearest", padding), U)
    grid = random_grid(1, 2, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda U, grid: sample(U, grid, padding=padding, samples=2), (U[:1], grid))


@each
@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_gradcheck_of_theta_through_the_sampler(transformation, padding):
    U = random_map(1, 2, 3, 4).requires_grad_()
    theta = transformation.identity().double() + 0.05 * random_map(1, transformation.num_params, seed=5)
    theta = theta.requires_grad_()
    # No kink within the step of the finite differences, else there is no derivative to compare with.
    with torch.no_grad():
        pixels = ((sampling_grid(transformation, theta, (2, 3)) + 1) * torch.tensor([4, 3]) - 1) / 2
        assert (pixels - pixels.round()).abs().min() > 1e-4
    assert torch.autograd.gradcheck(
        lambda U, theta: sample(U, sampling_grid(transformation, theta, (2, 3)), padding=padding), (U, theta)
    )


def test_nearest_gives_no_gradient_to_the_grid():
    U, grid = random_map(1, 1, 4, 4).requires_grad_(), random_grid(1, 3, 3).requires_grad_()
    sample(U, grid, "nearest").sum().backward()
    assert grid.grad is None
    assert U.grad.sum() == 9


def test_an_identity_grid_has_the_one_sided_gradient_not_the_sum_of_both():
    U = random_map(1, 1, 4, 6)
    grid = sampling_grid(Affine(), Affine().identity()[None].double(), (4, 6)).requires_grad_()
    sample(U, grid).sum().backward()
    right = (U[0, 0, :, 1:] - U[0, 0, :, :-1]) * 3  # of the forward difference, W / 2 to the normalised x
    left = torch.cat([torch.zeros(4, 1), right], dim=1)
    right = torch.cat([right, torch.zeros(4, 1)], dim=1)
    slope = grid.grad[0, :, 1:-1, 0]
    one_sided = torch.minimum((slope - left[:, 1:-1]).abs(), (slope - right[:, 1:-1]).abs())
    assert one_sided.max() < 1e-6


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("samples", [1, 2])
def test_several_grids_on_one_map_are_read_one_by_one(mode, samples):
    U, grid = random_map(2, 3, 16, 20), random_grid(2, 4, 6, 8)
    found = sample(U, grid, mode, samples=samples)
    expected = torch.stack([sample(U, grid[:, i], mode, samples=samples) for i in range(4)], dim=1)
    assert found.shape == (2, 4, 3, 6 // samples, 8 // samples)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_half_precision_map_is_read_at_full_precision_coordinates():
    U = torch.arange(512.0).repeat(4, 1)[None, None].bfloat16()
    grid = random_grid(1, 4, 4, reach=0.9).float()
    expected = sample(U.float(), grid)
    found = sample(U, grid)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=2**-8, atol=0)


def test_unknown_choices_are_refused():
    U, grid = random_map(1, 1, 4, 4), random_grid(1, 2, 2)
    with pytest.raises(ValueError, match="3 x 3"):
        sample(U, grid, samples=3)
    with pytest.raises(ValueError, match="linear"):
        sample(U, grid, "linear")
    with pytest.raises(ValueError, match="wrap"):
        sample(U, grid, padding="wrap")


@each
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_several_samples_are_averaged_bin_by_bin(transformation, mode):
    U = random_map(2, 3, 16, 20)
    theta = transformation.identity().double() + 0.1 * random_map(2, transformation.num_params, seed=6)
    found = sample(U, sampling_grid(transformation, theta, (4, 5), samples=3), mode, samples=3)
    xy = (
        torch.linspace(-1, 1, 2 * 15 + 1, dtype=torch.float64)[1::2],
        torch.linspace(-1, 1, 2 * 12 + 1, dtype=torch.float64)[1::2],
    )
    for i, j in np.ndindex(4, 5):
        points = torch.stack(torch.meshgrid(xy[0][3 * j : 3 * j + 3], xy[1][3 * i : 3 * i + 3], indexing="ij"), -1)
        values = sample(U, transformation.warp(theta, points.reshape(9, 2))[:, None], mode)
        torch.testing.assert_close(found[:, :, i, j], values.mean((2, 3)), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("step", "samples"), [(4, 2), (8, 3), (16, 4)])
def test_several_samples_halve_the_error_of_large_steps(step, samples):
    U = functional.avg_pool2d(random_map(1, 4, 131, 135), 4, stride=1)
    theta = torch.tensor([[0.8, -0.5, 0, 0.5, 0.8, 0]], dtype=torch.float64) * (step * 5 / 128)

    def bins(samples):
        return sample(U, sampling_grid(Affine(), theta, (5, 5), samples), samples=samples)

    plain, better = ((bins(k) - bins(16)).square().mean().sqrt() for k in (1, samples))
    assert better < 0.5 * plain
