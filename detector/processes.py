"""The processes that train one detector, and the signals that end a training."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch.distributed as dist

SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
# The first process may validate, or write to a slow disk, for longer than the minutes that a step's collectives get.
PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Processes:
    """The processes of a `torchrun`, or this one alone.

    Attributes:
        rank: of this process.
        count: of all.
        group: for everything but the gradients. It waits for `PATIENCE`; a process that ends is noticed at once.
    """

    rank: int = 0
    count: int = 1
    group: dist.ProcessGroup | None = None

    @classmethod
    def joined(cls, device: str) -> Processes:
        """Join the others where `torchrun` started this process."""
        if "RANK" not in os.environ:
            return cls()
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        patient = dist.new_group(backend="gloo", timeout=PATIENCE)
        assert isinstance(patient, dist.ProcessGroup)  # every process is in it
        return cls(dist.get_rank(), dist.get_world_size(), patient)

    def gathered(self, value: Any) -> list[Any]:
        """The values of all processes, in each of them."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value, group=self.group)
        return values

    def from_first(self, value: Any) -> Any:
        """The first process's value, in each of them."""
        if self.count == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, group=self.group)
        return values[0]

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any of them."""
        return any(self.gathered(flag))

    def wait(self) -> None:
        """Return when all processes have come here, however long that takes the others."""
        if self.count > 1:
            dist.barrier(group=self.group)


class Stop:
    """Ctrl-C, a polite kill or a terminal that closes ends a training after the step in hand; a second Ctrl-C at once.

    A second kill does not: who ends a group of processes often tells each of them twice.
    """

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, number: int, *_: object) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]  # as nohup asks for
        before = {number: signal.signal(number, self) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that are started in this block do not hear the signals that end a training.

    A signal to the whole group would otherwise end the workers first, and the training in hand with them. They end
    with their parent all the same.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
