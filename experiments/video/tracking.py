"""Tracks and counts on rendered video, where it is known who is where.

    python experiments/video/tracking.py --document docs/video.md
    python experiments/video/tracking.py --weights one.safetensors other.safetensors --document docs/video.md

Renders streets, finds and tracks people as `detect.py --track` does with each weights file, and compares: IDF1 and
MOTA with all people of at least 40 pixels who are seen at least to 0.3, the others counting neither way; and the
crossings of three upright lines, each a quarter of the picture from the next, with those of people seen at least half
while they cross.
Exported weights (.onnx) run on OpenVINO, which takes a fraction of the time.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from upright.datasets.synthetic.video import render_video
from upright.detector.detected import Detected
from upright.detector.engines.choice import open_engine
from upright.detector.engines.engine import Engine
from upright.detector.evaluation.tracks import Crossing, TrackScore, compare_crossings
from upright.detector.events import Event, Line, Watcher
from upright.detector.tracking import HOLDING, PersonTracker
from upright.detector.video_reader import VideoReader
from upright.tools.command import run
from upright.tools.report import number, table, write_block

SIZE, FPS = (640, 480), 12.5
LEAST_HEIGHT, LEAST_SEEN = 40, 0.3  # of people who are to be tracked: pixels, and the share that is seen
SEEN_CROSSING = 0.5  # the share that is seen of somebody whose crossing is to be counted
WITHIN = 2.0  # seconds from a crossing, in which it is counted
LINES = [Line(str(part), (SIZE[0] * part / 4, 0.0), (SIZE[0] * part / 4, float(SIZE[1]))) for part in (1, 2, 3)]


@dataclass(frozen=True)
class Clip:
    """A rendered video: who is where in each frame, and what was found there."""

    truth: list[dict[str, np.ndarray]]
    found: list[Detected]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="+", metavar="FILE", help="default: the released ones")
    parser.add_argument("--videos", type=int, default=24, help="how many are rendered (default: 24)")
    parser.add_argument("--seconds", type=float, default=12, help="length of each (default: 12)")
    parser.add_argument("--every", type=int, nargs="+", default=[1, 3], metavar="N", help="frames apart (default: 1 3)")
    parser.add_argument("--device", metavar="D", help="default: a GPU where there is one")
    parser.add_argument("--document", type=Path, metavar="FILE", help="Markdown whose 'tracks' block to rewrite")
    arguments = parser.parse_args()
    engines = {
        "released" if file is None else Path(file).stem: open_engine(file, device=arguments.device)
        for file in arguments.weights or [None]
    }
    videos = [clips_of(list(engines.values()), seed, arguments.seconds) for seed in range(1, arguments.videos + 1)]
    rows = []
    for (name, engine), clips in zip(engines.items(), zip(*videos, strict=True), strict=True):
        rows += [row(name, clips, engine.settings.threshold, every) for every in arguments.every]
    head = ["weights", "frames a second", "people", "IDF1", "MOTA", "switches", "crossings", "counted", "rightly"]
    lines = [f"{arguments.videos} videos of {arguments.seconds:g} s:", "", *table(head, rows)]
    print("\n".join(lines))
    if arguments.document:
        write_block(arguments.document, "tracks", lines)


def clips_of(engines: Sequence[Engine], seed: int, seconds: float) -> list[Clip]:
    """Render a video and find people in it, with each engine."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "street.mp4"
        truth = render_video(path, seed=seed, seconds=seconds, fps=FPS, size=SIZE, progress=False)
        found = [[engine.detect([image])[0] for engine in engines] for image in VideoReader(path)]
    return [Clip(truth, list(frames)) for frames in zip(*found, strict=True)]


def row(name: str, clips: Sequence[Clip], threshold: float, every: int) -> list[str]:
    """Of the table: one weights file at one rate."""
    figures = score(clips, threshold, every)
    true, counted, rightly = crossings(clips, threshold, every)
    counts = [str(int(figures["num_unique_objects"])), number(figures["idf1"]), number(figures["mota"])]
    return [name, f"{FPS / every:.3g}", *counts, str(int(figures["num_switches"])), *map(str, (true, counted, rightly))]


def tracked(one: Clip, threshold: float, every: int) -> Iterator[tuple[int, dict[str, np.ndarray], Detected]]:
    """Every Nth frame: its number, who is there, and who was tracked."""
    tracker = PersonTracker(FPS, threshold, HOLDING * threshold)
    for frame in range(0, len(one.truth), every):
        yield frame, one.truth[frame], tracker.update(one.found[frame], frame / FPS)


def score(clips: Sequence[Clip], threshold: float, every: int = 1) -> dict[str, float]:
    """IDF1, MOTA and the like, as of `TrackScore`."""
    score = TrackScore()
    for one in clips:
        score.begin()
        for _, truth, found in tracked(one, threshold, every):
            boxes = truth["boxes"]
            tall = boxes[:, 3] - boxes[:, 1] >= LEAST_HEIGHT
            wanted = (truth["track"] >= 0) & ~truth["ignore"] & tall & (truth["visible_ratio"] >= LEAST_SEEN)
            assert found.track is not None  # `tracked` sets it
            known = found.track > 0
            score.add(boxes[wanted], truth["track"][wanted], boxes[~wanted], found.boxes[known], found.track[known])
    return score.figures()


def crossings(clips: Sequence[Clip], threshold: float, every: int = 1) -> tuple[int, int, int]:
    """Crossings of `LINES` by people in sight: how many there are, how many were counted, how many of these rightly."""
    total = np.zeros(3, int)
    for one in clips:
        true, seen = Watcher(LINES), Watcher(LINES)
        went: list[Crossing] = []
        counted: list[Crossing] = []
        for frame, truth, found in tracked(one, threshold, every):
            boxes, walkers = truth["boxes"], truth["track"] >= 0
            people = Detected(
                boxes[walkers].astype(np.float64), np.ones(walkers.sum()), track=truth["track"][walkers] + 1
            )
            tall = boxes[:, 3] - boxes[:, 1] >= LEAST_HEIGHT
            in_sight = set((truth["track"][tall & (truth["visible_ratio"] >= SEEN_CROSSING)] + 1).tolist())
            went += [crossing(event, event.track in in_sight) for event in true.see(people, frame / FPS, frame)]
            counted += [crossing(event) for event in seen.see(found, frame / FPS, frame)]
        total += compare_crossings(went, counted, WITHIN)
    return int(total[0]), int(total[1]), int(total[2])


def crossing(event: Event, counts: bool = True) -> Crossing:
    """The event as what is compared."""
    return Crossing(event.seconds, f"{event.name} {event.direction}", counts)


if __name__ == "__main__":
    run(main)
