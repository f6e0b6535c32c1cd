"""Does the oracle's pose give people away? A judge sees the pose, no picture, and must tell people from the rest.

    python experiments/heads/pose_control.py --weights FIRST.safetensors --root PICTURES \\
        --document docs/head.md --figures docs/head.json
    python experiments/heads/pose_control.py --quick

Regions of the first stage's proposals: people (overlap of 0.5 or more with somebody whose joints are known) and the
rest (nobody there), each of a person with one of the rest that is near in shape, size and turn of the scene, so that
these tell nothing. A small network learns from one set of pictures and is asked about another; 0.5 of the area under
its curve is chance. It sees theta of all parts, what is seen, shape, size, and the turn of the scene. Three rules:

- matched: the rest is posed as `oracle.py` says;
- anybody: the rest has the pose of anybody, whatever the shape of the region and the turn of the scene (the trap);
- prior: the rest has no pose but upright in its region.

The second and third show that the judge finds what there is to find.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from upright.datasets.batches import to_tensors
from upright.datasets.registry import open_dataset
from upright.datasets.sample import PedestrianDataset, Sample
from upright.datasets.turning import turned_sample
from upright.detector.model import Detector
from upright.detector.person_priors import SQUARE_PRIORS
from upright.detector.spatial_transformer import Affine
from upright.detector.weights import RELEASED, load_detector
from upright.errors import InputError
from upright.experiments.harness import add_arguments, command, parsed, positive, spread, write_places
from upright.experiments.heads.oracle import (
    MATCHED,
    Donors,
    Target,
    TruePoses,
    background,
    in_regions,
    places,
    proposed,
    usable,
)
from upright.tools.command import run
from upright.tools.report import table

BLOCK = "control"
RULES = {
    "matched": "as the oracle poses them",
    "anybody": "the pose of anybody",
    "prior": "upright in its region",
}
WIDTH, RATE, BATCH = 64, 1e-3, 256
MOST_REST = 60  # regions without anybody that are kept of a picture


@dataclass(frozen=True)
class Evidence:
    """What a judge may see.

    Attributes:
        boxes, scene, theta, seen: (R, 4), (R, 2), (R, 4, 6) and (R, 4), of people.
        rest, rest_scene: (R, 4) and (R, 2), a region without anybody for each of them.
        donors: whose poses the rest is given.
    """

    boxes: Tensor
    scene: Tensor
    theta: Tensor
    seen: Tensor
    rest: Tensor
    rest_scene: Tensor
    donors: Donors

    def judged(self, rule: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Features (2 R, F) and truth (2 R,), people first."""
        count = len(self.boxes)
        if rule == "matched":
            theta, seen = self.donors.drawn(self.rest, self.rest_scene, generator)
        elif rule == "anybody":
            rows = torch.randint(len(self.donors.boxes), (count,), generator=generator)
            theta, seen = self.donors.theta[rows], self.donors.seen[rows]
        else:
            window = torch.stack([Affine().window(*prior) for prior in SQUARE_PRIORS.values()])
            theta, seen = window.expand(count, *window.shape), self.seen[torch.randperm(count, generator=generator)]
        people = features(self.boxes, self.scene, self.theta, self.seen)
        others = features(self.rest, self.rest_scene, theta, seen)
        truth = torch.cat([torch.ones(count), torch.zeros(count)])
        return torch.cat([people, others]), truth


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(p, steps=600, output="runs/heads")
    p.add_argument("--weights", type=Path, default=RELEASED, metavar="FILE", help="whose first stage proposes")
    p.add_argument("--root", metavar="PICTURES", help="folder of photographs with COCO-style files with joints")
    p.add_argument("--annotations", nargs="+", default=["coco_train.json", "coco2_train.json"], metavar="FILE")
    p.add_argument("--val-annotations", nargs="+", default=["coco_val2017.json"], metavar="FILE")
    p.add_argument("--pictures", type=positive, default=200, metavar="N", help="of each set, at most (default 200)")
    options = parsed(p, BLOCK, {"steps": 20, "pictures": 4})
    detector = load_detector(options.weights)
    results = {name: control(detector, *sets, options) for name, sets in cases(options).items()}
    report = [command("--root", "--weights", "--output"), "", *lines(results, options)]
    print("\n".join(report))
    write_places(options, BLOCK, report, results)


def cases(options: argparse.Namespace) -> dict[str, tuple[Iterable[Sample], Iterable[Sample]]]:
    """By name, samples to learn from and samples to be asked about."""
    found = {}
    for roll in (0.0, 180.0):
        learnt, asked = (
            samples(open_dataset("synthetic", split=split, length=options.pictures, roll=roll, poses="all"))
            for split in ("train", "val")
        )
        found[f"rendered, roll {roll:g}"] = (learnt, asked)
    if options.root:
        photographs = [
            open_dataset("coco", options.root, annotations=files)
            for files in (options.annotations, options.val_annotations)
        ]
        for most in (0.0, 180.0):
            name = "photographs, turned by any angle" if most else "photographs"
            learnt, asked = (with_joints(one, options.pictures, most) for one in photographs)
            found[name] = (learnt, asked)
    return found


def samples(dataset: PedestrianDataset) -> Iterable[Sample]:
    return (dataset[i] for i in range(len(dataset)))


