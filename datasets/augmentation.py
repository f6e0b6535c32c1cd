"""Training augmentation through albumentations."""

from __future__ import annotations

import os
from dataclasses import replace

import cv2
import numpy as np

from upright.datasets.sample import Sample

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # no look at the network on import
import albumentations as A

MEAN_COLOUR = (124, 116, 104)  # of ImageNet: zero after normalisation
SCALES = tuple(np.geomspace(0.55, 1.35, 12).round(3).tolist())
LEAST_LEFT = 0.35  # of a person's area: whom a crop leaves less of cannot be judged


class Augmentation:
    """Random scale, crop, flip, light and damage; boxes and visible boxes move together.

    Args:
        side: shortest side of a picture at scale 1, pixels.
        crop: (height, width) of a landscape result; portrait pictures get (width, height).
        min_height: people lower than this many pixels in the result become ignore regions.
    """

    def __init__(self, side: int, crop: tuple[int, int], min_height: float) -> None:
        self.min_height = min_height
        sides = [round(side * scale) for scale in SCALES]
        self._resize = composed([A.SmallestMaxSize(sides, area_for_downscale="image")])
        self._landscape = composed(crop_and_vary(*crop))
        self._portrait = composed(crop_and_vary(*crop[::-1]))

    def __call__(self, sample: Sample, seed: int) -> Sample:
        """The same sample and seed give the same result, in any process."""
        height, width = sample.image.shape[:2]
        n = len(sample.boxes)
        both = np.concatenate([sample.boxes, sample.visible]).reshape(-1, 4)
        image, both = apply(self._resize, seed, sample.image, both)
        full_area = area(both[:n])
        image, both = apply(self._landscape if width >= height else self._portrait, seed, image, both)
        boxes = both[:n]
        kept = area(boxes) > 0
        unclear = (boxes[:, 3] - boxes[:, 1] < self.min_height) | (area(boxes) < LEAST_LEFT * full_area)
        return replace(
            sample,
            image=image,
            boxes=boxes[kept],
            visible=both[n:][kept],
            ignore=(sample.ignore | unclear)[kept],
            visible_ratio=sample.visible_ratio[kept],
            attributes={name: values[kept] for name, values in sample.attributes.items()},
        )


def composed(transforms: list[A.BasicTransform]) -> A.Compose:
    return A.Compose(transforms, bbox_params=A.BboxParams(format="pascal_voc", label_fields=["rows"]))


def crop_and_vary(height: int, width: int) -> list[A.BasicTransform]:
    return [
        A.PadIfNeeded(height, width, position="random", border_mode=cv2.BORDER_CONSTANT, fill=MEAN_COLOUR),
        A.AtLeastOneBBoxRandomCrop(height, width, erosion_factor=0.2),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=(0.6, 1.4), contrast=(0.7, 1.3), saturation=(0.4, 1.4), hue=(-0.04, 0.04), p=0.7),
        A.ToGray(p=0.05),
        A.OneOf(
            [
                A.GaussianBlur(blur_limit=(3, 5)),
                A.MotionBlur(blur_limit=(3, 7)),
                A.GaussNoise(std_range=(0.01, 0.06)),
                A.ImageCompression(quality_range=(30, 80)),
            ],
            p=0.2,
        ),
    ]


def apply(pipeline: A.Compose, seed: int, image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pipeline's picture and boxes float32 (n, 4), in the order given; all zero where a box is gone."""
    pipeline.set_random_seed(seed)
    rows = np.nonzero(((boxes[:, 2:] - boxes[:, :2]) > 0).all(axis=1))[0]  # albumentations refuses empty boxes
    result = pipeline(image=image, bboxes=boxes[rows], rows=rows)
    moved = np.zeros((len(boxes), 4), np.float32)
    moved[np.asarray(result["rows"], np.int64)] = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
    return result["image"], moved


def area(boxes: np.ndarray) -> np.ndarray:
    """(n,) of boxes (n, 4), x1 y1 x2 y2."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
