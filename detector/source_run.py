"""Pictures and videos through the model: decoding ahead of it, drawing and writing behind it, each in its thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice, repeat, takewhile
from time import perf_counter
from typing import Protocol

import torch
from tqdm import tqdm

from upright.detector.inference import Detected, ahead, detect_pictures
from upright.detector.video import Frame, Source, read_frames
from upright.errors import InputError


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

    def discard(self) -> None:
        """It was not."""


@dataclass(frozen=True)
class SourceEnd:
    """Stands in the stream of frames after the last one of a source."""

    error: InputError | None


END = SourceEnd(None)  # this very one stands after all sources


def detect_sources(
    model: torch.nn.Module,
    sources: Sequence[Source],
    stage: Stage,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 1,
    progress: bool = True,
) -> tuple[Timing, list[str], list[InputError]]:
    """Run a model over pictures and videos and hand each frame on with what was found in it.

    Decoding, the model and `stage` run at the same time. A source that cannot be read is passed over.

    Args:
        model: a detector with torchvision's interface, in eval mode, on `device`.
        sources: of `upright.detector.video.find_sources`.
        stage: gets every frame; `finish` or `discard` after each source, and `discard` when this function ends early.
        device: where the model is.
        batch_size: frames a call of the model.
        progress: show a progress bar where stderr is a terminal.

    Returns:
        the timing, one line for each source that seems cut off, and the errors of those passed over.
    """
    run = SourceRun(model, sources, stage, device, batch_size)
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
            closing(ahead(repeat(run.decode), depth=2 * batch_size + 2)) as decoded,
            closing(ahead(run.detect(takewhile(lambda item: item is not END, decoded)))) as done,
        ):
            for count in done:
                run.timing.frames += count
                bar.update(count)
    finally:
        stage.discard()
    run.timing.wall = perf_counter() - start
    return run.timing, run.notes, run.errors


class SourceRun:
    """What the threads of `detect_sources` do: one decodes, the caller's detects, one hands on to the stage.

    Args:
        model, sources, stage, device, batch_size: as of `detect_sources`.

    Attributes:
        timing, notes, errors: what `detect_sources` returns, as far as it has come.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        sources: Sequence[Source],
        stage: Stage,
        device: torch.device | str,
        batch_size: int,
    ) -> None:
        self.timing = Timing()
        self.notes: list[str] = []
        self.errors: list[InputError] = []
        self._model = model
        self._frames = stream(sources, self.notes)
        self._stage = stage
        self._device = device
        self._batch_size = batch_size

    def decode(self) -> Frame | SourceEnd:
        """The next of the stream, `END` after the last."""
        with timed(self.timing, "decoding"):
            return next(self._frames, END)

    def detect(self, items: Iterator[Frame | SourceEnd]) -> Iterator[Callable[[], int]]:
        """For each item a call that hands it on, once the model has seen its batch; it gives the frames done."""
        while batch := list(islice(items, self._batch_size)):
            images = [item.image for item in batch if isinstance(item, Frame)]
            with timed(self.timing, "model"):
                outputs = iter(detect_pictures(self._model, images, self._device) if images else [])
            for item in batch:
                if isinstance(item, Frame):
                    yield partial(self.hand_on, item, next(outputs))
                else:
                    yield partial(self.end, item)

    def hand_on(self, frame: Frame, output: dict[str, torch.Tensor]) -> int:
        """Give the stage a frame with what was found in it."""
        with timed(self.timing, "drawing"):
            self._stage.add(frame, Detected.of(output))
        return 1

    def end(self, item: SourceEnd) -> int:
        """Tell the stage that a source is over."""
        with timed(self.timing, "drawing"):
            if item.error is None:
                self._stage.finish()
            else:
                self.errors.append(item.error)
                self._stage.discard()
        return 0


def stream(sources: Sequence[Source], notes: list[str]) -> Iterator[Frame | SourceEnd]:
    """The frames of all sources, a `SourceEnd` after each; `notes` as in `read_frames`."""
    for source in sources:
        try:
            yield from read_frames(source, notes)
            yield SourceEnd(None)
        except InputError as error:
            yield SourceEnd(error)


@contextmanager
def timed(timing: Timing, stage: str) -> Iterator[None]:
    """Add the time spent inside to a stage; each stage has one thread."""
    start = perf_counter()
    try:
        yield
    finally:
        setattr(timing, stage, getattr(timing, stage) + perf_counter() - start)
