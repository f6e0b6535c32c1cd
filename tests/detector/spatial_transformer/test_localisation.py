import math

import pytest
import torch

from upright.detector.spatial_transformer import (
    Affine,
    Attention,
    BoundedTheta,
    ConvolutionalLocalisation,
    FullyConnectedLocalisation,
    Projective,
    SeparateLocalisations,
    ThetaRegression,
    ThinPlateSpline,
)
from upright.detector.spatial_transformer.localisation import turn_direction

ALL = [Attention(), Affine(), Projective(), ThinPlateSpline()]
each = pytest.mark.parametrize("transformation", ALL, ids=lambda t: type(t).__name__)
turning = pytest.mark.parametrize("transformation", [t for t in ALL if t.can_turn], ids=lambda t: type(t).__name__)
# Where four transformers start: half width, half height, centre x, centre y.
WINDOWS = {
    "whole": (1.0, 1.0, 0.0, 0.0),
    "top": (0.7, 0.4, 0.0, -0.6),
    "middle": (0.8, 0.45, 0.0, -0.15),
    "low": (0.9, 0.5, 0.0, 0.5),
}


def starts(transformation):
    return [transformation.window(*window) for window in WINDOWS.values()]


def localisations(transformation, priors, bounded):
    return [
        FullyConnectedLocalisation((3, 8, 6), transformation, priors, bounded=bounded),
        ConvolutionalLocalisation(3, transformation, priors, bounded=bounded),
    ]


def test_priors_that_do_not_fit_the_family_are_refused():
    for priors in ([], [torch.zeros(5)], [Affine().identity(), Attention().identity()]):
        with pytest.raises(ValueError, match=r"Affine.*\(6,\)"):
            ThetaRegression(16, Affine(), priors)


@each
@pytest.mark.parametrize("bounded", [False, True])
def test_localisation_starts_at_its_priors_for_every_input(transformation, bounded):
    expected = torch.stack(starts(transformation)).flatten()
    for network in localisations(transformation, starts(transformation), bounded):
        theta = network(torch.randn(5, 3, 8, 6))
        assert theta.shape == (5, 4 * transformation.num_params)
        assert torch.equal(theta, expected.repeat(5, 1))


@each
@pytest.mark.parametrize("bounded", [False, True])
def test_localisation_learns_from_the_first_step(transformation, bounded):
    for network in localisations(transformation, starts(transformation), bounded):
        network(torch.randn(5, 3, 8, 6)).square().sum().backward()
        last = network[-1].linear
        assert last.bias.grad.abs().max() > 0
        assert last.weight.grad.abs().max() > 0


@each
def test_bounds_hold_whatever_the_network_says(transformation):
    network = FullyConnectedLocalisation((3, 8, 6), transformation, starts(transformation), bounded=True)
    torch.nn.init.normal_(network[-1].linear.weight, std=1e6)
    theta = network(torch.randn(20, 3, 8, 6)).unflatten(1, (4, -1))
    middle = transformation.warp(theta.flatten(0, 1), torch.zeros(1, 2))
    assert middle.abs().max() <= 0.9501


def test_convolutional_localisation_takes_maps_of_any_size():
    network = ConvolutionalLocalisation(5, Affine(), widths=(8, 8), grid=2)
    for size in ((1, 1), (7, 3), (64, 48)):
        assert network(torch.randn(2, 5, *size)).shape == (2, 6)


@each
def test_regression_stays_in_float32_under_autocast(transformation):
    regression = ThetaRegression(16, transformation, starts(transformation))
    torch.nn.init.normal_(regression.linear.weight, std=0.1)
    features = torch.randn(4, 16).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        theta = regression(features)
    torch.testing.assert_close(theta, regression(features.float()), rtol=0, atol=0)


def test_separate_localisations_stand_side_by_side():
    two = [Affine().window(*WINDOWS[name]) for name in ("top", "low")]
    networks = [FullyConnectedLocalisation((3, 8, 6), Affine(), [theta]) for theta in two]
    theta = SeparateLocalisations(networks)(torch.randn(2, 3, 8, 6)).view(2, 2, 6)
    assert torch.equal(theta[0], torch.stack(two))


def test_raw_zeros_are_any_theta_that_is_given_as_prior():
    theta = torch.tensor([0.5, 0.1, 0.2, -0.1, 0.6, 0.3])
    bounds = BoundedTheta(Affine(), [Affine().identity(), theta])
    assert torch.equal(bounds(torch.zeros(1, 12))[0, 1], theta)


def test_bounded_theta_keeps_transformers_and_regions_apart():
    bounds = BoundedTheta(Affine(), starts(Affine()))
    raw = torch.randn(3, 24)
    expected = [[Affine().bounded(raw[b, 6 * n : 6 * n + 6], bounds.priors[n]) for n in range(4)] for b in range(3)]
    torch.testing.assert_close(bounds(raw), torch.stack([torch.stack(row) for row in expected]))
    assert bounds(raw[:0]).shape == (0, 4, 6)


