"""Each transformation against oracles that share no code with it, in float64."""

import copy
import math

import kornia.geometry as kornia
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RBFInterpolator
from torch.nn import functional

from upright.detector.spatial_transformer import (
    Affine,
    Attention,
    Projective,
    ThinPlateSpline,
    sampling_grid,
    target_points,
)

ALL = [Attention(), Affine(), Projective(), ThinPlateSpline()]
each = pytest.mark.parametrize("transformation", ALL, ids=lambda t: type(t).__name__)
# Where four transformers start: half width, half height, centre x, centre y.
WINDOWS = {
    "whole": (1.0, 1.0, 0.0, 0.0),
    "top": (0.7, 0.4, 0.0, -0.6),
    "middle": (0.8, 0.45, 0.0, -0.15),
    "low": (0.9, 0.5, 0.0, 0.5),
}
few = settings(deadline=None, max_examples=25)
numbers = st.floats(-2, 2, allow_nan=False, width=32)


def around_identity(transformation, count, spread, seed=0):
    noise = torch.randn(
        count, transformation.num_params, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    return transformation.identity().double() + spread * noise


def points(count=50, seed=1):
    return 2 * torch.rand(count, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) - 1


def test_attention_is_scale_and_translation():
    theta, xy = around_identity(Attention(), 4, 1.0), points()
    expected = [[[s * x + tx, s * y + ty] for x, y in xy.tolist()] for s, tx, ty in theta.tolist()]
    torch.testing.assert_close(Attention().warp(theta, xy), torch.tensor(expected).double(), rtol=0, atol=1e-6)


def test_affine_is_row_major_and_agrees_with_affine_grid():
    theta = around_identity(Affine(), 5, 1.0)
    expected = functional.affine_grid(theta.view(5, 2, 3), [5, 1, 7, 9], align_corners=False)
    torch.testing.assert_close(sampling_grid(Affine(), theta, (7, 9)), expected, rtol=0, atol=1e-10)


def test_projective_agrees_with_kornia():
    theta, xy = around_identity(Projective(), 6, 0.2), points()
    matrix = torch.cat([theta, torch.ones(6, 1)], dim=1).view(6, 3, 3)
    expected = kornia.transform_points(matrix, xy.expand(6, -1, -1))
    torch.testing.assert_close(Projective().warp(theta, xy), expected, rtol=0, atol=1e-5)


def test_projective_by_hand():
    theta = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.5, 0.25]], dtype=torch.float64)
    found = Projective().warp(theta, torch.tensor([[0.5, -0.5]], dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor([[[2.5 / 1.125, 5.5 / 1.125]]]).double())


def test_spline_agrees_with_scipy():
    theta, xy = around_identity(ThinPlateSpline(), 3, 0.2), points()
    line = np.linspace(-1, 1, 4)
    controls = np.array([[x, y] for y in line for x in line])
    for one, found in zip(theta, ThinPlateSpline().warp(theta, xy), strict=True):
        oracle = RBFInterpolator(controls, one.view(16, 2).numpy(), kernel="thin_plate_spline", degree=1)
        np.testing.assert_allclose(found.numpy(), oracle(xy.numpy()), rtol=0, atol=1e-9)


def test_spline_agrees_with_kornia():
    # kornia 0.9 puts the kernels at the second points of `get_tps_transform`, so that its weights belong to another
    # interpolant than the usual one; the spline itself is evaluated as everywhere.
    theta, xy = around_identity(ThinPlateSpline(), 3, 0.2), points()
    controls = target_points((4, 4), dtype=torch.float64) * 4 / 3
    distance = torch.cdist(controls, controls)
    plane = torch.cat([torch.ones(16, 1), controls], dim=1)
    system = torch.cat([torch.xlogy(distance**2, distance), plane], dim=1)
    system = torch.cat([system, torch.cat([plane.T, torch.zeros(3, 3)], dim=1)])
    values = torch.cat([theta.view(3, 16, 2), torch.zeros(3, 3, 2)], dim=1)
    kernel, affine = torch.linalg.solve(system, values).split([16, 3], dim=1)
    expected = kornia.transform.warp_points_tps(xy.expand(3, -1, -1), controls.expand(3, -1, -1), kernel, affine)
    torch.testing.assert_close(ThinPlateSpline().warp(theta, xy), expected, rtol=0, atol=1e-5)


def test_spline_passes_through_its_control_points_row_by_row_x_first():
    theta = around_identity(ThinPlateSpline(), 2, 0.5)
    line = torch.linspace(-1, 1, 4, dtype=torch.float64)
    controls = torch.tensor([[x, y] for y in line.tolist() for x in line.tolist()]).double()
    torch.testing.assert_close(ThinPlateSpline().warp(theta, controls), theta.view(2, 16, 2), rtol=0, atol=1e-6)


@each
def test_identity_leaves_every_point(transformation):
    theta = transformation.identity()
    assert theta.shape == (transformation.num_params,)
    xy = 3 * points()
    torch.testing.assert_close(transformation.warp(theta[None].double(), xy)[0], xy, rtol=0, atol=1e-6)


@each
def test_grid_has_the_bin_centres_x_first(transformation):
    grid = sampling_grid(transformation, transformation.identity()[None], (2, 4))
    x, y = torch.tensor([-0.75, -0.25, 0.25, 0.75]), torch.tensor([-0.5, 0.5])
    expected = torch.stack([x.expand(2, 4), y[:, None].expand(2, 4)], dim=-1)
    torch.testing.assert_close(grid[0], expected, rtol=0, atol=1e-6)


@few
@given(st.lists(numbers, min_size=12, max_size=12))
def test_affine_maps_compose_like_their_matrices(entries):
    first, second = torch.tensor(entries, dtype=torch.float64).view(2, 2, 3)
    last = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    both = (torch.cat([first, last]) @ torch.cat([second, last]))[:2]
    xy = points(10)
    one_by_one = Affine().warp(first.view(1, 6), Affine().warp(second.view(1, 6), xy)[0])
    torch.testing.assert_close(Affine().warp(both.reshape(1, 6), xy), one_by_one, rtol=0, atol=1e-9)


@few
@given(st.lists(numbers, min_size=3, max_size=3), st.lists(numbers, min_size=6, max_size=6))
def test_each_family_contains_the_smaller_ones(attention, affine):
    xy = points(10)
    s, tx, ty = attention
    small = Attention().warp(torch.tensor([[s, tx, ty]], dtype=torch.float64), xy)
    theta = torch.tensor([[s, 0, tx, 0, s, ty]], dtype=torch.float64)
    torch.testing.assert_close(Affine().warp(theta, xy), small, rtol=0, atol=1e-9)

    theta = torch.tensor([affine], dtype=torch.float64)
    middle = Affine().warp(theta, xy)
    homography = torch.cat([theta, torch.zeros(1, 2)], dim=1)
    torch.testing.assert_close(Projective().warp(homography, xy), middle, rtol=0, atol=1e-9)
    controls = Affine().warp(theta, target_points((4, 4), dtype=torch.float64) * 4 / 3)
    torch.testing.assert_close(ThinPlateSpline().warp(controls.flatten(1), xy), middle, rtol=0, atol=1e-5)


@each
def test_gradients_to_theta_and_points(transformation):
    theta = around_identity(transformation, 2, 0.1).requires_grad_()
    assert torch.autograd.gradcheck(transformation.warp, (theta, points(4).requires_grad_()))


def test_spline_gradient_to_a_point_on_a_control_point_is_finite():
    xy = torch.tensor([[1.0, 1.0], [-1.0, 1 / 3]], dtype=torch.float64, requires_grad=True)
    ThinPlateSpline().warp(around_identity(ThinPlateSpline(), 1, 0.2), xy).sum().backward()
    assert xy.grad.isfinite().all()


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1e5, 1e30, math.inf])
def test_huge_parameters_give_finite_points_and_gradients(transformation, dtype, size):
    signs = torch.randint(-1, 2, (200, transformation.num_params), generator=torch.Generator().manual_seed(2))
    theta = torch.where(signs == 0, torch.zeros(()), signs * torch.tensor(size)).to(dtype).requires_grad_()
    found = transformation.warp(theta, target_points((5, 5), dtype=dtype))
    assert found.isfinite().all()
    found.sum().backward()
    assert theta.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_denominator_through_zero_gives_finite_points_and_gradients(dtype):
    theta = Projective().identity().to(dtype).repeat(3, 1)
    theta[:, 6] = torch.tensor([-1.0, 2.0, -1 / 0.5])  # zero at x = 1, -0.5, 0.5
    theta.requires_grad_()
    x = torch.tensor([1.0, 0.99999, 0.9, 0.5, 0.50001, -0.5, -0.49999, -0.7, 0.0], dtype=dtype)
    xy = torch.stack([x, 0.3 * torch.ones_like(x)], dim=1)
    found = Projective().warp(theta, xy)
    assert found.isfinite().all()
    found.square().sum().backward()
    assert theta.grad.isfinite().all()
    # Away from zero nothing is bent.
    torch.testing.assert_close(found[1, 7, 0], torch.tensor(-0.7 / (1 - 1.4), dtype=dtype))


