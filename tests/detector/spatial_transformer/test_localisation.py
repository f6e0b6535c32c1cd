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

ALL = [Attention(), Affine(), Projective(), ThinPlateSpline()]
each = pytest.mark.parametrize("transformation", ALL, ids=lambda t: type(t).__name__)
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
