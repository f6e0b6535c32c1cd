"""The new annotations of S. Zhang et al., CVPR 2016: one text file a frame, as MATLAB's `bbGt` writes them.

    % bbGt version=3
    person 172 184 10 26 0 0 0 0 0 0 0

A row is label, x y w h, occluded, x y w h of the visible part, ignore, angle. Versions below 3 end earlier. They are
distributed as `anno_test_1xnew/set06_V000_I00029.jpg.txt` and the like; files in folders, as in
`set06/V000/I00029.txt`, are found as well. The number in the name counts frames from 0.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from upright.errors import InputError
from upright.output import whole_file

HEADER = re.compile(r"%\s*bbGt\s+version=(\d+)")
COLUMNS = {0: 10, 1: 10, 2: 11, 3: 12}  # by version
NAME = re.compile(r"set(\d\d)[_/]?V(\d\d\d)[_/]?I(\d{5,})(?:\.jpg|\.png)?\.txt$")


@dataclass(frozen=True)
class FrameAnnotation:
    """The boxes of one picture in columns.

    Attributes:
        label: str (n,).
        pos: float64 (n, 4), x y w h of the full extent, x and y counted from 1.
        posv: float64 (n, 4), x y w h of the visible part, as it stands in the file.
        occluded: bool (n,).
        ignore: bool (n,), the file's own flag.
    """

    label: np.ndarray
    pos: np.ndarray
    posv: np.ndarray
    occluded: np.ndarray
    ignore: np.ndarray


def find_frames(folder: Path) -> dict[tuple[int, int, int], Path]:
    """The text files below a folder by set, video and frame (counted from 0), in that order."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            match = NAME.search(f"{Path(place).relative_to(folder).as_posix()}/{name}")
            if match:
                found[int(match[1]), int(match[2]), int(match[3])] = Path(place) / name
    return dict(sorted(found.items()))


def read_bbgt(path: Path) -> FrameAnnotation:
    """Read the text file of one frame.

    Raises:
        InputError: a row that is not one, or a file that cannot be read.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not an annotation file: it is not plain text") from None
    header = HEADER.match(lines[0]) if lines else None
    version = int(header[1]) if header else 0
    if version not in COLUMNS:
        raise InputError(f"{path} is of bbGt version {version}; versions 0 to 3 are known")
    labels, numbers = [], []
    for count, line in enumerate(lines, start=1):
        if line.startswith("%") or not line.strip():
            continue
        label, *rest = line.split()
        try:
            row = [float(word) for word in rest]
        except ValueError:
            row = []
        if len(row) + 1 != COLUMNS[version] or not np.isfinite(row).all():
            raise InputError(
                f"{path}, line {count}: a row of version {version} is a label and {COLUMNS[version] - 1} numbers, "
                f"not '{line[:60]}'"
            )
        labels.append(label)
        numbers.append(row + [0.0] * (12 - COLUMNS[version]))
    columns = np.array(numbers, np.float64).reshape(-1, 11)
    return FrameAnnotation(
        label=np.array(labels, dtype=str),
        pos=columns[:, :4],
        posv=columns[:, 5:9],
        occluded=columns[:, 4] != 0,
        ignore=columns[:, 9] != 0,
    )


def write_bbgt(path: Path, annotation: FrameAnnotation) -> None:
    """Write the text file of one frame, version 3; boxes are rounded to whole pixels, as MATLAB's `bbGt` does."""
    lines = ["% bbGt version=3"]
    for i, label in enumerate(annotation.label):
        numbers = [*annotation.pos[i], annotation.occluded[i], *annotation.posv[i], annotation.ignore[i], 0]
        lines.append(" ".join([str(label), *(f"{np.floor(number + 0.5):.0f}" for number in numbers)]))
    with whole_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii")


def visible_fraction(annotation: FrameAnnotation) -> np.ndarray:
    """float64 (n,): 1 where nothing is hidden, 0 where hardly anything is seen, else the ratio of the areas."""
    pos, posv = annotation.pos, annotation.posv
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (posv[:, 2] * posv[:, 3]) / (pos[:, 2] * pos[:, 3])
    # The annotators gave a person of whom hardly anything is seen the full box as the visible one.
    ratio = np.where((posv == pos).all(axis=1), 0.0, ratio)
    return np.where(~annotation.occluded | ~posv.any(axis=1), 1.0, ratio)
