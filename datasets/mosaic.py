"""Mosaics: four pictures in one, each of half the sides (Bochkovskiy et al. 2020, *YOLOv4*, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from upright.datasets.joints import moved_joints
from upright.datasets.outlines import moved_outlines
from upright.datasets.sample import Sample


def mosaic(samples: Sequence[Sample]) -> Sample:
    """One sample of four: top left, top right, bottom left, bottom right.

    Args:
        samples: four, whose images have the same size.

    Returns:
        A sample of twice the sides, people in the order of the four; attributes that all four have; id and path of
        the first.
    """
    height, width = samples[0].image.shape[:2]
    moved = []
    for number, sample in enumerate(samples):
        x, y = width * (number % 2), height * (number // 2)
        shift = np.array(((1, 0, x), (0, 1, y)), np.float64)
        corner = np.array((x, y, x, y), np.float32)
        moved.append(
            replace(
                sample,
                boxes=sample.boxes + corner,
                visible=sample.visible + corner,
                joints=moved_joints(sample.joints, shift, 2 * width, 2 * height),
                outlines=moved_outlines(sample.outlines, shift, 2 * width, 2 * height),
            )
        )
    upper, lower = (np.concatenate([one.image for one in half], axis=1) for half in (samples[:2], samples[2:]))
    shared = set.intersection(*(set(sample.attributes) for sample in samples))

    def joined(column: str) -> np.ndarray:
        return np.concatenate([getattr(one, column) for one in moved])

    return replace(
        samples[0],
        image=np.concatenate([upper, lower], axis=0),
        attributes={name: np.concatenate([m.attributes[name] for m in moved]) for name in sorted(shared)},
        boxes=joined("boxes"),
        visible=joined("visible"),
        ignore=joined("ignore"),
        visible_ratio=joined("visible_ratio"),
        joints=joined("joints"),
        outlines=joined("outlines"),
    )
