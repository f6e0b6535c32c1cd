"""Two processes: what they tell each other, and that waiting is longer than a step's collectives would."""

from __future__ import annotations

import os
import socket
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

from upright.detector.processes import Processes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def one_of_two(rank: int, port: int, folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": "2"}
    # They start together: on a busy machine one comes up a second after the other.
    Path(folder, f"up-{rank}").touch()
    while not Path(folder, f"up-{1 - rank}").exists():
        time.sleep(0.01)
    start = dist.init_process_group
    # A step's collectives give up after half a second.
    dist.init_process_group = lambda backend: start(backend, timeout=timedelta(seconds=0.5))
    processes = Processes.joined("cpu")
    assert processes.gathered(10 * rank) == [0, 10]
    assert processes.from_first(f"rank {rank}") == "rank 0"
    assert processes.any(rank == 1)
    assert not processes.any(False)
    if rank == 0:
        time.sleep(2)
        Path(folder, "validated").touch()
    processes.wait()
    assert Path(folder, "validated").exists()
    assert processes.gathered("on") == ["on", "on"]
    dist.destroy_process_group()


def test_processes_wait_for_the_first_longer_than_a_collective_would(tmp_path: Path) -> None:
    multiprocessing.spawn(one_of_two, (free_port(), str(tmp_path)), nprocs=2)


def test_one_process_alone_needs_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    alone = Processes.joined("cpu")
    assert (alone.rank, alone.count) == (0, 1)
    assert alone.gathered(3) == [3]
    assert alone.from_first("x") == "x"
    alone.wait()
