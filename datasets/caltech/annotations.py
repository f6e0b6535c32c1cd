"""From the annotation files of Caltech to the columns that training and evaluation read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from upright.datasets.caltech import bbgt
from upright.datasets.caltech.vbb import read_vbb
from upright.datasets.sample import Annotations
from upright.errors import InputError

# Everybody with another label, in the real files `person-fa` (a false alarm), is background: a detection there is a
# false positive, so these boxes are left out.
PERSON = "person"
IGNORED = ("person?", "people", "ignore")

VIDEO = re.compile(r"set(\d\d)/V(\d\d\d)\.vbb$")
VBB_FOLDERS = ("annotations", "annotations/annotations", ".")
NEW_TEST = ("anno_test_1xnew",)
TEN_TIMES = "anno_train10x_alignedby_RotatedFilters"
NEW_TRAIN = ("anno_train_1xnew", TEN_TIMES)
NEW_ANY = ("annotations_new",)

Video = tuple[int, int]
Frame = tuple[int, int, int]
Columns = dict[str, np.ndarray]


def find_videos(root: Path) -> dict[Video, Path]:
    """The .vbb files of a Caltech folder by set and video, in that order."""
    for folder in VBB_FOLDERS:
        found = {}
        for path in (root / folder).glob("set[0-9][0-9]/V[0-9][0-9][0-9].vbb"):
            match = VIDEO.search(path.as_posix())
            if match:
                found[int(match[1]), int(match[2])] = path
        if found:
            return dict(sorted(found.items()))
    return {}


def find_new(root: Path, *, test: bool, every: int) -> tuple[Path | None, dict[Frame, Path]]:
    """The folder of the new annotations for a split, and its text files by set, video and frame from 0.

    The training sets come twice: every 30th frame annotated anew, and every 3rd with the original boxes aligned by a
    detector. Frames closer together than every 30th are only in the second.
    """
    names = NEW_TEST if test else NEW_TRAIN if every % 30 == 0 else NEW_TRAIN[1:]
    for base in (root, root / "annotations"):
        for name in (*names, *NEW_ANY):
            files = bbgt.find_frames(base / name)
            if files:
                return base / name, files
    return None, {}


def original_columns(files: Mapping[Video, Path], every: int) -> Columns:
    """The boxes of the frames every, 2 every ... (counted from 1) of some .vbb files."""
    frames: list[Frame] = []
    image_index, parts = [], []
    for (part, number), path in files.items():
        video = read_vbb(path, every)
        image_index.append(len(frames) + video.frame // every - 1)
        frames += [(part, number, frame - 1) for frame in range(every, video.frames + 1, every)]
        parts.append(video)
    label, pos, posv, occluded = (
        np.concatenate([getattr(video, name) for video in parts]) for name in ("label", "pos", "posv", "occluded")
    )
    unhidden = np.logical_not(posv.any(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        # In this order: some persons lie exactly on a limit of a subset, and the last bit decides.
        ratio = (posv[:, 2] * posv[:, 3]) / (pos[:, 2] * pos[:, 3])
    columns: Columns = {
        "picture": np.concatenate(image_index),
        "boxes": pos,
        "visible": posv,
        "visible_ratio": np.where(unhidden, np.inf, ratio),
        "label": label,
        "occluded": occluded,
        "unhidden": unhidden,
    }
    return _known(columns) | {"frames": np.array(frames, np.int64).reshape(-1, 3)}


def new_columns(files: Mapping[Frame, Path]) -> Columns:
    """The boxes of some text files; a row whose ignore flag is set has the label `ignore`."""
    parts = [bbgt.read_bbgt(path) for path in files.values()]
    ratio = np.concatenate([bbgt.visible_fraction(part) for part in parts])
    columns: Columns = {
        "picture": np.repeat(np.arange(len(parts)), [len(part.label) for part in parts]),
        "boxes": np.concatenate([part.pos for part in parts]),
        "visible": np.concatenate([part.posv for part in parts]),
        "visible_ratio": ratio,
        "label": np.concatenate([np.where(part.ignore, "ignore", part.label) for part in parts]),
        "occluded": np.concatenate([part.occluded for part in parts]),
        "unhidden": ratio == 1,
    }
    return _known(columns) | {"frames": np.array(list(files), np.int64).reshape(-1, 3)}


def _known(columns: Columns) -> Columns:
    known = np.isin(columns["label"], [PERSON, *IGNORED])
    return {name: values[known] for name, values in columns.items()}


def keep_frames(columns: Columns, keep: np.ndarray) -> Columns:
    """The pictures where `keep`, bool (m,), is set, and their boxes."""
    rows = keep[columns["picture"]]
    kept = {name: values[rows] for name, values in columns.items() if name != "frames"}
    kept["picture"] = (np.cumsum(keep) - 1)[kept["picture"]]
    return kept | {"frames": columns["frames"][keep]}


def as_annotations(columns: Columns) -> Annotations:
    """The columns as the evaluation reads them."""
    names = [f"set{part:02d}_V{number:03d}_I{frame:05d}" for part, number, frame in columns["frames"].tolist()]
    count = len(columns["picture"])
    return Annotations(
        image_ids=list(names),
        file_names=[f"{name}.jpg" for name in names],
        sizes=np.zeros((len(names), 2), np.int64),
        image_index=columns["picture"].astype(np.int64),
        boxes=columns["boxes"],
        visible=columns["visible"],
        ignore=columns["label"] != PERSON,
        height=columns["boxes"][:, 3].copy(),
        visible_ratio=columns["visible_ratio"],
        category=np.ones(count, np.int64),
        attributes={name: columns[name] for name in ("label", "occluded", "unhidden")},
    )


def select_new(files: dict[Frame, Path], folder: Path, every: int, *, complete: bool) -> dict[Frame, Path]:
    """The text files of the frames every, 2 every ... counted from 1.

    Args:
        files: as `find_new` gives them.
        folder: where they lie, for the error.
        every: which frames.
        complete: every such frame of a video up to its last must be there; a figure over fewer is not the
            benchmark's.

    Raises:
        InputError: no such frame, or a gap.
    """
    chosen = {frame: path for frame, path in files.items() if (frame[2] + 1) % every == 0}
    if not chosen:
        raise InputError(
            f"{folder} has no annotations of the frames {every}, {2 * every} ...: files are numbered from 0, so that "
            f"frame {every} is I{every - 1:05d}; there is {next(iter(files.values())).name}"
        )
    if complete:
        following: dict[Video, int] = {}
        for part, number, frame in chosen:
            expected = following.get((part, number), every - 1)
            if frame != expected:
                raise InputError(
                    f"{folder} lacks set{part:02d}_V{number:03d}_I{expected:05d}, but has later frames of that video: "
                    f"unpack the annotations again"
                )
            following[part, number] = frame + every
    return chosen
