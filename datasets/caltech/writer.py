"""Write any pictures with people in the very layout of Caltech, for tests and for users' own videos.

from upright.datasets.caltech.writer import write_caltech
from upright.datasets.synthetic import SyntheticPedestrians
write_caltech(SyntheticPedestrians("test", length=20), "/tmp/caltech", part=6)
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from upright.datasets.caltech.annotations import NEW_TEST, NEW_TRAIN, PERSON, TEN_TIMES
from upright.datasets.caltech.bbgt import FrameAnnotation, write_bbgt
from upright.datasets.caltech.seq import SeqWriter
from upright.datasets.caltech.vbb import VideoAnnotation, write_vbb
from upright.datasets.sample import Annotations, PedestrianDataset
from upright.errors import InputError

GREY = 128


def write_caltech(
    dataset: PedestrianDataset,
    root: str | Path,
    part: int,
    *,
    step: int = 30,
    images_per_video: int = 60,
    quality: int = 90,
) -> None:
    """Write a data set as one of Caltech's sets: .seq, .vbb and the text files of the new annotations.

    Picture i is frame step (i + 1) of the video, counted from 1, so that `every=step` reads the pictures alone; the
    frames between are plain grey and empty.

    Args:
        dataset: pictures of one size. Boxes of its annotations count from 0.
        root: the folder; other sets in it stay.
        part: number of the set, 0 to 5 for training and 6 to 10 for testing.
        step: how many frames a picture takes up.
        images_per_video: after so many a new video begins.
        quality: of the JPEG pictures, 0 to 100.

    Raises:
        InputError: pictures of different sizes, a set that Caltech does not have.
    """
    if not 0 <= part <= 10:
        raise InputError(f"caltech has no set {part}: use 0 to 10")
    root = Path(root)
    for number, first in enumerate(range(0, len(dataset), images_per_video)):
        indices = range(first, min(first + images_per_video, len(dataset)))
        name = f"set{part:02d}/V{number:03d}"
        _write_video(dataset, indices, root / f"{name}.seq", step, quality)
        write_vbb(root / f"annotations/{name}.vbb", _video_annotation(dataset.annotations, indices, step))
        folder = NEW_TEST[0] if part > 5 else NEW_TRAIN[0] if step % 30 == 0 else TEN_TIMES
        for place, index in enumerate(indices):
            file = f"set{part:02d}_V{number:03d}_I{step * (place + 1) - 1:05d}.txt"
            write_bbgt(root / folder / file, _frame_annotation(dataset.annotations, index))


def _write_video(dataset: PedestrianDataset, indices: range, path: Path, step: int, quality: int) -> None:
    height, width = dataset[indices[0]].image.shape[:2]
    between = cv2.imencode(".jpg", np.full((height, width, 3), GREY, np.uint8))[1].tobytes()
    with SeqWriter(path, width, height, quality=quality) as video:
        for index in indices:
            for _ in range(step - 1):
                video.add_jpeg(between)
            image = dataset[index].image
            if image.shape != (height, width, 3):
                raise InputError(
                    f"picture {index} is {image.shape[1]} x {image.shape[0]}, but {path} is {width} x {height}: "
                    f"write pictures of each size into a set of their own"
                )
            video.add(image)


def _video_annotation(annotations: Annotations, indices: range, step: int) -> VideoAnnotation:
    rows = np.flatnonzero(np.isin(annotations.image_index, indices))
    rows = rows[np.argsort(annotations.image_index[rows], kind="stable")]
    unhidden = _unhidden(annotations, rows)
    return VideoAnnotation(
        frames=step * len(indices),
        frame=step * (annotations.image_index[rows] - indices[0] + 1),
        object_id=np.arange(1, len(rows) + 1),
        label=_labels(annotations, rows),
        pos=annotations.boxes[rows] + [1, 1, 0, 0],
        posv=np.where(unhidden[:, None], 0.0, annotations.visible[rows] + [1, 1, 0, 0]),
        occluded=~unhidden,
    )


def _frame_annotation(annotations: Annotations, index: int) -> FrameAnnotation:
    rows = np.flatnonzero(annotations.image_index == index)
    unhidden = _unhidden(annotations, rows)
    return FrameAnnotation(
        label=_labels(annotations, rows),
        pos=annotations.boxes[rows] + [1, 1, 0, 0],
        posv=np.where(unhidden[:, None], 0.0, annotations.visible[rows] + [1, 1, 0, 0]),
        occluded=~unhidden,
        ignore=annotations.ignore[rows],
    )


def _unhidden(annotations: Annotations, rows: np.ndarray) -> np.ndarray:
    return (annotations.visible_ratio[rows] >= 1) | ~annotations.visible[rows].any(axis=1)


def _labels(annotations: Annotations, rows: np.ndarray) -> np.ndarray:
    return np.where(annotations.ignore[rows], "ignore", PERSON)