@each
def test_not_a_number_stays_so_and_does_not_spread(transformation):
    theta = transformation.identity().repeat(3, 1)
    theta[1] = math.nan
    found = transformation.warp(theta, target_points((3, 3)))
    assert found[1].isnan().all()
    assert found[[0, 2]].isfinite().all()


@each
def test_every_single_not_a_number_shows_in_the_points(transformation):
    theta = transformation.identity().repeat(transformation.num_params, 1)
    theta.fill_diagonal_(math.nan)
    found = transformation.warp(theta, target_points((4, 4)))
    assert found.isnan().flatten(1).any(1).all()
    assert transformation.bounded(theta, transformation.identity()).isnan().any(1).all()


@each
def test_no_regions_give_no_points(transformation):
    assert transformation.warp(torch.zeros(0, transformation.num_params), points(4)).shape == (0, 4, 2)
    assert sampling_grid(transformation, torch.zeros(0, transformation.num_params), (3, 5)).shape == (0, 3, 5, 2)


@each
def test_a_wrong_number_of_parameters_is_refused(transformation):
    with pytest.raises(RuntimeError):
        transformation.warp(torch.zeros(2, 2 * transformation.num_params), target_points((3, 3)))


@each
def test_half_types_are_computed_in_float32_or_better(transformation):
    theta = around_identity(transformation, 4, 0.1).bfloat16()
    expected = transformation.warp(theta.double(), points().float().double())
    with torch.autocast("cpu", torch.bfloat16):
        found = transformation.warp(theta, points().float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-6)


