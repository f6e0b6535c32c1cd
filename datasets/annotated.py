"""Pictures in files with boxes around people: what the readers of all formats share.

A reader makes one `AnnotatedPicture` of each picture and hands them to `collected`, or it makes the columns itself;
then `AnnotatedPictures` gives the samples.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from upright.datasets.joints import without_outside
from upright.datasets.outlines import moved_outlines
from upright.datasets.pictures import PICTURE_SUFFIXES, picture_size, read_picture
from upright.datasets.sample import Annotations, Sample
from upright.errors import InputError

PERSON = 1
AS_IT_IS = np.eye(2, 3)  # the matrix that moves nothing
LARGEST = 1_000_000  # width or height of a picture, pixels
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class AnnotatedBox:
    """One person or ignore region.

    Attributes:
        box: x y w h in pixels, x and y counted from 0.
        where: the file and the line in it.
        ignore: neither to be found nor to be punished for.
        visible: x y w h of the part that is seen, where the format has it.
        visible_ratio: area seen over full area, where the format has it; of `visible` and `box` where that is given.
        label: the class, in the format's own words.
    """

    box: Box
    where: str
    ignore: bool = False
    visible: Box | None = None
    visible_ratio: float = 1.0
    label: str = "person"


@dataclass(frozen=True)
class AnnotatedPicture:
    """A picture's file, its size (width, height; zeros where the annotations do not say) and its boxes."""

    path: Path
    size: tuple[int, int]
    boxes: Sequence[AnnotatedBox]


class AnnotatedPictures:
    """A data set of pictures in files, read when they are asked for.

    Args:
        annotations: its columns. Boxes of another category than 1 are background.
        paths: the file of each picture.
        unsplit: whether these are all pictures that there are, since the folder is not split into training and others.
    """

    def __init__(self, annotations: Annotations, paths: Sequence[Path], *, unsplit: bool = False) -> None:
        self.annotations = annotations
        self.paths = list(paths)
        self.unsplit = unsplit
        order = np.argsort(annotations.image_index, kind="stable")
        counts = np.bincount(annotations.image_index, minlength=len(self.paths))
        self._rows = np.split(order, np.cumsum(counts)[:-1]) if self.paths else []

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def sizes(self) -> np.ndarray:
        """int64 (len, 2), width and height of each picture; 0 where the files do not say."""
        return self.annotations.sizes

    def __getitem__(self, index: int) -> Sample:
        a, rows = self.annotations, self._rows[index]
        path = self.paths[index]
        image = read_picture(path)
        height, width = image.shape[:2]
        if a.sizes[index].all() and tuple(a.sizes[index]) != (width, height):
            raise InputError(
                f"the picture {path} is {width} x {height}, its annotations say "
                f"{a.sizes[index][0]} x {a.sizes[index][1]}: use the picture that the annotations were made for"
            )
        boxes = corners(a.boxes[rows], width, height)
        kept = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (a.category[rows] == PERSON)
        rows, boxes = rows[kept], boxes[kept]
        seen = (a.visible[rows, 2:] > 0).all(axis=1, keepdims=True)
        return Sample(
            image=image,
            boxes=boxes,
            visible=np.where(seen, corners(a.visible[rows], width, height), boxes),
            ignore=a.ignore[rows],
            visible_ratio=a.visible_ratio[rows].astype(np.float32),
            attributes={name: values[rows] for name, values in a.attributes.items()},
            id=a.image_ids[index],
            path=str(path),
            joints=without_outside(a.joints[rows], width, height),
            # Where the file says how large the picture is, outlines were cut to it when they were read.
            outlines=a.outlines[rows]
            if a.sizes[index].all()
            else moved_outlines(a.outlines[rows], AS_IT_IS, width, height),
        )


