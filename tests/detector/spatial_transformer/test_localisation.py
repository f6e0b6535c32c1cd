import math

import pytest
import torch

from upright.detector.spatial_transformer import (
    PRIORS,
    Affine,
    Attention,
    BoundedTheta,
    ConvolutionalLocalisation,
    FullyConnectedLocalisation,
    Projective,
    SeparateLocalisations,
    ThetaRegression,
    ThinPlateSpline,
    prior,
)

ALL = [Attention(), Affine(), Projective(), ThinPlateSpline()]
each = pytest.mark.parametrize("transformation", ALL, ids=lambda t: type(t).__name__)
PARTS = list(PRIORS)


def localisations(transformation, priors, bounded):
    return [
        FullyConnectedLocalisation((3, 8, 6), transformation, priors, bounded=bounded),
        ConvolutionalLocalisation(3, transformation, priors, bounded=bounded),
    ]


@each
def test_priors_read_the_parts_they_name(transformation):
    corners = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    edges = {name: transformation.warp(prior(transformation, name)[None], corners)[0] for name in PRIORS}
    assert torch.equal(prior(transformation, "whole"), transformation.identity())
    middle = {name: edge.mean(0)[1].item() for name, edge in edges.items()}
    assert middle["head"] < middle["torso"] < middle["legs"]
    for name, (_, half, x, y) in PRIORS.items():
        found = edges[name]
        torch.testing.assert_close(found.mean(0), torch.tensor([x, y]), rtol=0, atol=1e-6)
        torch.testing.assert_close(found[1, 1] - found[0, 1], torch.tensor(2 * half), rtol=0, atol=1e-6)


def test_an_unknown_prior_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"arms.*whole, head, torso, legs"):
        prior(Affine(), "arms")


@each
@pytest.mark.parametrize("bounded", [False, True])
def test_localisation_starts_at_its_priors_for_every_input(transformation, bounded):
    expected = torch.stack([prior(transformation, name) for name in PARTS]).flatten()
    for network in localisations(transformation, PARTS, bounded):
        theta = network(torch.randn(5, 3, 8, 6))
        assert theta.shape == (5, 4 * transformation.num_params)
        assert torch.equal(theta, expected.repeat(5, 1))


@each
@pytest.mark.parametrize("bounded", [False, True])
def test_localisation_learns_from_the_first_step(transformation, bounded):
    for network in localisations(transformation, PARTS, bounded):
        network(torch.randn(5, 3, 8, 6)).square().sum().backward()
        last = network[-1].linear
        assert last.bias.grad.abs().max() > 0
        assert last.weight.grad.abs().max() > 0


@each
def test_bounds_hold_whatever_the_network_says(transformation):
    network = FullyConnectedLocalisation((3, 8, 6), transformation, PARTS, bounded=True)
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
    regression = ThetaRegression(16, transformation, PARTS)
    torch.nn.init.normal_(regression.linear.weight, std=0.1)
    features = torch.randn(4, 16).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        theta = regression(features)
    torch.testing.assert_close(theta, regression(features.float()), rtol=0, atol=0)


def test_separate_localisations_stand_side_by_side():
    networks = [FullyConnectedLocalisation((3, 8, 6), Affine(), [name]) for name in ("head", "legs")]
    theta = SeparateLocalisations(networks)(torch.randn(2, 3, 8, 6)).view(2, 2, 6)
    assert torch.equal(theta[0], torch.stack([prior(Affine(), "head"), prior(Affine(), "legs")]))


def test_priors_may_be_given_as_theta():
    theta = torch.tensor([0.5, 0.1, 0.2, -0.1, 0.6, 0.3])
    bounds = BoundedTheta(Affine(), ["whole", theta])
    assert torch.equal(bounds(torch.zeros(1, 12))[0, 1], theta)


def test_bounded_theta_keeps_transformers_and_regions_apart():
    bounds = BoundedTheta(Affine(), PARTS)
    raw = torch.randn(3, 24)
    expected = [[Affine().bounded(raw[b, 6 * n : 6 * n + 6], bounds.priors[n]) for n in range(4)] for b in range(3)]
    torch.testing.assert_close(bounds(raw), torch.stack([torch.stack(row) for row in expected]))
    assert bounds(raw[:0]).shape == (0, 4, 6)


def test_statistics_show_collapse_and_bounds_and_name_the_transformer_that_is_not_finite():
    bounds = BoundedTheta(Affine(), PARTS)
    raw = torch.zeros(10, 4, 6)
    raw[:, 1, 4] = torch.linspace(-0.3, 0.3, 10)  # the head's shift x differs between regions
    raw[:7, 2, 2] = 1e9  # the torso's rotation is at its bound in 7 of 10
    found = bounds.statistics(raw.flatten(1))
    theta = bounds(raw.flatten(1))
    torch.testing.assert_close(found.mean, theta.mean(0))
    torch.testing.assert_close(found.deviation, theta.std(0, correction=0), rtol=0, atol=1e-6)
    assert found.deviation[0].max() < 1e-7
    assert found.deviation[1, 2] > 0.1
    expected = torch.zeros(4, 6)
    expected[2, 2] = 0.7
    torch.testing.assert_close(found.at_bounds, expected)
    assert found.finite.all()
    raw[3, 3, 0] = math.nan
    assert bounds.statistics(raw.flatten(1)).finite.tolist() == [True, True, True, False]
    empty = bounds.statistics(raw[:0].flatten(1))
    assert empty.mean.isfinite().all()
    assert empty.finite.all()
