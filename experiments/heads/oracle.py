"""The best teacher there could be: a pool that is told the true pose, by one rule for people and for all else.

Who compares poses must not tell by them who is a person: crops of people that stand upright beside crops of background
at any angle are told apart by that alone. So every region has a pose:

- a region that overlaps a person with a known frame by `NEAR` or more has that person's frames (a perfect teacher knows
  the person in a badly fitting region, too);
- every other region, people without joints among them, has the pose that some other person has in *its* region: one of
  the `NEIGHBOURS` regions of people (overlap of `MATCHED` or more) nearest in shape, size and turn of the scene. The
  turn belongs to it: in a picture that lies on its side people lie, and background set upright by another picture's
  pose would be the only thing that does not stand on its feet. Rendered regions take rendered people's, photographed
  ones those of photographed people, whose joints were marked by hand.

Then the pose, given region and turn, is spread alike for people and for all else. `pose_control.py` measures it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou

from upright.datasets.part_frames import PARTS, WHOLE, frame_matrices, part_frames, parts_seen
from upright.detector.ignored import inside_ignored
from upright.detector.judged import region_boxes
from upright.detector.model import Detector
from upright.detector.person_priors import SQUARE_PRIORS
from upright.detector.pose import Pose
from upright.detector.pose_pool import PoseNormalisingPool
from upright.detector.region_reading import Regions
from upright.detector.settings import Settings
from upright.errors import InputError

NEAR = 0.3  # overlap with a person from which on a region shows them
MATCHED = 0.5  # overlap of regions that count as people
NEIGHBOURS = 8
# Differences that count alike when the nearest regions are sought: of the logarithms of aspect and size, and the chord
# between turns (10 degrees).
ASPECT, SIZE, TURN = 0.1, 0.5, 0.175
MOST = 24  # regions of people of a picture that are kept as donors
FAR = 1000.0  # between rendered scenes and photographs
SURE = 4.0  # logit of a part that is seen

Target = dict[str, Any]


def people_frames(joints: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The true frames of n people.

    A part without a frame of its own lies where it lies in an upright person, in the frame of the whole.

    Args:
        joints: (n, 17, 3), pixels.

    Returns:
        matrices (n, 4, 2, 3) in the order of `PARTS`, in pixels; bool (n,), whose whole frame is known; logits (n, 4)
        of what is seen.
    """
    column = joints.cpu().numpy()
    frames, known = part_frames(column)
    whole = frames[:, WHOLE]
    for row, (wide, high, _, below) in enumerate(SQUARE_PRIORS.values()):  # in the order of `PARTS`
        up, size = whole[:, 2:4], whole[:, 4:5]
        instead = np.concatenate([whole[:, :2] - below * size * up, up, high * size, wide * size], axis=1)
        frames[:, row] = np.where(known[:, row, None], frames[:, row], instead)
    seen = np.where(parts_seen(column) > 0, SURE, -SURE)
    return (
        torch.from_numpy(frame_matrices(frames)).float(),
        torch.from_numpy(known[:, WHOLE]),
        torch.from_numpy(seen).float(),
    )


def in_regions(matrices: Tensor, boxes: Tensor) -> Tensor:
    """Theta (R, 4, 6) in the square frames of regions (R, 4), row by row, of matrices (R, 4, 2, 3) in pixels."""
    centre = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None, :, None]
    half = ((boxes[:, 2:] - boxes[:, :2]) / 2).amax(dim=1).clamp(min=1e-3)[:, None, None, None]
    moved = torch.cat([matrices[..., :2], matrices[..., 2:] - centre], dim=-1)
    return (moved / half).flatten(2)


def places(boxes: Tensor, scene: Tensor) -> Tensor:
    """Where regions lie among all, (R, 5): near ones may exchange poses.

    Args:
        boxes: (R, 4).
        scene: (R, 2), degrees that the scene is turned by, and whether it is rendered, 1 or 0.
    """
    width, height = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3).unbind(1)
    angle = torch.deg2rad(scene[:, 0])
    columns = [(width / height).log() / ASPECT, (width * height).log() / 2 / SIZE, angle.cos() / TURN]
    return torch.stack([*columns, angle.sin() / TURN, FAR * scene[:, 1]], dim=1)


