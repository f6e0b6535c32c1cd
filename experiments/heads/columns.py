"""What the detectors are measured on: rendered people, photographs turned by several angles, fisheye pictures."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from upright.datasets.batches import to_tensors
from upright.datasets.hold_out import DatasetRows
from upright.datasets.part_frames import WHOLE, part_frames
from upright.datasets.registry import open_dataset
from upright.datasets.sample import Annotations, PedestrianDataset
from upright.datasets.turned import TurnedPedestrians
from upright.detector.detected import boxes_xywh
from upright.detector.evaluation import Detections, evaluate
from upright.detector.evaluation.coco import coco_ap
from upright.detector.evaluation.miss_rate import Comparison
from upright.detector.evaluation.protocols import CITYPERSONS, Subset
from upright.detector.model import Detector
from upright.experiments.heads.oracle import Donors, OraclePool, usable

ROLLS = (0, 45, 180)
TURNS = (30, 60, 90, 180)
AS_IT_IS = "photographs"
FISHEYE = "fisheye"
LEAN_STEP = 15
SUBSETS = ("Reasonable", "Heavy", "All")
# At every angle the same people: whoever lies has a low box. What is too small or hidden is ignored, not left out.
LONGER_SIDE, LEAST_VISIBLE = 50, 0.65
ANY_HEIGHT = Subset((0, 1e10), (0, 1e10))


@dataclass(frozen=True)
class Column:
    """Pictures to measure on.

    Attributes:
        pictures: the data set.
        same: the annotations that the curve over the angle is drawn by, where they are not those of `pictures`.
        joints: whether true poses are known.
    """

    pictures: PedestrianDataset
    same: Annotations | None = None
    joints: bool = True


def columns(options: argparse.Namespace) -> dict[str, Column]:
    """All columns by name; photographs and fisheye pictures where the command line names their folders."""
    found = {}
    for roll in ROLLS:
        rendered = open_dataset("synthetic", split="val", length=options.val_rendered, roll=float(roll), poses="all")
        found[rolled(roll)] = Column(rendered)
    if options.root:
        plain = every(open_dataset("coco", options.root, "val", annotations=options.val_annotations), options.every)
        found[AS_IT_IS] = Column(plain, TurnedPedestrians(plain, 0).annotations)
        for degrees in TURNS:
            found[turned(degrees)] = Column(TurnedPedestrians(plain, degrees))
    if options.fisheye:
        found[FISHEYE] = Column(open_dataset("coco", options.fisheye, annotations=["boxes.json"]), joints=False)
    return found


def every(dataset: PedestrianDataset, n: int) -> PedestrianDataset:
    """Every nth picture."""
    return dataset if n == 1 else DatasetRows(dataset, np.arange(0, len(dataset), n))


def rolled(roll: int) -> str:
    return f"rendered, roll {roll}"


def turned(degrees: int) -> str:
    return f"photographs, turned {degrees}" if degrees else AS_IT_IS


def donors_of(start: Detector, column: Column) -> Donors:
    """Poses for whatever shows nobody in these pictures, of the people in them."""
    samples = (column.pictures[i] for i in tqdm(range(len(column.pictures)), desc="poses", leave=False))
    return Donors.gathered(start, map(to_tensors, samples), resized=False)


@torch.inference_mode()
def detect_side_by_side(models: Mapping[str, Detector], column: Column) -> dict[str, Detections]:
    """What each detector finds; oracles are told the joints.

    Args:
        models: by name, in evaluation mode; oracles with donors of this column.
        column: to measure on.
    """
    found: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in models}
    for index in tqdm(range(len(column.pictures)), desc="detecting", leave=False):
        image, target = to_tensors(column.pictures[index])
        for name, model in models.items():
            targets = None
            if isinstance(model.pool, OraclePool):
                model.pool.generator = torch.Generator().manual_seed(index)
                targets = [usable(target)]
            [output] = model([image / 255], targets)
            found[name].append({key: value.numpy() for key, value in output.items()})
    return {name: as_detections(outputs) for name, outputs in found.items()}


def as_detections(outputs: list[dict[str, np.ndarray]]) -> Detections:
    counts = [len(one["scores"]) for one in outputs]
    return Detections(
        image_index=np.repeat(np.arange(len(counts)), counts),
        boxes=np.concatenate([boxes_xywh(one["boxes"]) for one in outputs]),
        scores=np.concatenate([one["scores"].astype(np.float64) for one in outputs]),
    )


def figures(column: Column, detections: Detections) -> dict[str, Any]:
    """What is measured on a column.

    Returns:
        the log-average miss rate of each of `SUBSETS` by its name; "same people", that of people whose box has a longer
        side of `LONGER_SIDE` pixels and who are mostly visible; "leans", the same by the lean in steps, where it is
        known; "posed", the same of people whose joints give a pose; "AP", "AP50"; "people", how many each miss rate
        counts. None where there is nobody.
    """
    annotations = column.pictures.annotations
    subsets = evaluate(annotations, detections, subsets=SUBSETS).subsets
    rates = {name: known(one.lamr_corrected) for name, one in subsets.items()}
    people = {name: one.ground_truths for name, one in subsets.items()}
    same = column.same or annotations
    groups = {"same people": np.ones(len(same.boxes), bool), "posed": part_frames(same.joints)[1][:, WHOLE]}
    by_group = miss_rates(same, detections, groups | lean_groups(same))
    for name in groups:
        rates[name], people[name] = by_group.pop(name)
    ap = coco_ap(annotations, detections)
    return {
        **rates,
        "AP": ap["AP"],
        "AP50": ap["AP50"],
        "leans": {name: rate for name, (rate, _) in by_group.items()},
        "people": people | {name: count for name, (_, count) in by_group.items()},
    }


def lean_groups(annotations: Annotations) -> dict[str, np.ndarray]:
    """Who leans how far to either side, bool (n,) for each step of `LEAN_STEP` degrees; none where nobody knows."""
    if "lean" not in annotations.attributes:
        return {}
    lean = np.abs(np.asarray(annotations.attributes["lean"], np.float64))
    steps = range(0, 180, LEAN_STEP)
    return {
        f"{low} to {low + LEAN_STEP}": (lean >= low) & ((lean < low + LEAN_STEP) | (low + LEAN_STEP == 180))
        for low in steps
    }


def miss_rates(
    annotations: Annotations, detections: Detections, groups: Mapping[str, np.ndarray]
) -> dict[str, tuple[float | None, int]]:
    """Log-average miss rate of each group, bool (n,), and how many count; everybody else is ignored."""
    comparison = Comparison.of(annotations, detections, CITYPERSONS)
    row = comparison.truths.row
    counts = (annotations.boxes[row, 2:].max(axis=1) >= LONGER_SIDE) & (annotations.visible_ratio[row] >= LEAST_VISIBLE)
    counts &= comparison.truths.candidate
    results = comparison.figures([(ANY_HEIGHT, counts & group[row]) for group in groups.values()])
    return {name: (known(one.lamr_corrected), one.ground_truths) for name, one in zip(groups, results, strict=True)}


def known(value: float) -> float | None:
    return None if np.isnan(value) else value
