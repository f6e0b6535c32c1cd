"""Sources shared between processes, of one machine or of several with one folder: each is done once, after a kill too.

The output folder holds `.parts` while such a run goes on: for each share of the sources the results of it, a lock that
its process holds (the system lets go of it when the process ends, however it does), and a report when it is done.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upright.detector.sources import Source
from upright.errors import InputError
from upright.output import whole_file

PARTS = ".parts"
PICTURES = 64  # of a share; a video is one by itself
LOOK_AGAIN = 0.5  # seconds, while others work on what is left
PATIENCE = 60.0  # seconds that a process which has nothing left to do waits for those that have not begun


@dataclass(frozen=True)
class Share:
    """Sources that one process does, and the folder for their results."""

    sources: Sequence[Source]
    folder: Path

    @property
    def report(self) -> Path:
        """What is there when they are done."""
        return self.folder / "done.json"


class SharedRun:
    """One process's view of a run that several share.

    Args:
        output: the folder of results, which all of them see.
        sources: all, in the same order in every process.
        conditions: what has to be the same for results to go together; of JSON's types.
        rank: of this process, and
        count: how many there are.

    Attributes:
        shares: of the sources, in their order.

    Raises:
        InputError: the folder holds the parts of a run under other conditions.
    """

    def __init__(
        self, output: Path, sources: Sequence[Source], conditions: dict[str, Any], rank: int, count: int
    ) -> None:
        self._folder = output / PARTS
        self._count = count
        self.shares = [
            Share(some, self._folder / f"{number:06d}") for number, some in enumerate(divided(sources), start=1)
        ]
        wanted = json.dumps({**conditions, "sources": [os.fspath(source.path) for source in sources]})
        file = self._folder / "run.json"
        if not file.exists():
            with whole_file(file) as temporary:
                temporary.write_text(wanted, encoding="utf-8")
        if file.read_text(encoding="utf-8") != wanted:
            raise InputError(
                f"{self._folder} holds what was done of another run (other inputs or flags): finish that by its own "
                "command, or delete the folder"
            )
        (self._folder / f"rank-{rank}").touch()

    def claims(self) -> Iterator[Share]:
        """Shares that are this process's to do, until all are done by somebody; `done` has to follow each."""
        waiting = list(self.shares)
        while waiting:
            left = []
            for share in waiting:
                with self._lock(share.folder.name) as mine:
                    if mine and not share.report.exists() and self._folder.exists():
                        yield share
                if not share.report.exists():
                    left.append(share)
            if not self._folder.exists():  # another has joined the results
                return
            waiting = left
            if waiting:
                time.sleep(LOOK_AGAIN)

    def done(self, share: Share, report: dict[str, Any]) -> None:
        """A share is done: its results are whole."""
        with whole_file(share.report) as temporary:
            temporary.write_text(json.dumps(report), encoding="utf-8")

    @contextmanager
    def joining(self) -> Iterator[list[dict[str, Any]] | None]:
        """For the one process that joins the results the reports of all shares, for the others None.

        The parts are gone afterwards, unless something went wrong.
        """
        with self._lock("join") as mine:
            if not mine:
                yield None
                return
            # One that comes after the parts are gone would do all of it again.
            patience = time.monotonic() + PATIENCE
            while len(list(self._folder.glob("rank-*"))) < self._count and time.monotonic() < patience:
                time.sleep(LOOK_AGAIN)
            yield [json.loads(share.report.read_text(encoding="utf-8")) for share in self.shares]
            gone = self._folder.with_name(f"{PARTS}.{os.getpid()}.joined")  # at once, in the eyes of the others
            self._folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    @contextmanager
    def _lock(self, name: str) -> Iterator[bool]:
        """Whether this process holds the lock of that name within the block."""
        try:
            file = (self._folder / f"{name}.lock").open("w")
        except FileNotFoundError:  # the results are joined
            yield False
            return
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield self._folder.exists()


def divided(sources: Sequence[Source]) -> Iterator[list[Source]]:
    """Videos one by one, and up to `PICTURES` pictures that follow each other."""
    some: list[Source] = []
    for source in sources:
        if some and (source.is_video or len(some) >= PICTURES):
            yield some
            some = []
        some.append(source)
        if source.is_video:
            yield some
            some = []
    if some:
        yield some