def corners(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """float32 (n, 4) x1 y1 x2 y2 inside the picture of boxes (n, 4) x y w h."""
    edges = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return np.clip(edges, 0, [width, height, width, height]).astype(np.float32)


def collected(root: Path, pictures: Iterable[AnnotatedPicture], *, unsplit: bool = False) -> AnnotatedPictures:
    """The data set of pictures that a reader found, with ids from 1 and names relative to `root`.

    Sizes that the annotations do not give are read from the pictures. Boxes wholly outside their picture are left out,
    with a warning. Attribute of each box: `label`.

    Raises:
        InputError: no picture at all; one that is missing or no picture; a box that is not finite or has no area.
    """
    # On a terminal, and only where it takes long.
    bar = tqdm(pictures, desc="annotations", unit="picture", delay=2, leave=False, disable=None)
    pictures = [_with_size(picture) for picture in bar]
    if not pictures:
        raise InputError(f"{root} holds no picture with annotations: check --root")
    boxes: list[AnnotatedBox] = []
    image_index: list[int] = []
    left_out: list[str] = []
    for number, picture in enumerate(pictures):
        for box in picture.boxes:
            _refuse_faulty(box)
            if _outside(box.box, picture.size):
                left_out.append(box.where)
                continue
            boxes.append(box)
            image_index.append(number)
    if left_out:
        print(
            f"warning: {len(left_out)} boxes lie wholly outside their pictures and are left out, "
            f"the first one in {left_out[0]}",
            file=sys.stderr,
        )
    values = np.array([box.box for box in boxes], np.float64).reshape(-1, 4)
    annotations = Annotations(
        image_ids=list(range(1, len(pictures) + 1)),
        file_names=[relative_name(picture.path, root) for picture in pictures],
        sizes=np.array([picture.size for picture in pictures], np.int64).reshape(-1, 2),
        image_index=np.array(image_index, np.int64),
        boxes=values,
        visible=np.array([box.visible or (0, 0, 0, 0) for box in boxes], np.float64).reshape(-1, 4),
        ignore=np.array([box.ignore for box in boxes], bool),
        height=values[:, 3].copy(),
        visible_ratio=np.array([_ratio(box) for box in boxes], np.float64),
        category=np.full(len(boxes), PERSON, np.int64),
        attributes={"label": np.array([box.label for box in boxes], np.str_)},
    )
    return AnnotatedPictures(annotations, [picture.path for picture in pictures], unsplit=unsplit)


def relative_name(path: Path, root: Path) -> str:
    """The name of a picture as annotation files have it: relative to `root` where it lies in there, with slashes."""
    return (path.relative_to(root) if path.is_relative_to(root) else path.absolute()).as_posix()


def _with_size(picture: AnnotatedPicture) -> AnnotatedPicture:
    if not os.path.isfile(picture.path):  # False, too, for a name that no file can have
        raise InputError(f"the picture {picture.path} is missing: check --root")
    if max(picture.size) > LARGEST:
        raise InputError(f"the annotations of {picture.path} make it wider or higher than {LARGEST} pixels: correct it")
    if all(picture.size):
        return picture
    return AnnotatedPicture(picture.path, picture_size(picture.path), picture.boxes)


def _refuse_faulty(box: AnnotatedBox) -> None:
    numbers = [*box.box, *(box.visible or ()), box.visible_ratio]
    if not all(map(math.isfinite, numbers)):
        raise InputError(f"{box.where}: a number of the box is not finite; correct it or remove the box")
    if box.box[2] <= 0 or box.box[3] <= 0:
        x, y, width, height = box.box
        raise InputError(
            f"{box.where}: the box at {x:g}, {y:g} is {width:g} wide and {height:g} high; correct it or remove it"
        )


def _outside(box: Box, size: tuple[int, int]) -> bool:
    return box[0] + box[2] <= 0 or box[1] + box[3] <= 0 or box[0] >= size[0] or box[1] >= size[1]


def _ratio(box: AnnotatedBox) -> float:
    ratio = box.visible_ratio
    if box.visible is not None:
        ratio = max(0.0, box.visible[2]) * max(0.0, box.visible[3]) / (box.box[2] * box.box[3])
    return min(1.0, max(0.0, ratio))


def text_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line of a text file that is not blank, and before it "FILE, line NUMBER" for errors.

    Raises:
        InputError: it cannot be read, or is no text.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}): check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text in UTF-8: fetch or export it again") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()


def numbers(words: Sequence[str], where: str) -> list[float]:
    """Words as numbers.

    Raises:
        InputError: one is no number, or not finite.
    """
    values = []
    for word in words:
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"{where}: {word.strip()[:40]!r} is no finite number; correct it or remove the line")
        values.append(value)
    return values


def named_file(root: Path, name: str | Path) -> Path:
    """A file or folder that an option names, in `root` or from here.

    Raises:
        InputError: it is in neither.
    """
    for place in (root / name, Path(name)):
        if os.path.exists(place):
            return place
    raise InputError(f"{name} is neither in {root} nor here: check --annotations")


def find_picture(folder: Path, stem: str) -> Path:
    """The picture of that name, whatever its suffix; `stem`.jpg where there is none."""
    usual = (".jpg", ".png", ".jpeg", *sorted(PICTURE_SUFFIXES))
    candidates = [folder / f"{stem}{suffix}" for lower in usual for suffix in (lower, lower.upper())]
    return next((path for path in candidates if os.path.isfile(path)), candidates[0])
