"""Hours of video: nothing is kept of a frame that is not needed, and what was found is there when a run is ended."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from upright.detector import source_run
from upright.detector.engines.torch_engine import TorchEngine
from upright.detector.events import Line, Zone
from upright.detector.recording import Recorder
from upright.detector.result_files import DetectionsFile, TextOutput, TextPerSource
from upright.detector.result_lines import count_rows, detection_rows, event_rows, json_lines, mot_lines
from upright.detector.settings import PRESETS
from upright.detector.source_run import detect_sources
from upright.detector.sources import Frame, Source

FPS = 25.0
WATCHED = [Line("door", (80.0, 0.0), (80.0, 120.0)), Zone("end", ((100.0, 0.0), (160.0, 0.0), (160.0, 120.0)))]


class Passers(torch.nn.Module):
    """A detector that finds somebody new walking through every four seconds, with a gap in the middle of the way."""

    settings = PRESETS["light"]

    def __init__(self) -> None:
        super().__init__()
        self.frame = 0

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        step = self.frame % 100
        self.frame += 1
        x = 1.3 * step
        seen = step < 95 and not 40 <= step < 50
        boxes = torch.tensor([[x, 40.0, x + 20, 100.0]] if seen else []).reshape(-1, 4)
        return [{"boxes": boxes, "scores": torch.full((len(boxes),), 0.9), "labels": torch.ones(len(boxes))}]


def outputs_into(folder: Path) -> list:
    """Every file of results that grows."""
    return [
        DetectionsFile(folder / "detections.json", {}),
        TextOutput(folder / "detections.jsonl", json_lines),
        TextOutput(folder / "detections.csv", detection_rows),
        TextOutput(folder / "events.csv", event_rows),
        TextOutput(folder / "counts.csv", count_rows),
        TextPerSource(lambda source: folder / "long.txt", mot_lines),
    ]


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, frames: int, model: torch.nn.Module) -> Recorder:
    """A video of so many frames through the whole program but for its decoding."""
    source = Source(Path("long.mp4"), folder / "long.mp4", True, frames)
    image = np.zeros((120, 160, 3), np.uint8)

    def read_frames(source: Source, *_: object) -> Iterator[Frame]:
        for number in range(frames):
            yield Frame(source, image, number, FPS, number / FPS)

    monkeypatch.setattr(source_run, "read_frames", read_frames)
    recorder = Recorder(0.5, outputs_into(folder), track=True, watched=WATCHED)
    try:
        detect_sources(TorchEngine(model.eval()), [source], recorder, progress=False)
    finally:
        recorder.close()
    return recorder


def test_memory_does_not_grow_with_the_video(tmp_path, monkeypatch):
    (tmp_path / "warm").mkdir()
    run(tmp_path / "warm", monkeypatch, 300, Passers())
    held = {}
    for frames in (500, 2500):
        folder = tmp_path / str(frames)
        folder.mkdir()
        tracemalloc.start()
        run(folder, monkeypatch, frames, Passers())
        held[frames] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # A number kept of each of the 2000 frames more would take 64 kB at least.
    assert held[2500] - held[500] < 50_000


def test_a_run_that_is_ended_in_the_middle_leaves_all_that_was_found(tmp_path, monkeypatch):
    class Ended(Passers):
        def forward(self, images):
            if self.frame == 1000:
                raise KeyboardInterrupt
            return super().forward(images)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, monkeypatch, 2000, Ended())
    content = json.loads((tmp_path / "detections.json").read_text())
    count = len(content["images"])
    assert 980 <= count <= 1000, "those few frames may be lost that were on their way"
    assert [image["frame"] for image in content["images"]] == list(range(count))
    lines = [json.loads(line) for line in (tmp_path / "detections.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines if "people" in line] == list(range(count))
    people = sum(len(line.get("people", [])) for line in lines)
    assert len(content["detections"]) == people == (tmp_path / "long.txt").read_text().count("\n")


def test_people_who_pass_are_counted_through_their_gaps(tmp_path, monkeypatch):
    recorder = run(tmp_path, monkeypatch, 1000, Passers())
    assert recorder.crossings == {"door right": 10, "door left": 0}
