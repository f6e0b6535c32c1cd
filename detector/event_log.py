"""Numbers of a training for TensorBoard, written at once: a full disk is told to who writes, not to a thread."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


class EventLog:
    """A file of TensorBoard's events.

    Args:
        folder: where it is made; TensorBoard reads all such files there, one after the other.
        step: the first that will be written; what older files hold from there on is hidden.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, folder: Path, step: int) -> None:
        # "tfevents" in the name is what TensorBoard looks for; by the time it puts files in order.
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{time.time_ns()}"
        self._file = (folder / name).open("wb")
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        start = SessionLog(status=SessionLog.SessionStatus.START)
        self._write(Event(wall_time=time.time(), step=step, session_log=start))

    def _write(self, event: Event) -> None:
        self._records.write(event.SerializeToString())

    def add(self, step: int, numbers: dict[str, float]) -> None:
        """Write numbers by name."""
        values = [Summary.Value(tag=name, simple_value=float(number)) for name, number in numbers.items()]
        self._write(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))
        self._records.flush()

    def close(self) -> None:
        self._records.close()