def test_statistics_show_collapse_and_bounds_and_name_the_transformer_that_is_not_finite():
    bounds = BoundedTheta(Affine(), starts(Affine()))
    raw = torch.zeros(10, 4, 6)
    raw[:, 1, 4] = torch.linspace(-0.3, 0.3, 10)  # the top's shift x differs between regions
    raw[:7, 2, 2] = 1e9  # the middle's rotation is at its bound in 7 of 10
    found = bounds.statistics(raw.flatten(1))
    theta = bounds(raw.flatten(1))
    torch.testing.assert_close(found.mean, theta.mean(0))
    torch.testing.assert_close(found.std, theta.std(0, correction=0), rtol=0, atol=1e-6)
    assert found.std[0].max() < 1e-7
    assert found.std[1, 2] > 0.1
    expected = torch.zeros(4, 6)
    expected[2, 2] = 0.7
    torch.testing.assert_close(found.at_bounds, expected)
    assert found.finite.all()
    raw[3, 3, 0] = math.nan
    assert bounds.statistics(raw.flatten(1)).finite.tolist() == [True, True, True, False]
    empty = bounds.statistics(raw[:0].flatten(1))
    assert empty.mean.isfinite().all()
    assert empty.finite.all()


@each
def test_a_free_turn_starts_at_exactly_the_priors_and_costs_two_numbers_where_the_family_turns(transformation):
    bounds = BoundedTheta(transformation, starts(transformation), free_turn=True)
    assert bounds.num_raw == transformation.num_params + 2 * transformation.can_turn
    assert torch.equal(bounds(torch.zeros(1, 4 * bounds.num_raw))[0], torch.stack(starts(transformation)))
    regression = ThetaRegression(16, transformation, starts(transformation), bounded=True, free_turn=True)
    assert torch.equal(regression(torch.randn(1, 16))[0], torch.stack(starts(transformation)).flatten())


@turning
@pytest.mark.parametrize("degrees", [0, 20, 90, 135, 180, -179, -90])
def test_a_free_turn_reaches_every_angle(transformation, degrees):
    bounds = BoundedTheta(transformation, starts(transformation), free_turn=True).double()
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    raw = torch.zeros(1, 4, bounds.num_raw, dtype=torch.float64)
    raw[..., :2] = torch.tensor([3 * c - 1, 3 * s], dtype=torch.float64)  # their length says nothing
    xy = torch.tensor([[0.0, 0.0], [0.3, -0.7], [1.0, 1.0]], dtype=torch.float64)
    found = transformation.warp(bounds(raw.flatten(1))[0], xy)
    before = transformation.warp(torch.stack(starts(transformation)).double(), xy)
    torch.testing.assert_close(found, before @ torch.tensor([[c, s], [-s, c]], dtype=torch.float64))


@turning
def test_a_free_turn_comes_after_what_is_bounded_and_has_its_gradients(transformation):
    bounds = BoundedTheta(transformation, starts(transformation), free_turn=True).double()
    raw = torch.randn(2, 4, bounds.num_raw, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inner = transformation.bounded(raw[..., 2:], bounds.priors, bounds.limits)
    expected = transformation.turned(inner, torch.nn.functional.normalize(raw[..., :2] + raw.new_tensor([1, 0]), dim=2))
    torch.testing.assert_close(bounds(raw.flatten(1)), expected)
    assert torch.autograd.gradcheck(bounds, raw[:1].flatten(1).requires_grad_())


@turning
def test_a_turn_without_a_direction_is_finite_with_its_gradient(transformation):
    bounds = BoundedTheta(transformation, starts(transformation), free_turn=True)
    raw = torch.zeros(3, 4, bounds.num_raw)
    raw[..., 0] = torch.tensor([-1.0, -1 + 1e-7, -1e30])[:, None]
    raw = raw.flatten(1).requires_grad_()
    theta = bounds(raw)
    assert theta.isfinite().all()
    theta.sum().backward()
    assert raw.grad.isfinite().all()


def test_directions_have_length_one_and_stay_in_float32_from_half_types():
    raw = 10 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.normalize(raw.double() + torch.tensor([1.0, 0.0]), dim=1)
    torch.testing.assert_close(turn_direction(raw).double(), expected, rtol=0, atol=1e-6)
    assert turn_direction(raw.bfloat16()).dtype == torch.float32
    assert turn_direction(raw.double()).dtype == torch.float64


@turning
def test_statistics_of_a_free_turn_are_of_theta_and_of_the_offsets_that_have_bounds(transformation):
    bounds, params = BoundedTheta(transformation, starts(transformation), free_turn=True), transformation.num_params
    raw = torch.zeros(10, 4, bounds.num_raw)
    raw[:, 1, 1] = torch.linspace(-1e6, 1e6, 10)  # turns have no bound
    raw[:4, 2, 2] = 1e9
    found = bounds.statistics(raw.flatten(1))
    theta = bounds(raw.flatten(1))
    torch.testing.assert_close(found.mean, theta.mean(0))
    torch.testing.assert_close(found.std, theta.std(0, correction=0), rtol=0, atol=1e-6)
    assert found.std[1].max() > 0.1
    expected = torch.zeros(4, params)
    expected[2, 0] = 0.4
    torch.testing.assert_close(found.at_bounds, expected)


def test_a_free_turn_compiles_as_one_graph_and_is_exported():
    torch._dynamo.reset()
    regression = ThetaRegression(8, Affine(), starts(Affine()), bounded=True, free_turn=True)
    torch.nn.init.normal_(regression.linear.weight)
    features = torch.randn(5, 8)
    compiled = torch.compile(regression, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(features), regression(features))
    free = ({0: torch.export.Dim("B", min=2)},)
    program = torch.export.export(regression, (torch.randn(3, 8),), dynamic_shapes=free).module()
    torch.testing.assert_close(program(features), regression(features))
