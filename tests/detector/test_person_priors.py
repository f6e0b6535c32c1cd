"""Priors read the parts that they name, in every family of transformations."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from upright.detector.model import build_transformation
from upright.detector.option_fields import option_fields
from upright.detector.person_priors import PERSON_PRIORS, PersonPart
from upright.detector.settings import Settings

(TRANSFORMATIONS,) = (field.names for field in option_fields(Settings) if field.name == "transformation")


def test_every_part_that_settings_may_name_has_a_window() -> None:
    assert tuple(PERSON_PRIORS) == get_args(PersonPart)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_priors_read_the_parts_they_name(name: str) -> None:
    transformation = build_transformation(name)
    corners = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    priors = {part: transformation.window(*window) for part, window in PERSON_PRIORS.items()}
    assert torch.equal(priors["whole"], transformation.identity())
    edges = {part: transformation.warp(theta[None], corners)[0] for part, theta in priors.items()}
    middle = {part: edge.mean(0)[1].item() for part, edge in edges.items()}
    assert middle["head"] < middle["torso"] < middle["legs"]
    for part, (_, half, x, y) in PERSON_PRIORS.items():
        torch.testing.assert_close(edges[part].mean(0), torch.tensor([x, y]), rtol=0, atol=1e-6)
        height = edges[part][1, 1] - edges[part][0, 1]
        torch.testing.assert_close(height, torch.tensor(2 * half), rtol=0, atol=1e-6)
