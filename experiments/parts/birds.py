"""CUB-200-2011 (Wah et al. 2011) as distributed: pictures, classes, split, boxes and part locations.

    ROOT/CUB_200_2011/images.txt                  image id, path below images/
                      image_class_labels.txt      image id, class id
                      train_test_split.txt        image id, 1 to train on
                      classes.txt                 class id, name
                      bounding_boxes.txt          image id, x, y, width, height in pixels
                      parts/parts.txt             part id, name
                      parts/part_locs.txt         image id, part id, x, y in pixels, 1 where it is visible
                      images/

From https://data.caltech.edu/records/65de6-vp158. `posed_pedestrians` writes the same layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from upright.datasets.pictures import read_picture
from upright.errors import InputError
from upright.output import whole_file

FOLDER = "CUB_200_2011"

# The parts that transformers are compared with, each the box around those of its points that are visible: points of
# the birds and of the pedestrians.
PARTS = {
    "head": (
        *("crown", "forehead", "beak", "left eye", "right eye", "nape", "throat"),
        *("chin", "left ear", "right ear"),
    ),
    "torso": (
        *("back", "belly", "breast", "left wing", "right wing"),
        *("neck", "left shoulder", "right shoulder", "left hip", "right hip"),
    ),
    "legs": (
        *("left leg", "right leg", "tail"),
        *("left hip", "right hip", "left knee", "right knee", "left toe", "right toe"),
    ),
}
# Points lie inside what they name: boxes around them grow by this share of the picture's side on each side.
MARGIN = 0.02


@dataclass(frozen=True)
class Birds:
    """Everything but the pixels; row i is picture i in the order of images.txt.

    Attributes:
        folder: CUB_200_2011.
        paths: (n,) below images/.
        labels: int64 (n,), from 0.
        train: bool (n,).
        boxes: float64 (n, 4), x, y, width, height in pixels.
        locations: float64 (n, points, 2), x, y in pixels; NaN where a point cannot be seen.
        points: names of the points.
        classes: names of the classes.
    """

    folder: Path
    paths: list[str]
    labels: np.ndarray
    train: np.ndarray
    boxes: np.ndarray
    locations: np.ndarray
    points: list[str]
    classes: list[str]

    def square(self, index: int, side: int) -> tuple[np.ndarray, np.ndarray]:
        """A picture, its shorter side made `side` long, the middle cut out; and the boxes of its parts.

        Args:
            index: of the picture.
            side: in pixels.

        Returns:
            uint8 (side, side, 3), RGB; float64 (parts, 4), x1, y1, x2, y2 of `PARTS`, normalised as the spatial
            transformer's points are (-1 and 1 are the picture's edges), NaN where none of its points is visible.

        Raises:
            InputError: the picture is missing or damaged.
        """
        file = self.folder / "images" / self.paths[index]
        image = read_picture(file)
        height, width = image.shape[:2]
        scale = side / min(height, width)
        size = (max(side, round(width * scale)), max(side, round(height * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        left, top = (size[0] - side) // 2, (size[1] - side) // 2
        image = cv2.resize(image, size, interpolation=method)[top : top + side, left : left + side]
        places = self.locations[index] * (size[0] / width, size[1] / height) - (left, top)
        return image, np.stack([self._box(2 * places / side - 1, names) for names in PARTS.values()])

    def _box(self, places: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        """The box (4,) around the visible ones of the named points, places (points, 2) normalised."""
        seen = places[[k for k, name in enumerate(self.points) if name in names]]
        seen = seen[~np.isnan(seen).any(axis=1)]
        if not len(seen):
            return np.full(4, np.nan)
        return np.concatenate([seen.min(axis=0) - 2 * MARGIN, seen.max(axis=0) + 2 * MARGIN])


def read_birds(root: Path) -> Birds:
    """The tables of a data set in this layout.

    Args:
        root: the folder that holds CUB_200_2011, or that folder itself.

    Raises:
        InputError: a table is missing, or its rows do not belong to the pictures.
    """
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    if not (folder / "images.txt").is_file():
        raise InputError(f"{root} holds no {FOLDER}/images.txt: unpack CUB_200_2011.tgz there, or use --made DIR")
    images = _table(folder / "images.txt", 2)
    ids = [row[0] for row in images]
    points = _table(folder / "parts" / "parts.txt", 2)
    classes = _table(folder / "classes.txt", 2)
    labels = _of_images(folder / "image_class_labels.txt", 2, ids)[:, 0] - 1
    if not ((labels >= 0) & (labels < len(classes))).all():
        raise InputError(f"{folder / 'image_class_labels.txt'} names classes that classes.txt lacks: unpack again")
    places = _of_images(folder / "parts" / "part_locs.txt", 5, ids, each=len(points)).reshape(len(ids), -1, 4)
    if not (places[:, :, 0] == [int(number) for number, _ in points]).all():
        raise InputError(f"{folder / 'parts' / 'part_locs.txt'} does not hold the parts of parts.txt in their order")
    return Birds(
        folder=folder,
        paths=[name for _, name in images],
        labels=labels.astype(np.int64),
        train=_of_images(folder / "train_test_split.txt", 2, ids)[:, 0] == 1,
        boxes=_of_images(folder / "bounding_boxes.txt", 5, ids),
        locations=np.where(places[:, :, 3:] == 1, places[:, :, 1:3], np.nan),
        points=[name for _, name in points],
        classes=[name for _, name in classes],
    )


def _table(file: Path, columns: int) -> list[list[str]]:
    """Rows of a text table; the last column takes the rest of its line."""
    try:
        rows = [line.split(maxsplit=columns - 1) for line in file.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read ({error}): unpack CUB_200_2011.tgz again") from None
    wrong = next((k for k, row in enumerate(rows, start=1) if len(row) != columns), None)
    if wrong or not rows:
        raise InputError(f"{file}, line {wrong or 1}: {columns} columns expected; unpack CUB_200_2011.tgz again")
    return rows


def _of_images(file: Path, columns: int, ids: list[str], each: int = 1) -> np.ndarray:
    """Numbers (n * each, columns - 1) of a table with `each` rows an image, in the order of images.txt."""
    rows = _table(file, columns)
    if [row[0] for row in rows] != [i for i in ids for _ in range(each)]:
        raise InputError(
            f"{file}: its {len(rows)} rows are not {each} for each of the {len(ids)} of images.txt, in order"
        )
    try:
        return np.array([row[1:] for row in rows], np.float64)
    except ValueError as error:
        raise InputError(
            f"{file} holds something that is not a number ({error}): unpack CUB_200_2011.tgz again"
        ) from None


def write_tables(birds: Birds) -> None:
    """Write all tables of a data set; images.txt, without which nothing is read, comes last."""
    ids = range(1, len(birds.paths) + 1)
    seen = ~np.isnan(birds.locations).any(axis=2)
    places = np.where(seen[:, :, None], birds.locations, 0)
    tables = {
        "classes.txt": [f"{k} {name}" for k, name in enumerate(birds.classes, start=1)],
        "image_class_labels.txt": [f"{i} {label + 1}" for i, label in zip(ids, birds.labels, strict=True)],
        "train_test_split.txt": [f"{i} {int(train)}" for i, train in zip(ids, birds.train, strict=True)],
        "bounding_boxes.txt": [
            f"{i} {x:.1f} {y:.1f} {w:.1f} {h:.1f}" for i, (x, y, w, h) in zip(ids, birds.boxes, strict=True)
        ],
        "parts/parts.txt": [f"{k} {name}" for k, name in enumerate(birds.points, start=1)],
        "parts/part_locs.txt": [
            f"{i} {k} {places[i - 1, k - 1, 0]:.1f} {places[i - 1, k - 1, 1]:.1f} {int(seen[i - 1, k - 1])}"
            for i in ids
            for k in range(1, len(birds.points) + 1)
        ],
        "images.txt": [f"{i} {path}" for i, path in zip(ids, birds.paths, strict=True)],
    }
    for name, lines in tables.items():
        with whole_file(birds.folder / name) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
