"""Training augmentation through albumentations."""

from __future__ import annotations

import os
from dataclasses import replace

import cv2
import numpy as np

from upright.datasets.joints import moved_joints
from upright.datasets.outlines import moved_outlines
from upright.datasets.sample import Sample
from upright.datasets.turning import MEAN_COLOUR, free_angle, turned_sample
from upright.errors import InputError

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # no look at the network on import
import albumentations as A

SCALES = tuple(np.geomspace(0.5, 1.25, 12).round(3).tolist())
REACH = 1024  # a power of two, so that moves by whole pixels are recovered exactly
CORNER = np.array(((0, 0), (REACH, 0), (0, REACH)), np.float32)  # three points whose places after a move tell the move
TURNS = 1  # the random numbers of the turn are a stream of their own: without a turn the others stay the same
LEAST_LEFT = 0.35  # of a person's area: whom a crop leaves less of cannot be judged


class Augmentation:
    """Random scale, turn, crop, flip, light and damage; boxes, visible boxes, joints and outlines move together.

    Args:
        side: shortest side of a picture at scale 1, pixels.
        crop: (height, width) of a landscape result; portrait pictures get (width, height).
        min_height: people lower than this many pixels in the result become ignore regions.
        turn: pictures are turned by up to this many degrees either way (`turning.free_angle` says how), before they
            are cropped; 0 turns none.

    Raises:
        InputError: a turn that is not between 0 and 180 degrees.
    """

    def __init__(self, side: int, crop: tuple[int, int], min_height: float, turn: float = 0) -> None:
        if not 0 <= turn <= 180:
            raise InputError(f"a turn of up to {turn:g} degrees is not possible: use 0 to 180")
        self.min_height = min_height
        self.turn = turn
        sides = [round(side * scale) for scale in SCALES]
        self._resize = composed([A.SmallestMaxSize(sides, area_for_downscale="image")])
        self._landscape = composed(crop_and_vary(*crop))
        self._portrait = composed(crop_and_vary(*crop[::-1]))

    def __call__(self, sample: Sample, seed: int, portrait: bool | None = None) -> Sample:
        """The same sample and seed give the same result, in any process.

        Args:
            sample: to vary.
            seed: of what is drawn.
            portrait: whether the result is; None: as the sample is.
        """
        if portrait is None:
            portrait = sample.image.shape[0] > sample.image.shape[1]
        sample = moved(self._resize, seed, sample, scales=True)
        if self.turn:
            angle = free_angle(sample, np.random.default_rng([seed, TURNS]), self.turn)
            sample = turned_sample(sample, angle)
        full_area = area(sample.boxes)
        sample = moved(self._portrait if portrait else self._landscape, seed, sample)
        kept = area(sample.boxes) > 0
        low = sample.boxes[:, 3] - sample.boxes[:, 1] < self.min_height
        unclear = low | (area(sample.boxes) < LEAST_LEFT * full_area)
        return replace(sample, ignore=sample.ignore | unclear).rows(kept)


def moved(pipeline: A.Compose, seed: int, sample: Sample, *, scales: bool = False) -> Sample:
    """The sample through a pipeline that either scales or crops, pads and mirrors; a box that is gone is all zero."""
    n = len(sample.boxes)
    boxes = np.concatenate([sample.boxes, sample.visible]).reshape(-1, 4)
    image, boxes, matrix = apply(pipeline, seed, sample.image, boxes)
    if scales:  # points are scaled by the ratio wished for, boxes by that of whole pixels
        matrix = scaling(sample.image, image)
    height, width = image.shape[:2]
    attributes = dict(sample.attributes)
    mirrored = np.linalg.det(matrix[:, :2]) < 0
    if "lean" in attributes and mirrored:
        attributes["lean"] = -attributes["lean"]
    return replace(
        sample,
        image=image,
        boxes=boxes[:n],
        visible=boxes[n:],
        attributes=attributes,
        joints=moved_joints(sample.joints, matrix, width, height),
        outlines=moved_outlines(sample.outlines, matrix, width, height),
        turn=-sample.turn if mirrored else sample.turn,
    )


def composed(transforms: list[A.BasicTransform]) -> A.Compose:
    return A.Compose(
        transforms,
        bbox_params=A.BboxParams(format="pascal_voc", label_fields=["rows"]),
        keypoint_params=A.KeypointParams(format="xy", remove_invisible=False),
    )


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


def apply(
    pipeline: A.Compose, seed: int, image: np.ndarray, boxes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pipeline's picture; boxes float32 (n, 4), in the order given, all zero where one is gone; matrix (2, 3)."""
    pipeline.set_random_seed(seed)
    rows = np.nonzero(((boxes[:, 2:] - boxes[:, :2]) > 0).all(axis=1))[0]  # albumentations refuses empty boxes
    result = pipeline(image=image, bboxes=boxes[rows], rows=rows, keypoints=CORNER)
    placed = np.zeros((len(boxes), 4), np.float32)
    placed[np.asarray(result["rows"], np.int64)] = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
    return result["image"], placed, affine(np.asarray(result["keypoints"], np.float64))


def affine(corner: np.ndarray) -> np.ndarray:
    """The matrix (2, 3) for boxes of the crop, padding and mirroring that moved `CORNER` to these points (3, 2).

    albumentations moves points as indices of pixels and boxes as their edges: mirrored, edges come a pixel farther.
    """
    linear = (corner[1:] - corner[0]).T / REACH
    shift = corner[0] + (np.diag(linear) < 0)
    return np.concatenate([linear, shift[:, None]], axis=1)


def scaling(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The matrix (2, 3) from one picture to the same in another size."""
    return np.diag((new.shape[1] / old.shape[1], new.shape[0] / old.shape[0], 0))[:2]


def area(boxes: np.ndarray) -> np.ndarray:
    """(n,) of boxes (n, 4), x1 y1 x2 y2."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
