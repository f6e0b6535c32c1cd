"""What the transformers of a pool say of each region, and what that means in the picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from upright.detector.person_priors import PersonPart
from upright.detector.spatial_transformer import Transformation

CORNERS = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))  # top left first, then clockwise


@dataclass(frozen=True)
class Pose:
    """Of R regions; coordinates of theta are those of a frame round each region, -1 to 1.

    Attributes:
        theta: (R, N, P), of the N transformers.
        centre, half: (R, 2), middle and half sides of the frame, x and y, in pixels of the resized picture.
        seen: (R, N), logits of how likely each transformer's part is seen; None where nobody teaches them.
        outline: (R, 2), half sides of the region in its frame, where the frame is not the region; None where it is.
        directions: (R, N, 2), of free turns in the picture, before they became unit vectors; None where there are none.
        up: (R, 2), the direction in the picture that is up in the frame; None: all frames are upright.
    """

    theta: Tensor
    centre: Tensor
    half: Tensor
    seen: Tensor | None = None
    outline: Tensor | None = None
    directions: Tensor | None = None
    up: Tensor | None = None

    def rows(self, chosen: Tensor) -> Pose:
        """Those of some regions."""
        return self._each(lambda one: one[chosen])

    def detached(self) -> Pose:
        """The same, of which nothing learns."""
        return self._each(Tensor.detach)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Pose:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(value) for name, value in values.items() if value is not None})

    def features(self) -> Tensor:
        """What a head is told of it, (R, F)."""
        parts = [self.theta.flatten(1)]
        if self.seen is not None:
            parts.append(self.seen.sigmoid())
        if self.outline is not None:
            parts.append(self.outline)
        return torch.cat([part.to(self.theta.dtype) for part in parts], dim=1)

    def points(self, transformation: Transformation, xy: Tensor) -> Tensor:
        """Where theta puts target points (K, 2): (R, N, K, 2) in pixels of the resized picture."""
        warped = transformation.warp(self.theta.flatten(0, 1), xy).unflatten(0, self.theta.shape[:2])
        offsets = self.half[:, None, None] * warped
        if self.up is not None:
            offsets = turned_with(self.up[:, None, None], offsets)
        return self.centre[:, None, None] + offsets

    def quadrilaterals(self, transformation: Transformation) -> Tensor:
        """Corners (R, N, 4, 2) of what each transformer reads, `CORNERS` of its canonical crop, in pixels."""
        return self.points(transformation, self.theta.new_tensor(CORNERS))


def turned_with(up: Tensor, vectors: Tensor) -> Tensor:
    """Vectors (..., 2), x and y, turned as the picture's own upward direction is turned to `up` (..., 2)."""
    across = torch.stack([-up[..., 1], up[..., 0]], dim=-1)
    return vectors[..., :1] * across - vectors[..., 1:] * up


def lean(quadrilaterals: Tensor) -> Tensor:
    """Degrees (...) that the upward axis of quadrilaterals (..., 4, 2) is turned from upright, clockwise."""
    up = quadrilaterals[..., :2, :].sum(-2) - quadrilaterals[..., 2:, :].sum(-2)
    return torch.atan2(up[..., 0], -up[..., 1]) * (180 / math.pi)


def told(pose: Pose, transformation: Transformation, parts: tuple[PersonPart, ...]) -> dict[str, Tensor]:
    """What a detector says of the pose of n people, as `upright.detector.detected.Detected` has it.

    Args:
        pose: of the people.
        transformation: of theta.
        parts: of the transformers; all four are among them.

    Returns:
        "lean" (n,), "whole" (n, 4, 2), "parts" (n, 3, 4, 2) and "seen" (n, 3), in pixels of the resized picture.
    """
    assert pose.seen is not None, "a pose that is told was taught"
    corners = pose.quadrilaterals(transformation)
    rows = [parts.index(name) for name in ("head", "torso", "legs")]
    whole = corners[:, parts.index("whole")]
    return {"lean": lean(whole), "whole": whole, "parts": corners[:, rows], "seen": pose.seen[:, rows].sigmoid()}