def test_spline_stays_solved_in_float64_whatever_type_its_network_takes():
    theta, xy = around_identity(ThinPlateSpline(), 2, 0.2), points()
    network = torch.nn.Sequential(ThinPlateSpline())
    expected = network[0].warp(theta, xy)
    for moved in (copy.deepcopy(network).half(), copy.deepcopy(network).bfloat16().double()):
        torch.testing.assert_close(moved[0].warp(theta, xy), expected, rtol=0, atol=0)
    empty = copy.deepcopy(network).to("meta").to_empty(device="cpu")
    torch.testing.assert_close(empty[0].warp(theta, xy), expected, rtol=0, atol=0)


@each
def test_transformations_have_no_state(transformation):
    assert not transformation.state_dict()
    assert not list(transformation.parameters())


@each
@few
@given(degrees=st.floats(-400, 400), seed=st.integers(0, 9))
def test_turned_theta_gives_the_points_of_theta_turned_about_the_middle(transformation, degrees, seed):
    theta, xy = around_identity(transformation, 3, 0.2, seed), points()
    angle = math.radians(degrees)
    direction = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    if not transformation.can_turn:
        with pytest.raises(NotImplementedError):
            transformation.turned(theta, direction)
        return
    found = transformation.warp(transformation.turned(theta, direction), xy)
    before = torch.view_as_complex(transformation.warp(theta, xy)).numpy()
    expected = before * np.exp(1j * angle)  # y points down, so clockwise
    np.testing.assert_allclose(torch.view_as_complex(found).numpy(), expected, rtol=0, atol=1e-9)


