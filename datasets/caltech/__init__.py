"""Caltech Pedestrians: .seq video, .vbb and text annotations, as they were distributed."""

from upright.datasets.caltech.dataset import CaltechPedestrians

__all__ = ["CaltechPedestrians"]
