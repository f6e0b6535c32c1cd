"""The teacher of the transformers against a plain loop over people, parts and points; and that they learn."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from upright.datasets.joints import JOINT_NAMES
from upright.datasets.part_frames import PARTS, frame_lean, frame_matrices, part_frames, parts_seen
from upright.detector.model import build_detector
from upright.detector.person_priors import PersonPart
from upright.detector.pose import Pose, lean
from upright.detector.settings import Settings
from upright.detector.spatial_transformer import Affine
from upright.detector.teaching import BEND, SEEN_WEIGHT, lessons, taught_losses
from upright.detector.weights import fill_first_stage

NAMES: tuple[PersonPart, ...] = get_args(PersonPart)
HALF = 60.0  # of the square frame of every region
CENTRE = (100.0, 80.0)


def people(count: int = 4, seed: int = 0) -> np.ndarray:
    """Joints anywhere: the first person has all, the second no legs, the third no shoulders, the fourth none."""
    generator = np.random.default_rng(seed)
    joints = np.concatenate(
        [generator.uniform(50, 150, (count, 17, 2)), generator.integers(1, 3, (count, 17, 1))], axis=2
    )
    for person, pattern in enumerate(
        ("", "knee ankle", "shoulder", "nose eye ear shoulder hip knee ankle elbow wrist")
    ):
        for joint, name in enumerate(JOINT_NAMES):
            if any(word in name for word in pattern.split()):
                joints[person, joint] = 0
    return joints


def target_of(joints: np.ndarray, ignore: list[bool] | None = None) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor([[50.0, 50, 150, 150]]).repeat(len(joints), 1).double(),
        "ignore": torch.tensor(ignore or [False] * len(joints), dtype=torch.bool),
        "keypoints": torch.from_numpy(joints),
    }


def pose_of(theta: Tensor, seen: Tensor | None = None, directions: Tensor | None = None) -> Pose:
    """Of regions that all have one square frame."""
    count = len(theta)
    return Pose(
        theta,
        torch.tensor([CENTRE], dtype=theta.dtype).repeat(count, 1),
        torch.full((count, 2), HALF, dtype=theta.dtype),
        torch.zeros(theta.shape[:2], dtype=theta.dtype) if seen is None else seen,
        torch.ones(count, 2, dtype=theta.dtype),
        directions,
    )


def drawn_theta(count: int, transformers: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    theta = torch.randn(count, transformers, 6, generator=generator, dtype=torch.float64)
    return theta.requires_grad_()


def true_theta(joints: np.ndarray, parts: tuple[PersonPart, ...] = NAMES) -> Tensor:
    """Theta that are the frames themselves; the identity where there is none."""
    frames, known = part_frames(joints)
    matrices = frame_matrices(frames)
    matrices[..., 2] -= CENTRE
    matrices /= HALF
    matrices[~known] = [[1, 0, 0], [0, 1, 0]]
    return torch.from_numpy(matrices[:, [PARTS.index(part) for part in parts]]).flatten(2)


def plain_losses(
    theta: np.ndarray, seen: np.ndarray, joints: np.ndarray, parts: tuple[PersonPart, ...], taught: tuple[str, ...]
) -> tuple[float, float]:
    """One person, one transformer, one point at a time."""
    distances, entropies = [], []
    for person in range(len(joints)):
        frames, known = part_frames(joints[person : person + 1])
        visible = parts_seen(joints[person : person + 1])[0]
        for transformer, part in enumerate(parts):
            row = PARTS.index(part)
            if visible[row] >= 0:
                says = 1 / (1 + np.exp(-seen[person, transformer]))
                entropies.append(-np.log(says if visible[row] else 1 - says))
            if part not in taught or not known[0, row]:
                continue
            x, y, up_x, up_y, high, wide = frames[0, row]
            bent = []
            for v in (-2 / 3, 0, 2 / 3):
                for u in (-2 / 3, 0, 2 / 3):
                    true = np.array([x, y]) + u * wide * np.array([-up_y, up_x]) - v * high * np.array([up_x, up_y])
                    found = theta[person, transformer].reshape(2, 3) @ (u, v, 1) * HALF + CENTRE
                    away = np.hypot(*(found - true)) / high
                    bent.append(away - BEND / 2 if away > BEND else away**2 / (2 * BEND))
            distances.append(np.mean(bent))
    return float(np.mean(distances)), SEEN_WEIGHT * float(np.mean(entropies))


@pytest.mark.parametrize(
    ("parts", "taught"),
    [(NAMES, NAMES), (NAMES, ("whole", "head")), (("legs", "head"), NAMES), (("torso",) * 3 + ("whole",), ("torso",))],
)
def test_the_losses_are_those_of_a_loop_over_people_parts_and_points(
    parts: tuple[PersonPart, ...], taught: tuple[PersonPart, ...]
) -> None:
    joints = people()
    flags = part_frames(joints)[1]
    assert flags.any()
    assert not flags.all()
    theta = 0.5 * drawn_theta(len(joints), len(parts)).detach()
    theta[0] = true_theta(joints, parts)[0] + 0.01 * theta[0]  # near enough for the square part of the loss
    seen = theta[..., 0]
    (lesson,) = lessons([target_of(joints)])
    losses = taught_losses(pose_of(theta, seen), Affine(), parts, taught, lesson)
    expected = plain_losses(theta.numpy(), seen.numpy(), joints, parts, taught)
    assert losses["loss_theta"].item() == pytest.approx(expected[0], rel=1e-6)
    assert losses["loss_seen"].item() == pytest.approx(expected[1], rel=1e-6)


@pytest.mark.parametrize("taught", [NAMES, ("head", "legs")])
def test_directions_learn_the_lean_of_each_part_beside_the_points(taught: tuple[PersonPart, ...]) -> None:
    joints, theta = people(), drawn_theta(4).detach()
    directions = (2 * drawn_theta(4).detach()[..., :2]).requires_grad_()
    (lesson,) = lessons([target_of(joints)])
    frames, known = part_frames(joints)
    away = []
    for person in range(4):
        for part, name in enumerate(PARTS):
            if known[person, part] and name in taught:
                turn = np.radians(frame_lean(frames[person, part]))
                away.append(((directions[person, part].detach().numpy() - (np.cos(turn), np.sin(turn))) ** 2).sum())
    points_alone = taught_losses(pose_of(theta), Affine(), NAMES, taught, lesson)["loss_theta"].item()
    loss = taught_losses(pose_of(theta, directions=directions), Affine(), NAMES, taught, lesson)["loss_theta"]
    assert loss.item() == pytest.approx(points_alone + np.mean(away), rel=1e-6)
    loss.backward()
    counted = known & np.array([part in taught for part in PARTS])
    assert directions.grad is not None
    np.testing.assert_array_equal(directions.grad.abs().sum(dim=-1).numpy() > 0, counted)


def test_lessons_are_in_pixels_of_the_picture_and_leave_ignore_regions_out() -> None:
    joints = people()
    found = lessons([target_of(joints, [False, True, False, True]), target_of(joints[:0])])
    unknown = target_of(joints, [False, True, False, False])
    del unknown["keypoints"]
    assert [len(value) for value in lessons([unknown])[0].values()] == [3] * 4
    frames, known = part_frames(joints)
    assert [one["points"].shape for one in found] == [(2, 4, 9, 2), (0, 4, 9, 2)]
    for row, person in enumerate((0, 2)):
        # The middle of the grid is the middle of the frame.
        np.testing.assert_allclose(found[0]["points"][row, :, 4], frames[person, :, :2])
        np.testing.assert_array_equal(found[0]["size"][row], np.where(known[person], frames[person, :, 4], 0))
        np.testing.assert_array_equal(found[0]["seen"][row], parts_seen(joints)[person])


def test_theta_that_is_the_true_frame_has_nothing_to_learn() -> None:
    joints = people()
    theta = true_theta(joints).requires_grad_()
    (lesson,) = lessons([target_of(joints)])
    seen = 50.0 * (2 * torch.from_numpy(parts_seen(joints)).double() - 1)
    losses = taught_losses(pose_of(theta, seen), Affine(), NAMES, NAMES, lesson)
    assert losses["loss_theta"].item() < 1e-12
    assert losses["loss_seen"].item() < 1e-12
    losses["loss_theta"].backward()
    assert theta.grad.isfinite().all()


@pytest.mark.parametrize("taught", [NAMES, ("head", "legs")])
def test_parts_without_a_frame_or_a_teacher_have_no_gradient(taught: tuple[PersonPart, ...]) -> None:
    joints = people()
    theta, seen = drawn_theta(4), torch.zeros(4, 4, dtype=torch.float64, requires_grad=True)
    (lesson,) = lessons([target_of(joints)])
    losses = taught_losses(pose_of(theta, seen), Affine(), NAMES, taught, lesson)
    (losses["loss_theta"] + losses["loss_seen"]).backward()
    known = part_frames(joints)[1] & np.array([part in taught for part in PARTS])
    assert theta.grad is not None
    np.testing.assert_array_equal(theta.grad.abs().sum(dim=-1).numpy() > 0, known)
    # Whether a part is seen nobody knows of the last one alone, who has no joints.
    assert seen.grad is not None
    np.testing.assert_array_equal((seen.grad != 0).any(dim=1), [True, True, True, False])


@pytest.mark.parametrize("kind", ["zeros", "none labelled", "no keypoints", "nobody"])
def test_without_joints_there_is_a_loss_of_0_and_no_gradient(kind: str) -> None:
    joints = np.zeros((3, 17, 3))
    if kind == "none labelled":
        joints[..., :2] = people(4)[:3, :, :2]
    target = target_of(joints[:0] if kind == "nobody" else joints)
    if kind == "no keypoints":
        del target["keypoints"]
    (lesson,) = lessons([target])
    theta = drawn_theta(len(lesson["size"]))
    seen = torch.zeros(theta.shape[:2], dtype=torch.float64, requires_grad=True)
    losses = taught_losses(pose_of(theta, seen), Affine(), NAMES, NAMES, lesson)
    assert {name: loss.item() for name, loss in losses.items()} == {"loss_theta": 0.0, "loss_seen": 0.0}
    sum(losses.values()).backward()
    for value in (theta, seen):
        assert value.grad is not None
        assert not value.grad.any(), "not even something that is not a number"


def test_an_image_without_joints_changes_nothing_for_the_others() -> None:
    joints, theta = people(), drawn_theta(8).detach()
    alone, beside = lessons([target_of(joints)]), lessons([target_of(joints), target_of(np.zeros((4, 17, 3)))])
    together = {name: torch.cat([one[name] for one in beside]) for name in beside[0]}
    first = taught_losses(pose_of(theta[:4]), Affine(), NAMES, NAMES, alone[0])
    both = taught_losses(pose_of(theta), Affine(), NAMES, NAMES, together)
    for name in first:
        torch.testing.assert_close(both[name], first[name])


LEANS = (-150.0, -75.0, 0.0, 30.0, 90.0, 170.0)
FIGURE = {"nose": (0, -45), "shoulder": (9, -28), "hip": (5, 2), "knee": (6, 24), "ankle": (6, 46)}


def figures() -> tuple[Tensor, dict[str, Tensor]]:
    """A picture (3, 192, 320) of six figures that lean by `LEANS`, and its target."""
    image = np.random.default_rng(0).integers(150, 220, (192, 320, 3)).astype(np.uint8)
    joints = np.zeros((len(LEANS), 17, 3), np.float32)
    for person, degrees in enumerate(LEANS):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        middle = np.array((56 + 104 * (person % 3), 50 + 92 * (person // 3)))
        for joint, name in enumerate(JOINT_NAMES):
            side, _, kind = name.rpartition("_")
            if kind in FIGURE:
                x, y = FIGURE[kind]
                x = -x if side == "right" else x
                joints[person, joint] = (*(middle + 0.9 * np.array((c * x - s * y, s * x + c * y))), 2)
        place = {name: tuple(int(v) for v in joints[person, j, :2]) for j, name in enumerate(JOINT_NAMES)}
        for side in ("left", "right"):
            line = [place[f"{side}_{kind}"] for kind in ("shoulder", "hip", "knee", "ankle")]
            cv2.polylines(image, [np.array(line)], False, (40, 60, 120), 7)
        cv2.circle(image, place["nose"], 8, (190, 120, 90), -1)
    labelled = joints[..., 2] > 0
    places = [joint[flags, :2] for joint, flags in zip(joints, labelled, strict=True)]
    boxes = np.stack([np.concatenate([p.min(axis=0) - 8, p.max(axis=0) + 8]) for p in places])
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255, {
        "boxes": torch.from_numpy(boxes),
        "ignore": torch.zeros(len(boxes), dtype=torch.bool),
        "keypoints": torch.from_numpy(joints),
    }


def test_transformers_learn_how_people_lean(tiny_light: Settings) -> None:
    """Maps stay as they are and dropout is off, so that steps are few and quick."""
    torch.manual_seed(0)
    model = build_detector(replace(tiny_light, teach=1.0))
    fill_first_stage(model, ["default"])
    image, target = figures()
    np.testing.assert_allclose(frame_lean(part_frames(target["keypoints"].numpy())[0][:, 0]), LEANS, atol=1e-4)
    with torch.no_grad():
        images, _ = model.transform([image])
        maps = model.backbone(images.tensors)
    (lesson,), pool = lessons([target]), model.pool.eval()
    optimizer = torch.optim.Adam(pool.parameters(), lr=0.005)
    losses = []
    for _ in range(60):
        losses.append(
            taught_losses(pool.look(maps, [target["boxes"]]), pool.transformation, NAMES, NAMES, lesson)["loss_theta"]
        )
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1].item() < 0.2 * losses[0].item()
    found = lean(pool.look(maps, [target["boxes"]]).quadrilaterals(pool.transformation)[:, 0]).detach().numpy()
    error = np.abs((found - LEANS + 180) % 360 - 180)
    assert error.max() < 6, error