@each
def test_one_theta_turns_in_many_directions_and_no_turn_leaves_it(transformation):
    if not transformation.can_turn:
        return
    angles = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    directions = torch.stack([angles.cos(), angles.sin()], dim=-1)
    (theta,) = around_identity(transformation, 1, 0.2)
    found = transformation.turned(theta, directions)
    assert torch.equal(found[0], theta)
    for one, direction in zip(found, directions, strict=True):
        assert torch.equal(one, transformation.turned(theta, direction))


@each
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_raw_zeros_give_exactly_the_prior(transformation, window):
    theta = transformation.window(*window)
    assert torch.equal(transformation.bounded(torch.zeros(3, transformation.num_params), theta), theta.repeat(3, 1))


@each
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_bounded_has_slope_one_in_the_offsets_at_the_prior(transformation, window):
    theta = transformation.window(*window).double()
    zeros = torch.zeros_like(theta)
    bounded = torch.autograd.functional.jacobian(lambda raw: transformation.bounded(raw, theta), zeros)
    displaced = torch.autograd.functional.jacobian(lambda offset: transformation.displaced(theta, offset), zeros)
    torch.testing.assert_close(bounded, displaced)
    assert torch.linalg.matrix_rank(bounded) == transformation.num_params


@each
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_gradients_of_bounded(transformation, window):
    raw = torch.randn(2, transformation.num_params, dtype=torch.float64, requires_grad=True)
    theta = transformation.window(*window).double()
    assert torch.autograd.gradcheck(lambda raw: transformation.bounded(raw, theta), raw)


@each
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_bounded_theta_never_leaves_the_region(transformation, window):
    # A grid that is wholly off the map gives output 0 and gradient 0: that transformer would be dead for good.
    sizes = torch.tensor([0.3, 1.0, 1e30])[:, None, None]
    raw = (sizes * torch.randn(3, 700, transformation.num_params, generator=torch.Generator().manual_seed(3))).flatten(
        0, 1
    )
    signs = torch.randint(0, 2, (2000, transformation.num_params), generator=torch.Generator().manual_seed(4))
    raw = torch.cat([raw, math.inf * (2.0 * signs - 1)])
    theta = transformation.bounded(raw, transformation.window(*window))
    assert theta.isfinite().all()
    middle = transformation.warp(theta, torch.zeros(1, 2))
    assert middle.abs().max() <= 0.9501
    for side in (1, 7, 8):
        inside = (sampling_grid(transformation, theta, (side, side)).abs() < 1).all(-1)
        assert inside.flatten(1).any(1).all(), f"{side} x {side}"


@few
@given(st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=8))
def test_bounded_homographies_have_no_horizon_and_never_mirror(raw):
    theta = Projective().bounded(torch.tensor([raw]), Projective().identity())
    corners = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])
    assert (corners @ theta[0, 6:] + 1 >= 0.1999).all()
    a, b, _, c, d, _ = theta[0, :6].tolist()
    assert a * d - b * c > 0


@pytest.mark.parametrize("degrees", [-45, -20, 30, 45])
@pytest.mark.parametrize("aspect", [1.0, 1.7, 2.44])
@pytest.mark.parametrize("across", [0.41, 1.0])
def test_leans_to_45_degrees_lie_well_within_the_bounds(degrees, aspect, across):
    # A turn in pixels, seen in the normalised coordinates of a box `aspect` times as tall as wide.
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    tight = across if aspect == 1.0 else 1.0
    wanted = np.array([[c, -s * aspect], [s / aspect, c]]) @ np.diag([tight, 1.0])
    # R(rotation) [[1, shear], [0, 1]] diag(scale), taken apart.
    rotation = math.atan2(wanted[1, 0], wanted[0, 0])
    turn = np.array([[math.cos(rotation), math.sin(rotation)], [-math.sin(rotation), math.cos(rotation)]])
    upper = turn @ wanted
    scale_x, scale_y, shear = upper[0, 0], upper[1, 1], upper[0, 1] / upper[1, 1]
    offset = torch.tensor([math.log(scale_x), math.log(scale_y), rotation, shear, 0, 0], dtype=torch.float64)
    whole = Affine().identity().double()
    limits = Affine().limits(whole)
    assert (offset.abs() <= 0.85 * limits).all()
    raw = limits * torch.atanh(offset / limits)
    found = Affine().bounded(raw, whole).view(2, 3)[:, :2]
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-9)
