"""The teacher of the transformers against a plain loop over people, parts and points; and that they learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from upright.datasets.batches import to_tensors
from upright.datasets.joints import JOINT_NAMES
from upright.datasets.part_frames import PARTS, frame_lean, frame_matrices, part_frames, parts_seen
from upright.datasets.synthetic import SyntheticPedestrians
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
    for person, pattern in enumerate(("", "knee ankle", "shoulder", "nose eye ear shoulder hip knee ankle elbow wrist")):
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


def pose_of(theta: Tensor, seen: Tensor | None = None) -> Pose:
    """Of regions that all have one square frame."""
    count = len(theta)
    return Pose(
        theta,
        torch.tensor([CENTRE], dtype=theta.dtype).repeat(count, 1),
        torch.full((count, 2), HALF, dtype=theta.dtype),
        torch.zeros(theta.shape[:2], dtype=theta.dtype) if seen is None else seen,
        torch.ones(count, 2, dtype=theta.dtype),
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


def test_lessons_are_in_pixels_of_the_picture_and_leave_ignore_regions_out() -> None:
    joints = people()
    found = lessons([target_of(joints, [False, True, False, True]), target_of(joints[:0])])
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


@pytest.fixture(scope="module")
def rolled() -> dict[str, Any]:
    """A rendered picture of a camera that is turned, and what is known of it."""
    image, target = to_tensors(SyntheticPedestrians("train", 1, size=(320, 240), seed=3, roll=180.0)[0])
    return {"image": image[None].float() / 255, "target": target}


def test_transformers_learn_how_people_lean(tiny_light: Settings, rolled: dict[str, Any]) -> None:
    """Maps stay as they are, so that steps are few and quick; dropout is off."""
    torch.manual_seed(0)
    model = build_detector(replace(tiny_light, teach=1.0, glance_channels=32))
    fill_first_stage(model, ["default"])
    target = rolled["target"]
    frames, known = part_frames(target["keypoints"].numpy())
    chosen = known[:, 0] & ~target["ignore"].numpy()
    leans = frame_lean(frames[chosen, 0])
    assert len(leans) >= 2
    assert np.abs(leans).max() > 30, "people who stand upright teach nothing"
    with torch.no_grad():
        images, _ = model.transform([rolled["image"][0]])
        maps = model.backbone(images.tensors)
    boxes = target["boxes"][torch.from_numpy(chosen)]
    rows = torch.from_numpy(chosen[~target["ignore"].numpy()])
    lesson = {name: value[rows] for name, value in lessons([target])[0].items()}
    pool = model.pool.eval()
    optimizer = torch.optim.Adam(pool.parameters(), lr=0.005)
    losses = []
    for step in range(120):
        optimizer.param_groups[0]["lr"] = 0.005 if step < 70 else 0.0007
        pose = pool.look(maps, [boxes])
        loss = sum(taught_losses(pose, pool.transformation, NAMES, NAMES, lesson).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    found = lean(pool.look(maps, [boxes]).quadrilaterals(pool.transformation)[:, 0]).detach().numpy()
    error = np.abs((found - leans + 180) % 360 - 180)
    assert error.max() < 6, error
