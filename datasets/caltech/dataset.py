"""Caltech Pedestrians (P. Dollar et al., PAMI 2012) in the folder as it was downloaded.

    ROOT/set00 ... set10/V000.seq            the videos, or extracted pictures: ROOT/images/set06_V000_I00029.jpg
    ROOT/annotations/set00/V000.vbb          the original annotations
    ROOT/anno_test_1xnew/*.txt, ROOT/anno_train_1xnew/*.txt, ROOT/anno_train10x_alignedby_RotatedFilters/*.txt
                                             the new ones (S. Zhang et al., CVPR 2016)

Frames count from 1 in the rules of the benchmark and in .vbb files, from 0 in file names: frame 30 is I00029.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from upright.datasets.annotated import corners
from upright.datasets.caltech.annotations import (
    TEN_TIMES,
    Columns,
    as_annotations,
    find_new,
    find_videos,
    keep_frames,
    new_columns,
    original_columns,
    select_new,
)
from upright.datasets.caltech.bbgt import find_frames
from upright.datasets.caltech.cache import cache_folder, file_key, load, save
from upright.datasets.caltech.frames import FrameSource
from upright.datasets.entry import DatasetEntry, Flag
from upright.datasets.sample import Sample
from upright.errors import InputError

TRAINING_SETS, TEST_SETS = range(6), range(6, 11)
SPLITS = ("train", "val", "test")
EVERY = 30


class CaltechPedestrians:
    """Pictures of Caltech and who stands in them.

    The annotations need no pictures; the pictures are read when they are asked for. What was parsed and found is kept
    in ROOT/.upright_cache (or in the user's cache folder where ROOT is read-only), and made anew when a file changes.

    Boxes of `annotations` are those of the files, their x and y counted from 1; ids are `set06_V000_I00029`. A sample
    has them counted from 0 and clipped to the picture. `ignore` is set for the labels `person?`, `people` and
    `ignore`; boxes of any label but these and `person` (in the real files only `person-fa`) are background and left
    out. Attributes of each box: `label`, `occluded` (the file's flag) and `unhidden` (nothing of the person is hidden:
    an empty visible box in the original annotations, a visible fraction of 1 in the new ones).

    Args:
        root: the folder.
        split: "train" is sets 00 to 05 and "test" sets 06 to 10, as in the literature. The benchmark has no "val": it
            is the last training set there is (05), so for an honest one train with `sets=range(5)`.
        annotations: "original", "new", or a folder with text files like those of the new ones.
        every: 30 takes frames 30, 60, 90 ... counted from 1; 3 is known as "10x".
        sets: other sets than those of the split.
        cache: another folder for what is kept.

    Raises:
        InputError: there are no such annotations, or they cannot be used.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        annotations: str | Path = "original",
        every: int | None = None,
        sets: Sequence[int] | None = None,
        cache: str | Path | None = None,
    ) -> None:
        self.root = Path(root)
        if split not in SPLITS:
            raise InputError(f"caltech has no split '{split}': use one of {', '.join(SPLITS)}")
        self.split = split
        self.every = EVERY if every is None else every
        if self.every < 1:
            raise InputError(f"caltech: every {self.every} frames is not possible; use 1 or more, the benchmark 30")
        self._cache = cache_folder(self.root) if cache is None else Path(cache)
        self._source = FrameSource(self.root, self._cache)
        columns = self._original(sets) if annotations == "original" else self._new(annotations, sets)
        if split != "test":
            columns = self._without_lost_frames(columns)
        self._frames = columns["frames"]
        self.annotations = as_annotations(columns)
        self._rows = np.searchsorted(self.annotations.image_index, np.arange(len(self) + 1))

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def sizes(self) -> np.ndarray:
        """int64 (len, 2), width and height of each picture; 0 where the files do not say."""
        return self.annotations.sizes

    def __getitem__(self, index: int) -> Sample:
        image, path = self._source.read(*self._frames[index].tolist())
        a = self.annotations
        rows = np.arange(self._rows[index], self._rows[index + 1])
        height, width = image.shape[:2]
        from_zero = np.array([1, 1, 0, 0])
        boxes = corners(a.boxes[rows] - from_zero, width, height)
        inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        rows, boxes = rows[inside], boxes[inside]
        hidden = ~a.attributes["unhidden"][rows, None] & a.visible[rows].any(axis=1, keepdims=True)
        return Sample(
            image=image,
            boxes=boxes,
            visible=np.where(hidden, corners(a.visible[rows] - from_zero, width, height), boxes),
            ignore=a.ignore[rows],
            visible_ratio=np.clip(a.visible_ratio[rows], 0, 1).astype(np.float32),
            attributes={name: values[rows] for name, values in a.attributes.items()},
            id=a.image_ids[index],
            path=path,
        )

    def _original(self, sets: Sequence[int] | None) -> Columns:
        files = find_videos(self.root)
        if not files:
            raise self._no_annotations("annotations/set00/V000.vbb ... set10/V011.vbb")
        wanted = self._choose({part for part, _ in files}, sets)
        files = {video: path for video, path in files.items() if video[0] in wanted}
        for part, number in self._source.videos():
            if part in wanted and (part, number) not in files:
                raise InputError(
                    f"{self.root} has the video set{part:02d}/V{number:03d}.seq but no annotations of it: put them in "
                    f"annotations/set{part:02d}/V{number:03d}.vbb, or move the video away"
                )
        place = self._cache / f"original_{self._name(wanted)}.npz"
        columns = self._kept(place, list(files.values()), lambda: original_columns(files, self.every))
        if len(columns["frames"]) == 0:
            raise InputError(f"no video of {_listed(wanted)} in {self.root} has {self.every} frames: lower every")
        return columns

    def _new(self, annotations: str | Path, sets: Sequence[int] | None) -> Columns:
        test = self.split == "test"
        if annotations == "new":
            folder, files = find_new(self.root, test=test, every=self.every)
            if folder is None:
                train = "anno_train_1xnew/*.txt" if self.every % EVERY == 0 else f"{TEN_TIMES}/*.txt"
                raise self._no_annotations("anno_test_1xnew/*.txt" if test else train)
        else:
            folder = self.root / annotations
            if not folder.is_dir():
                folder = Path(annotations)
            files = find_frames(folder)
            if not files:
                raise InputError(
                    f"caltech annotations '{annotations}' are neither 'original' nor 'new' nor a folder with text "
                    f"files set06_V000_I00029.txt"
                )
        wanted = self._choose({part for part, _, _ in files}, sets)
        files = {frame: path for frame, path in files.items() if frame[0] in wanted}
        files = select_new(files, folder, self.every, complete=test)
        place = self._cache / f"{folder.name}_{self._name(wanted)}.npz"
        return self._kept(place, list(files.values()), lambda: new_columns(files))

    def _kept(self, place: Path, files: Sequence[Path], parse: Callable[[], Columns]) -> Columns:
        """What was parsed from `files` before, or what `parse` gives now."""
        key = file_key(files, self.every)
        columns = load(place, key)
        if columns is None:
            columns = parse()
            save(place, key, columns)
        return columns

    def _name(self, sets: Sequence[int]) -> str:
        return f"every{self.every}_sets{'-'.join(f'{part:02d}' for part in sets)}"

    def _choose(self, present: set[int], sets: Sequence[int] | None) -> list[int]:
        """The sets to take of those that have annotations."""
        usual = TEST_SETS if self.split == "test" else TRAINING_SETS
        wanted = sorted(set(usual if sets is None else sets))
        missing = [part for part in wanted if part not in present]
        found = [part for part in wanted if part in present]
        if not found or (missing and sets is not None):
            raise InputError(
                f"{self.root} has no annotations of {_listed(missing)}, only of {_listed(sorted(present))}: download "
                f"them, or choose another split"
            )
        if missing and self.split == "test":
            print(
                f"warning: {self.root} has no annotations of {_listed(missing)}; published figures are of "
                f"{_listed(list(TEST_SETS))}",
                file=sys.stderr,
            )
        return found[-1:] if self.split == "val" and sets is None else found

    def _without_lost_frames(self, columns: Columns) -> Columns:
        """Without the frames that a cut-off video no longer has: nothing to learn from, but no reason to stop."""
        lengths: dict[tuple[int, int], int] = {}
        for part, number in sorted({(part, number) for part, number, _ in columns["frames"].tolist()}):
            video = self._source.video(part, number)
            if video is not None:
                lengths[part, number] = len(video)
        keep = np.array(
            [frame < lengths.get((part, number), frame + 1) for part, number, frame in columns["frames"].tolist()],
            bool,
        )
        if not keep.any():
            raise InputError(f"no video in {self.root} is long enough for its annotations: download the videos again")
        if not keep.all():
            print(
                f"warning: {self.root}: {int((~keep).sum())} annotated frames lie beyond the end of their videos and "
                f"are left out",
                file=sys.stderr,
            )
        return keep_frames(columns, keep)

    def _no_annotations(self, expected: str) -> InputError:
        has_images = any(True for place in ("set[0-9][0-9]/*.seq", "images/*") for _ in self.root.glob(place))
        state = "has pictures but no annotations" if has_images else "has no annotations of Caltech"
        return InputError(f"{self.root} {state}: {expected} must be there; download them, or check --root")


def _listed(sets: Sequence[int]) -> str:
    return "sets " + ", ".join(f"{part:02d}" for part in sets)


def open_caltech(
    root: Path,
    split: str,
    *,
    annotations: Sequence[str] = ("original",),
    every: int | None = None,
    sets: Sequence[int] | None = None,
) -> CaltechPedestrians:
    """As the registry opens it.

    Raises:
        InputError: as `CaltechPedestrians`.
    """
    return CaltechPedestrians(root, split, annotations=annotations[0], every=every, sets=sets)


ENTRY = DatasetEntry(
    open=open_caltech,
    flags=(
        Flag("annotations", "original or new", many=True),
        Flag("sets", "sets to train on (default 0 to 5; 5 validates)", type=int, many=True, use="training"),
        Flag("every", "every how many frames (default 30; 3 is the usual 10x)", type=int, use="training"),
    ),
    evaluation_split="test",
    protocol="caltech",
    first_pixel=1,
    validation=lambda options: {"annotations": options["annotations"]},
)
