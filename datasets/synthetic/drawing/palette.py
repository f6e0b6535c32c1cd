"""Colours drawn at random around given ones."""

from __future__ import annotations

import numpy as np

from upright.datasets.synthetic.drawing.canvas import Colour


def pick(rng: np.random.Generator, colours: tuple[Colour, ...], by: int = 14) -> Colour:
    """One of the colours, up to `by` grey levels lighter or darker and a little off."""
    base = colours[int(rng.integers(len(colours)))]
    common = int(rng.integers(-by, by + 1))
    own = rng.integers(-4, 5, 3).tolist()
    return tuple(max(4, min(250, c + common + o)) for c, o in zip(base, own, strict=True))


def shaded(colour: Colour, share: float) -> Colour:
    """The colour, `share` times as bright."""
    red, green, blue = (int(max(0, min(255, c * share))) for c in colour)
    return red, green, blue
