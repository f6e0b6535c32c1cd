"""Spatial transformers (Jaderberg et al. 2015) for any network. Imports torch and nothing else."""

from .localisation import (
    BoundedTheta,
    ConvolutionalLocalisation,
    FullyConnectedLocalisation,
    SeparateLocalisations,
    ThetaRegression,
    ThetaStatistics,
)
from .modules import ParallelSpatialTransformers, SpatialTransformer
from .sampling import sample, sampling_grid, target_points
from .transformations import (
    Affine,
    Attention,
    Projective,
    ThinPlateSpline,
    Transformation,
)

__all__ = [
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
    "sample",
    "sampling_grid",
    "target_points",
]
