"""The data set: train, val and test by disjoint seeds, pictures rendered when asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from upright.datasets.entry import DatasetEntry, Flag, Options
from upright.datasets.sample import Annotations, Sample
from upright.datasets.synthetic.population import MIXTURES
from upright.datasets.synthetic.scene import Series, box_columns
from upright.errors import InputError

LENGTHS = {"train": 10_000, "val": 200, "test": 500}
_SPLITS = tuple(LENGTHS)


class SyntheticPedestrians:
    """Rendered street scenes with posed pedestrians.

    Picture i has the id i + 1 and is the same whatever else is read. Attributes of each box: `pose`, `lean`
    (degrees of the trunk from upright in the picture, positive = clockwise, -180 to 180), `label` (person, ignore,
    dummy, poster) and `mask_ratio` (pixels seen over pixels of the person). Persons have exact joints: seen where
    pixels of their own lie there and no limb of theirs is before it, else hidden.

    Args:
        split: train, val or test.
        length: number of pictures; by default 10 000, 200 and 500.
        size: width and height of the pictures.
        seed: another seed gives another series, in every split.
        roll: the camera is rolled by up to this many degrees either way, at random for each picture; 0 is upright.
        poses: "street", or "all" for people who lie, sit on the ground and climb as well.

    Raises:
        InputError: unknown split or poses, a length below 1, too small a size, a negative seed, a roll that is not
            between 0 and 180.
    """

    def __init__(
        self,
        split: str,
        length: int | None = None,
        size: tuple[int, int] = (640, 480),
        seed: int = 0,
        *,
        roll: float = 0.0,
        poses: str = "street",
    ) -> None:
        if split not in LENGTHS:
            raise InputError(f"synthetic: unknown split {split!r}; choose one of {', '.join(LENGTHS)}")
        if length is not None and length < 1:
            raise InputError(f"synthetic: length {length} gives no picture; ask for at least 1")
        if min(size) < 96:
            raise InputError(f"synthetic: size {size[0]} x {size[1]} is too small; at least 96 pixels a side")
        if seed < 0:
            raise InputError(f"synthetic: seed {seed} is negative; use 0 or more")
        if not 0 <= roll <= 180:
            raise InputError(f"synthetic: a camera cannot be rolled by up to {roll:g} degrees; use 0 to 180")
        if poses not in MIXTURES:
            raise InputError(f"synthetic: unknown poses {poses!r}; choose one of {', '.join(MIXTURES)}")
        self.split = split
        self.size = size
        self.seed = seed * len(_SPLITS) + _SPLITS.index(split)
        self._series = Series(self.seed, size, roll, poses)
        self._length = LENGTHS[split] if length is None else length

    def __len__(self) -> int:
        return self._length

    @property
    def sizes(self) -> np.ndarray:
        """int64 (len, 2), width and height of each picture, known without rendering any."""
        return np.tile(np.array(self.size, np.int64), (self._length, 1))

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self._length:
            raise IndexError(f"picture {index} of {self._length}")
        return self._series.render(index)

    @cached_property
    def annotations(self) -> Annotations:
        """All boxes from the masks alone, without painting a picture; computed once and kept."""
        tables = [box_columns(self._series.measure(i)) for i in range(self._length)]
        columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
        counts = [len(table["label"]) for table in tables]
        boxes = _corners_to_size(columns["full"])
        return Annotations(
            image_ids=list(range(1, self._length + 1)),
            file_names=[self.file_name(i) for i in range(self._length)],
            sizes=self.sizes,
            image_index=np.repeat(np.arange(self._length), counts),
            boxes=boxes,
            visible=_corners_to_size(columns["visible"]),
            ignore=columns["ignore"],
            height=boxes[:, 3].copy(),
            visible_ratio=columns["visible_ratio"],
            category=np.ones(len(boxes), np.int64),
            attributes={name: columns[name] for name in ("pose", "lean", "label", "mask_ratio")},
            joints=columns["joints"],
        )

    def file_name(self, index: int) -> str:
        """The name of a picture where it is written to disk."""
        return f"{self.split}_{index + 1:06d}.jpg"


def _corners_to_size(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1)


def open_synthetic(
    root: Path | None,
    split: str,
    *,
    length: int | None = None,
    seed: int = 0,
    roll: float = 0.0,
    poses: str = "street",
) -> SyntheticPedestrians:
    """As the registry opens it."""
    return SyntheticPedestrians(split, length=length, seed=seed, roll=roll, poses=poses)


def _validation(options: Options) -> Options:
    """Validated on cameras and people as it is trained on."""
    return {name: options[name] for name in ("roll", "poses") if options[name] is not None}


ENTRY = DatasetEntry(
    open=open_synthetic,
    flags=(
        Flag("length", "number of pictures, in training those of an epoch", type=int),
        Flag("roll", "roll the camera by up to that many degrees, 180 at most (default 0)", type=float),
        Flag("poses", "street (default), or all: people who lie, sit on the ground and climb as well"),
    ),
    needs_root=False,
    seeded=True,
    validation=_validation,
)
