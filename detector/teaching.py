"""The teacher of the transformers: frames of people's parts, made of their joints."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from upright.datasets.part_frames import PARTS, frame_matrices, part_frames, parts_seen
from upright.detector.person_priors import PersonPart
from upright.detector.pose import Pose
from upright.detector.spatial_transformer import Transformation, target_points

GRID = (3, 3)  # points of a frame that are compared
BEND = 0.25  # of the loss from square to straight, in half heights of the frame
SEEN_WEIGHT = 0.1  # of the loss of what is seen, beside that of theta


def lessons(targets: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    """For each image the frames of its people, ignore regions left out, on the device of its boxes.

    Args:
        targets: with "boxes" (n, 4), "ignore" (n,) and, where joints are known, "keypoints" (n, 17, 3).

    Returns:
        for each image "points" (m, 4, 9, 2), where the grid's points of each of `PARTS` are, in pixels; "size"
        (m, 4), the half height of the frame, 0 where a part has none; "direction" (m, 4, 2), cosine and sine of the
        frame's turn from upright, clockwise; "seen" (m, 4), 1 or 0, -1 where nobody knows.
    """
    grid = target_points(GRID).double().numpy()
    homogeneous = np.concatenate([grid, np.ones((len(grid), 1))], axis=1)
    found = []
    for target in targets:
        boxes = target["boxes"][~target["ignore"]]
        if "keypoints" in target:
            joints = target["keypoints"][~target["ignore"]].cpu().numpy()
        else:
            joints = np.zeros((len(boxes), 17, 3))
        frames, known = part_frames(joints)
        lesson = {
            "points": np.einsum("npij,kj->npki", frame_matrices(frames), homogeneous),
            "size": np.where(known, frames[..., 4], 0),
            "direction": np.stack([-frames[..., 3], frames[..., 2]], axis=-1),
            "seen": parts_seen(joints),
        }
        found.append({name: torch.from_numpy(value).to(boxes) for name, value in lesson.items()})
    return found


def taught_losses(
    pose: Pose,
    transformation: Transformation,
    parts: tuple[PersonPart, ...],
    taught: tuple[PersonPart, ...],
    lesson: dict[str, Tensor],
) -> dict[str, Tensor]:
    """Losses of theta, and of what is seen.

    That of theta is the mean distance, smooth L1, between where theta and where the true frame put the points of a
    target grid, in half heights of the frame, over all parts that have one. Where turns are free the squared distance
    of their directions from the true ones comes to it: to somebody upside down the distances of points alone show no
    way to turn, and a small crop in the middle of all angles costs little.

    Args:
        pose: of R regions that belong to people, with `seen`.
        transformation: of theta.
        parts: of the N transformers.
        taught: those of them that are taught.
        lesson: of the person of each region, see `lessons`: "points" (R, 4, 9, 2) and so on.

    Returns:
        "loss_theta" and "loss_seen".
    """
    assert pose.seen is not None
    rows = [PARTS.index(part) for part in parts]
    # By transformer.
    points, size, direction, seen = (lesson[name][:, rows] for name in ("points", "size", "direction", "seen"))
    size = size * size.new_tensor([part in taught for part in parts])
    grid = target_points(GRID, pose.theta.device, pose.theta.dtype)
    away = (pose.points(transformation, grid) - points) / size.clamp(min=1e-6)[..., None, None]
    away = away.norm(dim=-1).where(size[..., None] > 0, 0.0)  # (R, N, 9)
    loss = smooth_l1_loss(away, torch.zeros_like(away), beta=BEND, reduction="none").mean(dim=-1)
    if pose.directions is not None:
        loss = loss + (pose.directions - direction).square().sum(dim=-1) * (size > 0)
    known = seen >= 0
    unseen = binary_cross_entropy_with_logits(pose.seen.float(), seen.clamp(min=0), reduction="none").where(known, 0.0)
    return {
        "loss_theta": loss.sum() / (size > 0).sum().clamp(min=1),
        "loss_seen": SEEN_WEIGHT * unseen.sum() / known.sum().clamp(min=1),
    }
