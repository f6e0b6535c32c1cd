"""Where windows look is measured as by hand."""

from __future__ import annotations

import pytest
import torch

from upright.experiments.parts.windows import look


def test_windows_are_measured_by_hand() -> None:
    nan = float("nan")
    theta = torch.tensor([[[0.5, 0.0, -0.5], [0.5, 0.0, 0.5]], [[0.5, 0.5, -0.5], [0.5, 0.0, 0.5]]])
    head, torso, legs = [-0.1, -0.9, 0.1, -0.7], [-0.2, -0.6, 0.2, 0.2], [-0.2, 0.2, 0.2, 1.0]
    hidden = [nan] * 4
    found = look(theta, torch.tensor([[head, torso, legs], [[0.9, -0.9, 1.1, -0.7], hidden, legs]]))
    # First window, first picture: x -0.5 to 0.5, y -1 to 0. It holds the head, the upper 0.6 of 0.8 of the torso.
    # Second picture: x 0 to 1 holds half of the head; the legs lie below.
    assert found["overlap"][0] == pytest.approx([0.75, 0.75, 0.0])
    # Second window: y 0 to 1. The torso's lower 0.2 of 0.8; all of the legs.
    assert found["overlap"][1] == pytest.approx([0.0, 0.25, 1.0])
    # Centre (0, -0.5): 0.3 from head and from torso (0, -0.2); (0.5, -0.5) is nearest to the head, the torso hidden.
    assert found["part"] == ["head", "legs"]
    assert found["stays"][1] == 1.0
    # x is 0 and 0.5: deviation 0.25, y none.
    assert found["deviation"] == pytest.approx([0.125, 0.0])


def test_windows_follow_as_far_as_they_go_with_the_torso() -> None:
    centres = torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
    boxes = torch.cat([centres - 0.1, centres + 0.1], dim=1)[:, None].repeat(1, 3, 1)
    theta = torch.full((50, 3, 3), 0.5)
    theta[:, 1, 1:] = 0.4 + centres * torch.tensor([0.6, 0.9])
    theta[:, 2, 1:] = 0.4 - centres
    boxes[7] = float("nan")  # nobody is seen there
    theta[7] = 9
    assert look(theta, boxes)["follows"] == pytest.approx([0, 0.6, -1], abs=1e-5)