def scene_of(target: Target) -> Tensor:
    """(2,), as `places` takes it; of data sets that are not mixed all scenes are alike."""
    return torch.stack([target["turn"], target.get("rendered", torch.zeros(()))])


@dataclass(frozen=True)
class Donors:
    """Regions of people, whose poses others are given.

    Attributes:
        boxes: (D, 4), and scene (D, 2) as `places` takes it.
        theta: (D, 4, 6), in the square frames of the regions.
        seen: (D, 4), logits.
    """

    boxes: Tensor
    scene: Tensor
    theta: Tensor
    seen: Tensor

    @classmethod
    def gathered(
        cls, detector: Detector, pictures: Iterable[tuple[Tensor, Target]], *, resized: bool, seed: int = 0
    ) -> Donors:
        """Those of a detector's proposals, and their mirror images.

        Args:
            detector: whose first stage proposes.
            pictures: images uint8 (3, H, W) and their targets.
            resized: whether these are training pictures: as large as the detector wants them, and with people's own
                boxes among the regions.
            seed: of the choice where a picture has more than `MOST`.
        """
        draw = torch.Generator().manual_seed(seed)
        kept = []
        for image, target in pictures:
            boxes, target = proposed(detector, image, target, resized=resized)
            found = TruePoses.of(target)
            if resized:
                boxes = torch.cat([boxes, found.boxes])
            person, overlap = found.nearest(boxes)
            rows = torch.nonzero((overlap >= MATCHED) & found.known[person])[:, 0] if len(found.known) else person[:0]
            rows = rows[torch.randperm(len(rows), generator=draw)[:MOST]]
            theta = in_regions(found.matrices[person[rows]], boxes[rows])
            kept.append((boxes[rows], found.scene.expand(len(rows), 2), theta, found.seen[person[rows]]))
        boxes, scene, theta, seen = (torch.cat(column) for column in zip(*kept, strict=True))
        if not len(boxes):
            raise InputError("nobody with joints was found, so that an oracle has no pose: use pictures with keypoints")
        return cls.of_regions(boxes, scene, theta, seen)

    @classmethod
    def of_regions(cls, boxes: Tensor, scene: Tensor, theta: Tensor, seen: Tensor) -> Donors:
        """These regions and their mirror images."""
        flipped = theta * theta.new_tensor([1.0, -1.0, -1.0, -1.0, 1.0, 1.0])
        scenes = torch.cat([scene, scene * scene.new_tensor([-1.0, 1.0])])
        return cls(boxes.repeat(2, 1), scenes, torch.cat([theta, flipped]), seen.repeat(2, 1))

    def drawn(self, boxes: Tensor, scene: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Poses for regions (R, 4) of scenes (R, 2), as `places` takes them: theta (R, 4, 6) and logits (R, 4)."""
        distance = torch.cdist(places(boxes, scene), places(self.boxes, self.scene))
        nearest = distance.topk(min(NEIGHBOURS, len(self.boxes)), largest=False).indices
        pick = torch.randint(nearest.shape[1], (len(boxes), 1), generator=generator)
        rows = nearest.gather(1, pick)[:, 0]
        return self.theta[rows], self.seen[rows]


@dataclass(frozen=True)
class TruePoses:
    """The people of one picture: boxes (n, 4), matrices (n, 4, 2, 3), known (n,), seen (n, 4); their scene (2,)."""

    boxes: Tensor
    matrices: Tensor
    known: Tensor
    seen: Tensor
    scene: Tensor

    @classmethod
    def of(cls, target: Target) -> TruePoses:
        people = ~target["ignore"]
        return cls(target["boxes"][people].float(), *people_frames(target["keypoints"][people]), scene_of(target))

    def nearest(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """The person that each region (R, 4) overlaps most, and by how much; 0 where there is nobody."""
        if not len(self.boxes):
            return torch.zeros(len(boxes), dtype=torch.int64), boxes.new_zeros(len(boxes))
        overlap, person = box_iou(boxes, self.boxes).max(dim=1)
        return person, overlap

    def posed(self, boxes: Tensor, donors: Donors, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Theta (R, 4, 6) and what is seen (R, 4) of regions, as the module says."""
        theta, seen = donors.drawn(boxes, self.scene.expand(len(boxes), 2), generator)
        person, overlap = self.nearest(boxes)
        rows = torch.nonzero(overlap >= NEAR)[:, 0]
        rows = rows[self.known[person[rows]]]
        theta[rows] = in_regions(self.matrices[person[rows]], boxes[rows])
        seen[rows] = self.seen[person[rows]]
        return theta, seen


@torch.inference_mode()
def proposed(detector: Detector, image: Tensor, target: Target, *, resized: bool) -> tuple[Tensor, Target]:
    """The first stage's proposals (R, 4) of a picture, and its target in the same pixels."""
    detector.eval()
    detector.transform.train(resized)
    images, targets = detector.transform([image / 255], [usable(target)])
    [proposals], _ = detector.rpn(images, detector.backbone(images.tensors))
    detector.transform.eval()
    [boxes] = region_boxes([proposals])
    assert targets is not None
    return boxes.float(), targets[0]


def usable(target: Target) -> Target:
    """The target without boxes of no area, which torchvision refuses."""
    kept = (target["boxes"][:, 2:] > target["boxes"][:, :2]).all(dim=1)
    return target | {name: target[name][kept] for name in ("boxes", "labels", "ignore", "keypoints")}


def background(boxes: Tensor, target: Target) -> Tensor:
    """Which regions (R, 4) show nobody: they overlap no person by `NEAR`, and do not lie on ignore regions."""
    _, overlap = TruePoses.of(target).nearest(boxes)
    return (overlap < NEAR) & ~inside_ignored(boxes, target)


class OraclePool(PoseNormalisingPool):
    """A pool whose transformers are told the pose; `donors` is set by whoever uses it.

    Args:
        pool: that it takes the place of, taught and affine.
        settings: of the detector.
    """

    def __init__(self, pool: PoseNormalisingPool, settings: Settings) -> None:
        priors = [pool.transformation.window(*SQUARE_PRIORS[part]) for part in settings.parts]
        super().__init__(
            pool.names,
            pool.strides,
            settings.channels,
            settings.pool_size,
            pool.transformation,
            priors,
            settings.glance_size,
            settings.glance_channels,
            settings.bin_samples,
            taught=True,
        )
        self.localisation = pool.localisation
        assert settings.parts == PARTS, "the true frames come in this order"
        self.donors: Donors | None = None
        self.generator: torch.Generator | None = None  # None: torch's own, as a training wants it
        self.told: list[TruePoses] = []

    def tell(self, targets: list[Target]) -> None:
        """Who stands in the pictures of the next call."""
        self.told = [TruePoses.of(target) for target in targets]

    def look(self, features: dict[str, Tensor], boxes: list[Tensor], regions: Regions | None = None) -> Pose:
        assert self.donors is not None, "an oracle needs donors"
        regions = self.assigned(boxes) if regions is None else regions
        frames = regions.squared()
        found = [
            true.posed(own.float(), self.donors, self.generator) for true, own in zip(self.told, boxes, strict=True)
        ]
        theta, seen = (torch.cat(column) for column in zip(*found, strict=True))
        return Pose(theta, frames.centre, frames.half, seen, regions.half / frames.half)


def make_oracle(model: Detector) -> None:
    """Replace the pool of a taught detector by one that is told the targets that the detector is given."""
    pool = model.pool
    assert isinstance(pool, PoseNormalisingPool)
    oracle = OraclePool(pool, model.settings)
    model.roi_heads.box_roi_pool = oracle

    def tell(_: torch.nn.Module, given: tuple[Any, ...]) -> None:
        oracle.tell(given[3])

    model.roi_heads.register_forward_pre_hook(tell)
