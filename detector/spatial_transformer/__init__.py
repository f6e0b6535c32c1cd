"""Spatial transformers (Jaderberg et al. 2015) for any network. Imports torch and nothing else."""

from detector.spatial_transformer.localisation import PRIORS, BoundedTheta, ThetaStatistics, prior
from detector.spatial_transformer.sampling import sample, sampling_grid, target_points
from detector.spatial_transformer.transformations import Affine, Attention, Transformation

__all__ = [
    "PRIORS",
    "Affine",
    "Attention",
    "BoundedTheta",
    "ThetaStatistics",
    "Transformation",
    "prior",
    "sample",
    "sampling_grid",
    "target_points",
]
