"""Find people in pictures and videos.

    python tools/detect.py street.mp4 --output found
    python tools/detect.py photos/ a.jpg b.avi --output found --threshold 0.7
    python tools/detect.py street.mp4 --output found --weights runs/mine/best.safetensors --device cuda --batch-size 8
    python tools/detect.py street.mp4 --output found --pose --crops
    python tools/detect.py rtsp://camera.local/street --output found --seconds 60 --fps 5
    python tools/detect.py street.mp4 --output found --track --line door=320,0,320,480 --outputs json,jsonl,events
    python tools/detect.py street.mp4 --output found --track --page --serve 8000
    torchrun --nproc-per-node 4 tools/detect.py videos/ --output found --no-copies --outputs csv

Writes an annotated copy of every picture and video (H.264 with the same size, times and sound) and one
`detections.json`: ids from 1 in the order of the inputs, one entry a picture or video frame, boxes
[x, y, width, height] in pixels, frames counted from 0, seconds when the video shows them. Weights that tell how people
stand add "lean" (degrees of the trunk from upright, clockwise) and "parts" (quadrilaterals of head, torso and legs, and
how likely each is seen), --track adds "track". People below the threshold are neither drawn nor written, but for those
whom --track follows down to 0.7 of the weights' own threshold; where --threshold is given, nothing below it counts.

Ctrl-C and SIGTERM keep what was found until then. Processes that torchrun starts, on one machine or on several that see
the same folders, share the inputs, and the last one joins the results; after a kill the same command goes on with what
is not done.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from upright.errors import InputError
from upright.tools.command import run
from upright.tools.engine_flags import add_engine_flags, chosen_engine
from upright.tools.input_flags import add_selection_flags, chosen_selection
from upright.tools.output_flags import add_output_flags, build_outputs, chosen_outputs, watched_of
from upright.tools.shared_detection import Report, detect_shared, started_together

if TYPE_CHECKING:
    from upright.detector.sources import Source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="a picture, a video, a folder of them, a quoted pattern, a text file of names, the number of a camera "
        "(0), or the address of a stream (rtsp://, http://)",
    )
    parser.add_argument("--output", required=True, metavar="DIR", type=Path, help="where the results go")
    parser.add_argument("--weights", metavar="FILE", help="a weights file or an exported one (default: the released)")
    parser.add_argument("--threshold", type=float, metavar="X", help="lowest score, 0 to 1 (default: the weights' own)")
    parser.add_argument(
        "--pose", action="store_true", help="draw head, torso, legs and lean of each person, by an arrow up the body"
    )
    parser.add_argument(
        "--crops", action="store_true", help="also write NAME-crops: each person cut out and set upright, and the parts"
    )
    add_engine_flags(parser)
    parser.add_argument(
        "--batch-size", type=int, default=1, metavar="N", help="frames a call of the detector (default: 1)"
    )
    add_selection_flags(parser)
    add_output_flags(parser)
    arguments = parser.parse_args()
    if not all(arguments.inputs):
        raise InputError("an input without a name, '', would be all of this folder: give its name, or . for that")
    if arguments.threshold is not None and not 0 <= arguments.threshold <= 1:
        raise InputError(f"--threshold {arguments.threshold:g} is not a score: use 0 to 1")
    if arguments.batch_size < 1:
        raise InputError(f"--batch-size {arguments.batch_size} is not a number of frames: use 1 or more")
    if arguments.no_copies and (arguments.pose or arguments.crops):
        raise InputError("--pose and --crops are drawn into annotated copies: leave --no-copies out")
    if started_together() and (arguments.page or arguments.serve is not None):
        raise InputError("--page and --serve show the run of one process: leave them out, or start it alone")
    chosen_outputs(arguments)
    chosen_selection(arguments)
    detect(arguments)


def detect(arguments: argparse.Namespace) -> None:
    # Imported late, so that --help and bad arguments are answered at once.
    import cv2

    from upright.detector.live import ended_by_signals
    from upright.detector.recording import Recorder
    from upright.detector.source_run import detect_sources
    from upright.detector.sources import find_sources
    from upright.detector.tracking import HOLDING

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what it has to say, our errors say in one line
    watched = watched_of(arguments)
    if arguments.track:
        import trackers  # noqa: F401  # before any work: it may not be installed
    notes: list[str] = []
    sources = find_sources(arguments.inputs, arguments.output, notes)
    engine = chosen_engine(arguments)
    for flag in ("pose", "crops", "fallen"):
        if getattr(arguments, flag) and not engine.settings.tells_pose:
            raise InputError(f"these weights do not tell how people stand: leave --{flag} out, or take others")
    try:
        arguments.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {arguments.output} ({error.strerror}): give another") from None
    threshold = engine.settings.threshold if arguments.threshold is None else arguments.threshold
    holding = HOLDING * threshold if arguments.threshold is None else threshold
    settings = {"weights": arguments.weights or "released", "threshold": threshold}
    if arguments.track:
        settings["track_threshold"] = round(holding, 4)

    def detect_some(sources: Sequence[Source], part: Path | None = None) -> Report:
        outputs = build_outputs(arguments, watched, settings, part)
        stop = Event()
        recorder = Recorder(threshold, outputs, track=arguments.track, holding=holding, watched=watched)
        try:
            with ended_by_signals(stop) if any(source.live for source in sources) else nullcontext():
                timing, more, errors = detect_sources(
                    engine,
                    sources,
                    recorder,
                    batch_size=arguments.batch_size,
                    selection=chosen_selection(arguments),
                    stop=stop,
                )
        except BaseException:  # Ctrl-C, say: what was found until then stays
            recorder.close()
            raise
        try:
            recorder.close()
        except InputError as fault:
            errors.append(fault)
        lines = [" ".join(str(error).split()) for error in errors]
        return Report(timing.frames, timing.summary(), recorder.people, recorder.crossings, more, lines)

    report = detect_shared(arguments, sources, settings, detect_some) if started_together() else detect_some(sources)
    if report is not None:
        show(report, notes, arguments.output)


def show(report: Report, notes: list[str], output: Path) -> None:
    """Say what was done, and raise the last error."""
    for note in notes + report.notes:
        print(f"warning: {note}", file=sys.stderr)
    print(f"{report.summary}; {report.people} detection{'s' * (report.people != 1)} in {output}")
    for name, count in report.crossings.items():
        print(f"{name}: {count}")
    for failure in report.errors[:-1]:
        print(f"error: {failure}", file=sys.stderr)
    if report.errors:
        raise InputError(report.errors[-1])


if __name__ == "__main__":
    run(main)
