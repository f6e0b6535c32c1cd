"""Things in the street: none is cut off by its canvas, none is a person."""

from __future__ import annotations

import numpy as np
import pytest

from upright.datasets.synthetic.street.furniture import KINDS, VARIANTS, Prop, render_prop


def _border(mask: np.ndarray) -> np.ndarray:
    return np.concatenate((mask[0], mask[-1], mask[:, 0], mask[:, -1]))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_thing_is_cut_by_its_canvas_and_none_is_a_person(kind):
    for variant in range(VARIANTS):
        sprite = render_prop(Prop(kind, variant, False), KINDS[kind][1] / 2, (0.0, 0.0))
        assert not (_border(sprite.alpha) > 8).any(), variant
        assert (sprite.alpha >= 128).any()
        assert sprite.full is None


def test_a_mirrored_thing_stands_on_the_same_spot():
    one = render_prop(Prop("lamp", 1, False), 40.0, (100.0, 100.0))
    other = render_prop(Prop("lamp", 1, True), 40.0, (100.0, 100.0))
    assert np.array_equal(one.alpha[:, ::-1], other.alpha)
    foot = [s.left + np.nonzero(s.alpha[-8] > 128)[0].mean() for s in (one, other)]
    assert foot[0] == pytest.approx(foot[1], abs=1.5)
