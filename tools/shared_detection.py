"""`detect.py` in several processes, started by `torchrun` or by hand with RANK and WORLD_SIZE in the environment."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upright.errors import InputError
from upright.tools.output_flags import join_outputs

if TYPE_CHECKING:
    from upright.detector.sources import Source

LOCAL_FLAGS = ("device", "batch_size")  # may differ from process to process


@dataclass(frozen=True)
class Report:
    """What is said at the end of a run, and of each share of one.

    Attributes:
        frames: how many were searched.
        summary: how fast.
        people: how many detections there are.
        crossings: of each line and direction.
        notes: on odd sources, and
        errors: on those that failed.
    """

    frames: int
    summary: str
    people: int
    crossings: dict[str, int]
    notes: list[str]
    errors: list[str]

    @classmethod
    def joined(cls, reports: Sequence[Report]) -> Report:
        """That of all shares; there is at least one."""
        frames = sum(report.frames for report in reports)
        return cls(
            frames,
            f"{frames} frame{'s' * (frames != 1)} in {len(reports)} share{'s' * (len(reports) != 1)}",
            sum(report.people for report in reports),
            {name: sum(report.crossings[name] for report in reports) for name in reports[0].crossings},
            [note for report in reports for note in report.notes],
            [error for report in reports for error in report.errors],
        )


def started_together() -> bool:
    """Whether this process is one of several that share their sources."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def detect_shared(
    arguments: argparse.Namespace,
    sources: list[Source],
    settings: dict[str, Any],
    detect: Callable[[Sequence[Source], Path], Report],
) -> Report | None:
    """Do what the other processes leave, and join the results where this one is the last.

    Args:
        arguments: of the command line.
        sources: all.
        settings: that `detections.json` holds.
        detect: searches some sources; what all of them share goes into that folder.

    Returns:
        The report of all in the process that joined the results, None in the others.
    """
    from upright.detector.shared_sources import SharedRun

    try:
        rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except ValueError:
        raise InputError("RANK and WORLD_SIZE in the environment are no numbers: use torchrun") from None
    given = {name: value for name, value in vars(arguments).items() if name not in LOCAL_FLAGS}
    conditions = {**settings, **{name: str(value) for name, value in given.items()}}
    run = SharedRun(arguments.output, sources, conditions, rank, count)
    for share in run.claims():
        run.done(share, asdict(detect(share.sources, share.folder)))
    with run.joining() as reports:
        if reports is None:
            return None
        join_outputs(arguments, settings, run.shares)
        return Report.joined([Report(**report) for report in reports])
