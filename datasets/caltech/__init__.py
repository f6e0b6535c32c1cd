"""Caltech Pedestrians: .seq video, .vbb and text annotations, as they were distributed."""

from datasets.caltech.dataset import CaltechPedestrians

__all__ = ["CaltechPedestrians"]
