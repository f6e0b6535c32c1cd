"""Spatial transformers (Jaderberg et al. 2015) for any network. Imports torch and nothing else."""

from upright.detector.spatial_transformer.localisation import (
    PRIORS,
    BoundedTheta,
    ConvolutionalLocalisation,
    FullyConnectedLocalisation,
    SeparateLocalisations,
    ThetaRegression,
    ThetaStatistics,
    prior,
)
from upright.detector.spatial_transformer.modules import ParallelSpatialTransformers, SpatialTransformer
from upright.detector.spatial_transformer.sampling import sample, sampling_grid, target_points
from upright.detector.spatial_transformer.transformations import (
    Affine,
    Attention,
    Projective,
    ThinPlateSpline,
    Transformation,
)

__all__ = [
    "PRIORS",
    "Affine",
    "Attention",
    "BoundedTheta",
    "ConvolutionalLocalisation",
    "FullyConnectedLocalisation",
    "ParallelSpatialTransformers",
    "Projective",
    "SeparateLocalisations",
    "SpatialTransformer",
    "ThetaRegression",
    "ThetaStatistics",
    "ThinPlateSpline",
    "Transformation",
    "prior",
    "sample",
    "sampling_grid",
    "target_points",
]
