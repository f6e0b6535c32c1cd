"""Sources are shared between processes: each is done once, and what a killed process held is free again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from upright.detector.shared_sources import PARTS, PICTURES, SharedRun, divided
from upright.detector.sources import Source
from upright.errors import InputError


def sources(*names: str) -> list[Source]:
    return [Source(Path(name), Path("out") / name, name.endswith(".mp4"), 1) for name in names]


VIDEOS = sources("a.mp4", "b.mp4", "c.mp4", "d.mp4")


def test_videos_are_done_one_by_one_and_pictures_together():
    mixed = sources("a.jpg", "b.jpg", "c.mp4", "d.jpg", "e.mp4", "f.mp4", *[f"{i}.png" for i in range(PICTURES + 1)])
    assert [len(some) for some in divided(mixed)] == [2, 1, 1, 1, 1, PICTURES, 1]
    assert [source for some in divided(mixed) for source in some] == mixed


def test_what_is_done_is_not_done_again(tmp_path):
    first = SharedRun(tmp_path, VIDEOS, {"threshold": 0.5}, 0, 1)
    for share in first.claims():
        first.done(share, {"number": share.folder.name})
        if share.folder.name == "000002":
            break
    again = SharedRun(tmp_path, VIDEOS, {"threshold": 0.5}, 0, 1)
    rest = []
    for share in again.claims():
        rest.append(share.folder.name)
        again.done(share, {"number": share.folder.name})
    assert rest == ["000003", "000004"]
    with again.joining() as reports:
        assert [report["number"] for report in reports] == ["000001", "000002", "000003", "000004"]
    assert list(tmp_path.iterdir()) == []
    assert list(again.claims()) == [], "one that comes late does nothing"
    with again.joining() as reports:
        assert reports is None


def test_another_run_is_not_mixed_in(tmp_path):
    SharedRun(tmp_path, VIDEOS, {"threshold": 0.5}, 0, 1)
    with pytest.raises(InputError, match=PARTS):
        SharedRun(tmp_path, VIDEOS, {"threshold": 0.6}, 0, 1)
    with pytest.raises(InputError, match=PARTS):
        SharedRun(tmp_path, VIDEOS[:2], {"threshold": 0.5}, 0, 1)


def work(folder: Path, rank: int, stuck_at: str | None) -> None:
    """Do shares, and stop for good within one."""
    run = SharedRun(folder, VIDEOS, {}, rank, 2)
    for share in run.claims():
        share.folder.mkdir(exist_ok=True)
        with (share.folder / "who").open("a") as file:
            file.write(str(rank))
        if share.folder.name == stuck_at:
            time.sleep(600)
        time.sleep(0.05)
        run.done(share, {})
    with run.joining() as reports:
        if reports is not None:
            (folder / "joined").write_text(" ".join((share.folder / "who").read_text() for share in run.shares))


def test_what_a_killed_process_was_at_is_taken_over(tmp_path):
    context = multiprocessing.get_context("spawn")
    stuck = context.Process(target=work, args=(tmp_path, 0, "000001"))
    stuck.start()
    mark = tmp_path / PARTS / "000001" / "who"
    deadline = time.monotonic() + 60
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    other = context.Process(target=work, args=(tmp_path, 1, None))
    other.start()
    while not (tmp_path / PARTS / "000004" / "done.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert mark.read_text() == "0", "nobody does what another is at"
    assert stuck.pid is not None
    os.kill(stuck.pid, signal.SIGKILL)
    stuck.join(60)
    other.join(60)
    assert (tmp_path / "joined").read_text() == "01 1 1 1"
