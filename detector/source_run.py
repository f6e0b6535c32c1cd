"""Pictures and videos through the model: decoding ahead of it, drawing and writing behind it, each in its thread."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import repeat, takewhile
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Protocol

from tqdm import tqdm

from upright.detector.detected import Detected
from upright.detector.engines.engine import Engine
from upright.detector.frames import read_frames
from upright.detector.inference import ahead, batches
from upright.detector.selection import Selection
from upright.detector.sources import Frame, Source
from upright.errors import DiskFull, InputError


@dataclass
class Timing:
    """Frames, and the seconds that each stage worked on them; the stages run at the same time."""

    frames: int = 0
    decoding: float = 0.0
    model: float = 0.0
    drawing: float = 0.0
    wall: float = 0.0

    def summary(self) -> str:
        def fps(seconds: float) -> str:
            return f"{self.frames / max(seconds, 1e-9):.1f}"

        return (
            f"{self.frames} frame{'s' * (self.frames != 1)} in {self.wall:.1f} s, {fps(self.wall)} frames a second "
            f"(decoding alone {fps(self.decoding)}, model {fps(self.model)}, "
            f"drawing and writing {fps(self.drawing)})"
        )


class Stage(Protocol):
    """What follows the model; called in one thread, in the order of the frames."""

    def add(self, frame: Frame, found: Detected) -> None: ...

    def finish(self) -> None:
        """The source of the last frames was read to its end."""

    def stop(self) -> None:
        """It was broken off, by who ends the run, what fails on a live source or a full disk: what was found is kept.

        Raises:
            Exception: not all of it is.
        """

    def discard(self) -> None:
        """It failed: nothing of it is kept."""


@dataclass(frozen=True)
class SourceEnd:
    """Stands in the stream of frames after the last one of a source."""

    source: Source | None
    error: InputError | None


END = SourceEnd(None, None)  # this very one stands after all sources


def detect_sources(
    engine: Engine,
    sources: Sequence[Source],
    stage: Stage,
    *,
    batch_size: int = 1,
    progress: bool = True,
    selection: Selection | None = None,
    stop: Event | None = None,
) -> tuple[Timing, list[str], list[InputError]]:
    """Run a model over pictures and videos and hand each frame on with what was found in it.

    Decoding, the model and `stage` run at the same time. A source that cannot be read, searched, drawn or written is
    noted with the reason, and the next one goes on; of a live one, and of a video whose results meet a full disk, what
    was found until then is kept.

    Args:
        engine: the detector.
        sources: of `upright.detector.sources.find_sources`.
        stage: gets every frame; `finish`, `discard` or `stop` after each source, and `stop` when this function ends
            early.
        batch_size: frames a call of the model at most; fewer where they are large.
        progress: show a progress bar where stderr is a terminal.
        selection: which frames of videos count.
        stop: ends a live source where it is, as if it had ended there.

    Returns:
        the timing, one line for each source that is odd, and one error for each that failed.
    """
    stop = Event() if stop is None else stop
    live = any(source.live for source in sources)
    # Of a live source nothing is read ahead, so that the model gets the newest frame there is.
    batch_size = 1 if live else batch_size
    depth = 1 if live else 2 * batch_size + 2
    run = SourceRun(engine, sources, stage, batch_size, selection, stop)
    start = perf_counter()
    try:
        with (
            tqdm(
                total=sum(source.frames for source in sources),
                desc="detecting",
                unit="frame",
                disable=None if progress else True,
                leave=False,
            ) as bar,
            closing(ahead(repeat(run.decode), depth=depth, size=pixel_bytes)) as decoded,
            closing(
                ahead(run.detect(takewhile(lambda item: item is not END, decoded)), depth=2 if live else 4)
            ) as done,
            _set_on_failure(stop),
        ):
            for count in done:
                run.timing.frames += count
                bar.update(count)
    except BaseException:  # Ctrl-C, say
        with suppress(Exception):
            stage.stop()
        raise
    run.timing.wall = perf_counter() - start
    return run.timing, run.notes, run.errors


class SourceRun:
    """What the threads of `detect_sources` do: one decodes, the caller's detects, one hands on to the stage.

    Args:
        engine, sources, stage, batch_size, selection, stop: as of `detect_sources`.

    Attributes:
        timing, notes, errors: what `detect_sources` returns, as far as it has come.
    """

    def __init__(
        self,
        engine: Engine,
        sources: Sequence[Source],
        stage: Stage,
        batch_size: int,
        selection: Selection | None,
        stop: Event,
    ) -> None:
        self.timing = Timing()
        self.notes: list[str] = []
        self.errors: list[InputError] = []
        self._engine = engine
        self._given_up: set[Path] = set()  # copies, since an input may be named twice
        self._frames = stream(sources, self.notes, self._given_up, selection, stop)
        self._stage = stage
        self._batch_size = batch_size

    def decode(self) -> Frame | SourceEnd:
        """The next of the stream, `END` after the last."""
        with timed(self.timing, "decoding"):
            return next(self._frames, END)

    def detect(self, items: Iterator[Frame | SourceEnd]) -> Iterator[Callable[[], int]]:
        """For each item a call that hands it on, once the model has seen its batch; it gives the frames done."""
        for batch in batches(items, self._batch_size, pixel_bytes):
            with timed(self.timing, "model"):
                outputs = iter(self._outputs([item for item in batch if isinstance(item, Frame)]))
            for item in batch:
                if isinstance(item, Frame):
                    yield partial(self.hand_on, item, next(outputs))
                else:
                    yield partial(self.end, item)

    def _outputs(self, frames: list[Frame]) -> list[Detected | InputError]:
        """For each frame what the model gives, or why it fails."""
        if not frames:
            return []
        try:
            return list(self._engine.detect([frame.image for frame in frames]))
        except Exception as error:
            if len(frames) > 1:  # one of them, or all of them together
                return [self._outputs([frame])[0] for frame in frames]
            return [as_input_error(error, frames[0].source, "searched")]

    def hand_on(self, frame: Frame, output: Detected | InputError) -> int:
        """Give the stage a frame with what was found in it."""
        if frame.source.output in self._given_up:
            return 0
        with timed(self.timing, "drawing"):
            try:
                if isinstance(output, InputError):
                    raise output
                self._stage.add(frame, output)
            except Exception as error:
                self._give_up(frame.source, error, "searched" if error is output else "drawn or written")
                return 0
        return 1

    def end(self, item: SourceEnd) -> int:
        """Tell the stage that a source is over."""
        if item.source is None or item.source.output in self._given_up:
            return 0
        with timed(self.timing, "drawing"):
            try:
                if item.error is not None:
                    raise item.error
                self._stage.finish()
            except Exception as error:
                self._give_up(item.source, error, "finished")
        return 0

    def _give_up(self, source: Source, error: Exception, what: str) -> None:
        self._given_up.add(source.output)
        first = as_input_error(error, source, what)
        # What a live source showed is shown by nobody again; hours may have been searched until a disk was full.
        if not source.live and not (source.is_video and isinstance(error, DiskFull)):
            self.errors.append(first)
            self._stage.discard()
            return
        self.errors.append(InputError(f"{first}; what was found until then is kept"))
        try:
            self._stage.stop()
        except Exception as second:
            if str(second) != str(error):
                self.errors.append(as_input_error(second, source, "finished"))


def pixel_bytes(item: Frame | SourceEnd) -> int:
    """Memory that an item of the stream takes."""
    return item.image.nbytes if isinstance(item, Frame) else 0


def as_input_error(error: Exception, source: Source, what: str) -> InputError:
    """What went wrong with a source in one line that names it."""
    if isinstance(error, InputError) and (source.path.name in str(error) or source.name in str(error)):
        return error
    reason = " ".join(str(error).split()) or "no reason given"
    if isinstance(error, MemoryError) or "out of memory" in reason or "allocate" in reason:
        return InputError(f"{source.name} could not be {what}: it takes more memory than there is; make it smaller")
    if not isinstance(error, InputError):
        reason = f"{type(error).__name__}: {reason}"
    return InputError(f"{source.name} could not be {what} ({reason})")


def stream(
    sources: Sequence[Source],
    notes: list[str],
    given_up: Container[Path],
    selection: Selection | None,
    stop: Event,
) -> Iterator[Frame | SourceEnd]:
    """The frames of all sources, a `SourceEnd` after each.

    Args:
        sources: in their order.
        notes, selection, stop: as in `read_frames`; after `stop` no other source is begun.
        given_up: copies of the sources that are read no further.
    """
    for source in sources:
        if stop.is_set():
            return
        try:
            with closing(read_frames(source, notes, selection, stop)) as frames:
                yield from takewhile(lambda frame: frame.source.output not in given_up, frames)
            yield SourceEnd(source, None)
        except Exception as error:
            yield SourceEnd(source, as_input_error(error, source, "read"))


@contextmanager
def _set_on_failure(stop: Event) -> Iterator[None]:
    """So that nobody waits for a live source any more."""
    try:
        yield
    except BaseException:
        stop.set()
        raise


@contextmanager
def timed(timing: Timing, stage: str) -> Iterator[None]:
    """Add the time spent inside to a stage; each stage has one thread."""
    start = perf_counter()
    try:
        yield
    finally:
        setattr(timing, stage, getattr(timing, stage) + perf_counter() - start)
