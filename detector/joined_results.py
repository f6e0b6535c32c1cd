"""Files of results of several processes, joined: as if one had done it all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from upright.detector.result_files import DetectionsFile
from upright.detector.result_lines import entries_of_line
from upright.detector.shared_sources import Share
from upright.output import whole_file


def join_texts(parts: Sequence[Path], target: Path, *, headed: bool) -> None:
    """Join files of lines.

    Args:
        parts: in their order; those that are not there had nothing to say.
        target: what is written; nothing where no part is there.
        headed: the first line of each is the same and stands in the joined file once.
    """
    parts = [part for part in parts if part.exists()]
    if not parts:
        return
    with whole_file(target) as temporary, temporary.open("wb") as joined:
        for place, part in enumerate(parts):
            with part.open("rb") as lines:
                if headed and place:
                    lines.readline()
                shutil.copyfileobj(lines, joined)


def join_detections(shares: Iterable[Share], name: str, file: DetectionsFile) -> None:
    """Join JSON Lines to `detections.json`.

    Args:
        shares: in their order, with their JSON Lines in a file of that
        name.
        file: gets them and is closed.
    """
    for share in shares:
        part = share.folder / name
        if part.exists():
            file.begin(share.sources[0])
            with part.open(encoding="utf-8") as lines:
                for line in lines:
                    content = json.loads(line)
                    if "people" in content:
                        file.add_entries(*entries_of_line(content))
    file.close()
