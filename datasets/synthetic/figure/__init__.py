"""The rendered person: who it is, how it stands, and how it is drawn."""

from upright.datasets.synthetic.figure.figure import Figure, draw_figure_at_random
from upright.datasets.synthetic.figure.render import render_figure
from upright.datasets.synthetic.figure.skeleton import Skeleton, body_height, body_length, build_skeleton

__all__ = [
    "Figure",
    "Skeleton",
    "body_height",
    "body_length",
    "build_skeleton",
    "draw_figure_at_random",
    "render_figure",
]
