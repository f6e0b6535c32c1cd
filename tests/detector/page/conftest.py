"""People who walk through a grey street, as records, as a video and as a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from upright.detector.detected import Detected
from upright.detector.events import Event, Line, Zone
from upright.detector.page.page import Page
from upright.detector.recording import FrameRecord
from upright.detector.sources import Frame, Source

FPS = 10
SIZE = (320, 240)
FRAMES = 60
WATCHED = [Line("door", (160, 100), (160, 230)), Zone("yard", ((10, 120), (150, 120), (150, 230), (10, 230)))]


def people_at(number: int) -> Detected:
    """Person 1 walks from left to right all the time, person 2 stands at the right from frame 20 to 39."""
    boxes, scores, tracks = [[10 + 4 * number, 100, 40 + 4 * number, 200]], [0.9], [1]
    if 20 <= number < 40:
        boxes, scores, tracks = [*boxes, [270, 60, 300, 140]], [*scores, 0.5 + 0.01 * number], [*tracks, 2]
    return Detected(np.array(boxes, float), np.array(scores), track=np.array(tracks))


def image_at(number: int) -> np.ndarray:
    """The street, with people as boards of different colours."""
    image = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
    image[180:] = 90
    found = people_at(number)
    for box, track in zip(found.boxes.astype(int).tolist(), found.track.tolist(), strict=True):
        image[box[1] : box[3], box[0] : box[2]] = (200, 60, 40) if track == 1 else (40, 90, 200)
    return image


def events_at(number: int) -> tuple[Event, ...]:
    kinds = {
        5: Event("entered", 0.5, 5, 1, "yard"),
        33: Event("crossed", 3.3, 33, 1, "door", "right"),
        34: Event("left", 3.4, 34, 1, "yard", duration=2.9),
        38: Event("fallen", 3.8, 38, 2, direction="left"),
    }
    return (kinds[number],) if number in kinds else ()


def record_at(number: int, source: Source) -> FrameRecord:
    found = people_at(number)
    counts = {"people": len(found.scores), "door right": int(number >= 33), "door left": 0, "yard": 0}
    return FrameRecord(
        Frame(source, image_at(number), number, float(FPS), number / FPS), found, events_at(number), counts
    )


def write_video(path: Path, frames: int = FRAMES) -> Path:
    """The walk in H.264, as browsers play it."""
    av = pytest.importorskip("av", reason="the videos of these tests are written by PyAV")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(FPS))
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image_at(number), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def add_walk(page: Page, path: Path, output: Path, frames: int = FRAMES) -> None:
    source = Source(path, output, True, frames)
    page.begin(source)
    for number in range(frames):
        page.add(record_at(number, source))
    page.finish(())


def add_picture(page: Page, path: Path, found: Detected) -> None:
    cv2.imwrite(str(path), image_at(0)[..., ::-1])
    source = Source(path, path, False, 1)
    page.begin(source)
    page.add(FrameRecord(Frame(source, image_at(0)), found, (), {"people": len(found.scores)}))
    page.finish(())


class Walk:
    """The functions and figures above, for the tests."""

    fps, size, frames, watched = FPS, SIZE, FRAMES, WATCHED
    people_at, record_at = staticmethod(people_at), staticmethod(record_at)
    write_video = staticmethod(write_video)
    add_to, add_picture = staticmethod(add_walk), staticmethod(add_picture)


@pytest.fixture(scope="session")
def walk() -> type[Walk]:
    return Walk


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Any]]:
    """Open an address; at the end of the test nothing may have gone wrong in the browser.

    The page's `asked` are the addresses that it asked for.
    """
    contexts, faults = [], []

    def visit(address: str, width: int = 1280, faultless: bool = True, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        if faultless:
            # The browser's advice about getImageData is for the tests, which look at the canvas.
            page.on("console", lambda message: "readback" in message.text or faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert faults == []
