"""Cameras and streams, live: the newest picture counts, what comes too fast is dropped, what breaks off comes back."""

from __future__ import annotations

import errno
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

import av
from tqdm import tqdm

from upright.detector.input_names import Stream
from upright.detector.video_reader import best_video, reason
from upright.errors import InputError

PATIENCE = 10.0  # seconds without a picture, after which a stream counts as broken off
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds until the next try; each is twice the one before
GIVEN_UP_AFTER = 600.0  # seconds of tries in vain
OPTIONS = {"rtsp_transport": "tcp", "fflags": "nobuffer", "flags": "low_delay"}


def say(text: str) -> None:
    """Tell at once on stderr, beside a progress bar."""
    tqdm.write(f"warning: {text}", file=sys.stderr)


class LiveReader:
    """The pictures of a camera or stream as they come.

    A thread of its own decodes all of them and keeps the newest, so that whoever asks never gets an old one: the
    pictures that nobody asked for in time are dropped and counted.

    Args:
        stream: which one.
        stop: ends it from outside.
        seconds: end it so long after its first picture; None for never.
        tell: gets a line when it breaks off and when it is back.

    Attributes:
        fps: that the stream names, or 25.
        came, taken: pictures so far.
        failure: why it was given up, where it was.

    Raises:
        InputError: it is not there, or is no video.
    """

    def __init__(
        self,
        stream: Stream,
        stop: threading.Event,
        seconds: float | None = None,
        tell: Callable[[str], None] = say,
    ) -> None:
        self._stream = stream
        self._stop = stop
        self._seconds = seconds
        self._tell = tell
        self.came = self.taken = 0
        self.failure: str | None = None
        self._closed = threading.Event()
        self._news = threading.Condition()
        self._newest: tuple[int, float, Any] | None = None
        self._over = False
        self._began: float | None = None
        self._size: tuple[int, int] | None = None
        container, video = self._connect()
        rate = video.average_rate or video.guessed_rate
        self.fps = float(rate) if rate and 0 < rate <= 240 else 25.0
        self._thread = threading.Thread(target=self._follow, args=(container, video), daemon=True)
        self._thread.start()

    def __iter__(self) -> Generator[tuple[int, float, Any], None, None]:
        """Number of the picture among those that came, seconds since the first one came, the decoded frame."""
        try:
            while (newest := self._wait()) is not None:
                self.taken += 1
                yield newest
        finally:
            self.close()

    @property
    def dropped(self) -> int:
        return self.came - self.taken

    def close(self) -> None:
        self._closed.set()
        self._thread.join(timeout=2.0)  # it may wait for the network; it ends by itself

    def _ended(self) -> bool:
        late = self._seconds is not None and self._began is not None and monotonic() - self._began >= self._seconds
        return late or self._stop.is_set() or self._closed.is_set()

    def _wait(self) -> tuple[int, float, Any] | None:
        with self._news:
            while not self._ended():
                if self._newest is not None:
                    newest, self._newest = self._newest, None
                    return newest
                if self._over:
                    return None
                self._news.wait(timeout=0.1)
        return None

    def _connect(self) -> tuple[Any, Any]:
        name = self._stream.shown
        try:
            container = av.open(
                self._stream.address,
                format=self._stream.device,
                options=OPTIONS if self._stream.device is None else {},
                timeout=(PATIENCE, PATIENCE),
                metadata_errors="replace",
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            if getattr(error, "errno", None) == errno.EBUSY:
                raise InputError(f"the camera {name} is in use by another program: end that one") from None
            raise InputError(f"cannot open {name} ({reason(error)}): check the address, and that it runs") from None
        video = best_video(container, name)
        video.thread_type = "SLICE"  # threads by frames would hold some back
        return container, video

    def _follow(self, container: Any, video: Any) -> None:
        pause, broken = FIRST_PAUSE, monotonic()
        while not self._ended():
            why = "it ended"
            if container is not None:
                before = self.came
                try:
                    self._decode(container, video)
                except (av.FFmpegError, OSError) as error:
                    why = reason(error)
                container.close()
                if self.came > before:
                    pause, broken = FIRST_PAUSE, monotonic()
            if self._ended():
                break
            if monotonic() - broken > GIVEN_UP_AFTER:
                self.failure = f"it did not come back for {GIVEN_UP_AFTER:g} s"
                break
            self._tell(f"{self._stream.shown} broke off ({why}): trying again in {pause:g} s")
            until = monotonic() + pause
            while monotonic() < until and not self._ended():
                self._closed.wait(min(0.1, pause))
            pause = min(2 * pause, LONGEST_PAUSE)
            container = None
            if not self._ended():
                with suppress(InputError):
                    container, video = self._connect()
        self._over = True

    def _decode(self, container: Any, video: Any) -> None:
        """Until it ends; damaged pictures are passed over."""
        for packet in container.demux(video):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                if self._size not in (None, (frame.width, frame.height)):
                    self._tell(
                        f"{self._stream.shown} changed its size to {frame.width} x {frame.height}; "
                        "its annotated copy keeps the first one"
                    )
                self._size = (frame.width, frame.height)
                now = monotonic()
                with self._news:
                    self._began = now if self._began is None else self._began
                    self._newest = (self.came, now - self._began, frame)
                    self.came += 1
                    self._news.notify_all()
            if self._ended():
                return


@contextmanager
def ended_by_signals(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C, and what ends programs from outside, sets `stop`, once; the second time it is as it was before."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        before.clear()

    def handle(number: int, frame: object) -> None:
        stop.set()
        restore()

    for name in names:
        number = getattr(signal, name)
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
