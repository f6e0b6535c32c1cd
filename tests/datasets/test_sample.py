"""The types of a data set: people of whom nothing was said have no joints, and columns cannot come apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest


def test_joints_and_outlines_that_are_left_out_are_not_labelled(boards) -> None:
    for columns in (boards[0], boards.annotations):
        n = len(columns.boxes)
        assert columns.joints.shape == (n, 17, 3)
        assert not columns.joints.any()
        assert columns.outlines.tolist() == [()] * n


def test_rows_are_chosen_in_every_column(boards) -> None:
    sample = replace(boards[0], joints=np.ones((1, 17, 3), np.float32), attributes={"lean": np.array([3.0])})
    twice = sample.rows(np.array([0, 0]))
    none = sample.rows(np.zeros(1, bool))
    for column in ("boxes", "visible", "ignore", "visible_ratio", "joints", "outlines"):
        assert len(getattr(twice, column)) == 2
        assert len(getattr(none, column)) == 0
    assert twice.attributes["lean"].tolist() == [3, 3]
    assert twice.joints.all()


def test_boxes_without_their_joints_are_refused(boards) -> None:
    with pytest.raises(ValueError, match="0 boxes, but joints of 1"):
        replace(boards[0], boxes=np.zeros((0, 4), np.float32))