def with_joints(dataset: PedestrianDataset, most: int, turn: float) -> Iterable[Sample]:
    """At most so many pictures of people with joints, each turned by an angle of its own within +- `turn` degrees."""
    annotations = dataset.annotations
    rows = sorted(set(annotations.image_index[(annotations.joints[..., 2] > 0).any(axis=1)].tolist()))
    if not rows:
        raise InputError("nobody in these photographs has joints: give annotations with keypoints")
    draw = torch.Generator().manual_seed(0)
    for row in rows[:: max(1, len(rows) // most)]:
        angle = (2 * float(torch.rand((), generator=draw)) - 1) * turn
        yield turned_sample(dataset[row], angle) if turn else dataset[row]


def control(
    detector: Detector, learnt: Iterable[Sample], asked: Iterable[Sample], options: argparse.Namespace
) -> dict[str, Any]:
    """The areas under the curve by rule, one a seed, and how many people were asked about."""
    evidence = [gathered(detector, one) for one in (learnt, asked)]
    areas: dict[str, list[float]] = {rule: [] for rule in RULES}
    for rule in RULES:
        for seed in range(options.seeds):
            generator = torch.Generator().manual_seed(seed)
            torch.manual_seed(seed)
            judge = trained(*evidence[0].judged(rule, generator), options.steps, generator)
            features_, truth = evidence[1].judged(rule, generator)
            with torch.inference_mode():
                areas[rule].append(area_under_curve(judge(features_)[:, 0], truth))
    return {"areas": areas, "people": len(evidence[1].boxes)}


@torch.inference_mode()
def gathered(detector: Detector, pictures: Iterable[Sample]) -> Evidence:
    """The evidence of pictures; donors are the people in them, as where a detector is measured."""
    people, rest = [], []
    draw = torch.Generator().manual_seed(0)
    for sample in tqdm(pictures, desc="regions", leave=False):
        image, target = to_tensors(sample)
        boxes, target = proposed(detector, image, usable(target), resized=False)
        people.append(posed_people(boxes, target))
        nobody = boxes[background(boxes, target)]
        nobody = nobody[torch.randperm(len(nobody), generator=draw)[:MOST_REST]]
        rest.append((nobody, TruePoses.of(target).scene.expand(len(nobody), 2)))
    boxes, scene, theta, seen = (torch.cat(column) for column in zip(*people, strict=True))
    rest_boxes, rest_scene = (torch.cat(column) for column in zip(*rest, strict=True))
    chosen, partner = paired(places(boxes, scene), places(rest_boxes, rest_scene))
    return Evidence(
        boxes[chosen],
        scene[chosen],
        theta[chosen],
        seen[chosen],
        rest_boxes[partner],
        rest_scene[partner],
        Donors.of_regions(boxes, scene, theta, seen),
    )


def posed_people(boxes: Tensor, target: Target) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of the regions (R, 4) of a picture those of people with a pose: boxes, scene, theta, seen."""
    true = TruePoses.of(target)
    person, overlap = true.nearest(boxes)
    rows = torch.nonzero(overlap >= MATCHED)[:, 0]
    rows = rows[true.known[person[rows]]]
    theta = in_regions(true.matrices[person[rows]], boxes[rows])
    return boxes[rows], true.scene.expand(len(rows), 2), theta, true.seen[person[rows]]


def paired(first: Tensor, second: Tensor, limit: float = 1.0) -> tuple[Tensor, Tensor]:
    """Rows of `first` and of `second`, each taken once, whose distance is under `limit`; near pairs first."""
    distance = torch.cdist(first, second)
    order = distance.amin(dim=1).argsort()
    chosen, partners = [], []
    for row in order.tolist():
        partner = int(distance[row].argmin())
        if distance[row, partner] < limit:
            chosen.append(row)
            partners.append(partner)
            distance[:, partner] = torch.inf
    return torch.tensor(chosen, dtype=torch.int64), torch.tensor(partners, dtype=torch.int64)


def features(boxes: Tensor, scene: Tensor, theta: Tensor, seen: Tensor) -> Tensor:
    """What a judge sees of regions, (R, F)."""
    return torch.cat([places(boxes, scene)[:, :4] / 5, theta.flatten(1), seen.sigmoid()], dim=1)


def trained(inputs: Tensor, truth: Tensor, steps: int, generator: torch.Generator) -> nn.Module:
    """A judge of two hidden layers."""
    judge = nn.Sequential(
        nn.Linear(inputs.shape[1], WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1)
    )
    optimizer = torch.optim.AdamW(judge.parameters(), lr=RATE, weight_decay=0.01)
    for _ in range(steps):
        rows = torch.randint(len(inputs), (BATCH,), generator=generator)
        loss = binary_cross_entropy_with_logits(judge(inputs[rows])[:, 0], truth[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return judge


def area_under_curve(scores: Tensor, truth: Tensor) -> float:
    """Share of pairs of a person and another in which the person has the higher score; equal ones count a half."""
    right, wrong = scores[truth > 0], scores[truth == 0]
    above = torch.searchsorted(wrong.sort().values, right).double()
    upto = torch.searchsorted(wrong.sort().values, right, right=True).double()
    return float((above + upto).sum() / (2 * len(right) * len(wrong)))


def lines(results: dict[str, Any], options: argparse.Namespace) -> list[str]:
    body = [
        [name, str(one["people"]), *(spread(one["areas"][rule], 3) for rule in RULES)] for name, one in results.items()
    ]
    return [
        f"Area under the curve of a judge without a picture, {options.steps} steps, mean of {options.seeds} seeds "
        "(smallest to largest); the rest is posed:",
        "",
        *table(["pictures", "people", *RULES.values()], body),
    ]


if __name__ == "__main__":
    run(main)
