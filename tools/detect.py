"""Find people in pictures and videos.

    python tools/detect.py street.mp4 --output found
    python tools/detect.py photos/ a.jpg b.avi --output found --threshold 0.7
    python tools/detect.py street.mp4 --output found --weights runs/mine/best.safetensors --device cuda --batch-size 8
    python tools/detect.py street.mp4 --output found --crops

Writes an annotated copy of every picture and video (MPEG-4 at the same size and frame rate) and one
`detections.json`: ids from 1 in the order of the inputs, one entry a picture or video frame, boxes
[x, y, width, height] in pixels, frames counted from 0, seconds = frame / frame rate. People below the threshold are
neither drawn nor written.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from upright.errors import InputError
from upright.tools.command import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="a picture, a video, or a folder of them")
    parser.add_argument("--output", required=True, metavar="DIR", type=Path, help="where the results go")
    parser.add_argument("--weights", metavar="FILE", help="a weights file (default: the released ones)")
    parser.add_argument("--threshold", type=float, metavar="X", help="lowest score, 0 to 1 (default: the weights' own)")
    parser.add_argument(
        "--crops", action="store_true", help="also write NAME-crops: what the spatial transformers read of each person"
    )
    parser.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1 ... (default: a GPU where there is one)")
    parser.add_argument(
        "--batch-size", type=int, default=1, metavar="N", help="frames a call of the model (default: 1)"
    )
    arguments = parser.parse_args()
    if not all(arguments.inputs):
        raise InputError("an input without a name, '', would be all of this folder: give its name, or . for that")
    if arguments.threshold is not None and not 0 <= arguments.threshold <= 1:
        raise InputError(f"--threshold {arguments.threshold:g} is not a score: use 0 to 1")
    if arguments.batch_size < 1:
        raise InputError(f"--batch-size {arguments.batch_size} is not a number of frames: use 1 or more")
    detect(arguments)


def detect(arguments: argparse.Namespace) -> None:
    # Imported late, so that --help and bad arguments are answered at once.
    import cv2

    from upright.detector.inference import choose_device
    from upright.detector.recording import Recorder
    from upright.detector.source_run import detect_sources
    from upright.detector.sources import RESULTS, find_sources
    from upright.detector.weights import load_detector

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what it has to say, our errors say in one line
    notes: list[str] = []
    sources = find_sources(arguments.inputs, arguments.output, notes)
    device = choose_device(arguments.device)
    model = load_detector(arguments.weights, device)
    transformation = None
    if arguments.crops:
        transformation = model.pose_pool_transformation
        if transformation is None:
            raise InputError("these weights have no spatial transformers, so there are no crops: leave --crops out")
        model.return_theta = True
    try:
        arguments.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {arguments.output} ({error.strerror}): give another") from None

    threshold = model.settings.threshold if arguments.threshold is None else arguments.threshold
    recorder = Recorder(threshold, transformation)

    def write_results() -> None:
        if recorder.images:
            settings = {"weights": arguments.weights or "released", "threshold": threshold}
            recorder.write(arguments.output / RESULTS, settings)

    try:
        timing, more, errors = detect_sources(model, sources, recorder, device=device, batch_size=arguments.batch_size)
    except BaseException:  # Ctrl-C, say: what is finished stays, and the file speaks of just that
        write_results()
        raise
    try:
        write_results()
    except InputError as fault:
        errors.append(fault)
    for note in notes + more:
        print(f"warning: {note}", file=sys.stderr)
    people = len(recorder.detections)
    print(f"{timing.summary()}; {people} detection{'s' * (people != 1)} in {arguments.output}")
    for failure in errors[:-1]:
        print(f"error: {' '.join(str(failure).split())}", file=sys.stderr)
    if errors:
        raise errors[-1]


if __name__ == "__main__":
    run(main)
