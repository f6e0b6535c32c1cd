"""The flags of `detect.py` for what follows the model: tracks, lines, zones, falls, and the files of results."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upright.errors import InputError

if TYPE_CHECKING:
    from upright.detector.events import Fallen, Line, Zone
    from upright.detector.recording import Output
    from upright.detector.shared_sources import Share
    from upright.detector.sources import Source

OUTPUTS = {
    "json": "detections.json",
    "jsonl": "detections.jsonl, a line a frame as it goes",
    "csv": "detections.csv, a line a person",
    "counts": "counts.csv, a line a frame",
    "events": "events.csv",
    "mot": "mot/NAME.txt, MOTChallenge's text",
    "yolo": "labels/NAME.txt, YOLO's text",
    "people": "people/NAME-1.jpg ..., each person cut out",
}
LINES = "detections.jsonl"
TABLES = {"csv": "detections.csv", "counts": "counts.csv", "events": "events.csv"}
FARTHEST = 1e5  # pixels of a line or zone from the corner of the picture


def add_output_flags(parser: argparse.ArgumentParser) -> None:
    """Add them to a parser, in groups of their own."""
    group = parser.add_argument_group("tracks and events, in videos")
    group.add_argument(
        "--track",
        action="store_true",
        help="give each person a number that stays, also through gaps; who was above the weights' own threshold is "
        "followed down to 0.7 of it, unless --threshold is given",
    )
    group.add_argument(
        "--line",
        action="append",
        default=[],
        metavar="[NAME=]X1,Y1,X2,Y2",
        help="count who crosses the line from one point to the other, in pixels, by direction; may be given again",
    )
    group.add_argument(
        "--zone",
        action="append",
        default=[],
        metavar="[NAME=]X1,Y1,X2,Y2,X3,Y3,...",
        help="say who enters and leaves the polygon, and how long they stay; may be given again",
    )
    group.add_argument(
        "--fallen", type=float, metavar="DEGREES", help="say who leans further than that: who lies or has fallen"
    )
    group.add_argument(
        "--fallen-seconds", type=float, metavar="S", help="how long, until it counts as fallen (default: 1)"
    )
    group = parser.add_argument_group("results")
    group.add_argument(
        "--outputs",
        default="json",
        metavar="A,B,...",
        help="files of results: " + "; ".join(f"{name}: {what}" for name, what in OUTPUTS.items()) + " (default: json)",
    )
    group.add_argument("--no-copies", action="store_true", help="write no annotated copies")
    group = parser.add_argument_group("pages for the browser")
    group.add_argument(
        "--page", action="store_true", help="write page.html: the videos with their boxes, counts, tracks and events"
    )
    group.add_argument(
        "--serve",
        type=int,
        metavar="PORT",
        help="show the latest picture and the counts while it runs; 0: any free port",
    )
    group.add_argument(
        "--host",
        metavar="H",
        help="address for --serve (default: 127.0.0.1, this machine alone; at 0.0.0.0 all who reach it look on)",
    )


def watched_of(arguments: argparse.Namespace) -> list[Line | Zone | Fallen]:
    """The lines, zones and falls to watch for.

    Raises:
        InputError: a flag cannot be understood, or goes with others that are not there.
    """
    from upright.detector.events import Fallen, Line, Zone

    watched: list[Line | Zone | Fallen] = []
    for place, text in enumerate(arguments.line, 1):
        name, points = _named_points("--line", text, f"line {place}", least=2, most=2)
        if points[0] == points[1]:
            raise InputError(f"--line {text} is a point: give the two ends, X1,Y1,X2,Y2 in pixels")
        watched.append(Line(name, points[0], points[1]))
    for place, text in enumerate(arguments.zone, 1):
        name, points = _named_points("--zone", text, f"zone {place}", least=3)
        watched.append(Zone(name, tuple(points)))
    names = [one.name for one in watched if not isinstance(one, Fallen)]
    for name in names:
        if names.count(name) > 1 or name in ("people", "fallen"):
            raise InputError(f"the name {name!r} is taken: give each --line and --zone another, NAME=...")
    if arguments.fallen_seconds is not None and arguments.fallen is None:
        raise InputError("--fallen-seconds goes with --fallen DEGREES: add it")
    if arguments.fallen is not None:
        if not 0 < arguments.fallen < 180:
            raise InputError(f"--fallen {arguments.fallen:g} is no lean to pass: use 1 to 179 degrees, 60 say")
        seconds = 1.0 if arguments.fallen_seconds is None else arguments.fallen_seconds
        if not 0 <= seconds < math.inf:
            raise InputError(f"--fallen-seconds {seconds:g} is no time: use 0 or more")
        watched.append(Fallen(arguments.fallen, seconds))
    if watched and not arguments.track:
        raise InputError("--line, --zone and --fallen watch people from frame to frame: add --track")
    return watched


def chosen_outputs(arguments: argparse.Namespace) -> list[str]:
    """The names that `--outputs` lists.

    Raises:
        InputError: one is unknown, or there is nothing to write at all.
    """
    names = [name.strip() for name in arguments.outputs.split(",") if name.strip()]
    for name in names:
        if name not in OUTPUTS:
            raise InputError(f"--outputs {name} is not known: choose from {', '.join(OUTPUTS)}")
    if arguments.host is not None and arguments.serve is None:
        raise InputError("--host goes with --serve PORT: add it")
    if not names and arguments.no_copies and not arguments.page and arguments.serve is None:
        raise InputError("nothing would be written: leave --no-copies out, or choose --outputs")
    return list(dict.fromkeys(names))


def build_outputs(
    arguments: argparse.Namespace,
    watched: list[Line | Zone | Fallen],
    settings: dict[str, Any],
    part: Path | None = None,
) -> list[Output]:
    """The outputs that the flags ask for, those that can fail at the end of a source first.

    Args:
        arguments: of a parser with `add_output_flags`, `--output`, `--pose` and `--crops`.
        watched: of `watched_of`.
        settings: that `detections.json` holds.
        part: a folder for the files of all sources, which `join_outputs` joins; None where they are whole as they are.
    """
    from upright.detector import result_lines as lines
    from upright.detector.annotated_copies import AnnotatedCopies
    from upright.detector.events import Watcher
    from upright.detector.frame_files import FrameFiles, write_labels, write_people
    from upright.detector.page.live import LivePage
    from upright.detector.page.page import Page
    from upright.detector.result_files import DetectionsFile, TextOutput, TextPerSource
    from upright.detector.sources import RESULTS

    folder: Path = arguments.output
    common = folder if part is None else part
    counted = ["people", *Watcher(watched).counts()]

    def beside(name: str, suffix: str = "") -> Callable[[Source], Path]:
        """Gives each source its path in a folder of that name, as its copy has it in the output folder."""

        def place(source: Source) -> Path:
            path = (folder / name / source.output.relative_to(folder)).with_suffix("")
            return path.with_name(path.name + suffix)

        return place

    made: dict[str, Callable[[], Output]] = {
        "json": lambda: DetectionsFile(common / RESULTS, settings),
        "jsonl": lambda: TextOutput(common / LINES, lines.json_lines, lines.last_json_line),
        "csv": lambda: TextOutput(
            common / TABLES["csv"], lines.detection_rows, head=lines.csv_line(lines.DETECTION_COLUMNS)
        ),
        "counts": lambda: TextOutput(
            common / TABLES["counts"], lines.count_rows, head=lines.csv_line(lines.count_columns(counted))
        ),
        "events": lambda: TextOutput(
            common / TABLES["events"], lines.event_rows, lines.last_event_rows, lines.csv_line(lines.EVENT_COLUMNS)
        ),
        "mot": lambda: TextPerSource(beside("mot", ".txt"), lines.mot_lines),
        "yolo": lambda: FrameFiles(beside("labels"), write_labels),
        "people": lambda: FrameFiles(beside("people"), write_people),
    }
    live: list[Output] = []
    if arguments.serve is not None:  # before any file: it may be refused
        page = LivePage(arguments.host or "127.0.0.1", arguments.serve, watched)
        print(f"live page: {page.address}", flush=True)
        live.append(page)
    outputs: list[Output] = []
    if not arguments.no_copies:
        outputs.append(AnnotatedCopies(arguments.pose, arguments.crops, watched))
    names = chosen_outputs(arguments)
    if part is not None and "json" in names:  # it is made of the lines in the end
        names = list(dict.fromkeys("jsonl" if name == "json" else name for name in names))
    outputs += [made[name]() for name in names]
    if arguments.page:
        outputs.append(Page(folder, settings, watched, not arguments.no_copies))
    return outputs + live


def join_outputs(arguments: argparse.Namespace, settings: dict[str, Any], shares: list[Share]) -> None:
    """Join what `build_outputs` wrote into the folders of the shares."""
    from upright.detector.joined_results import join_detections, join_texts
    from upright.detector.result_files import DetectionsFile
    from upright.detector.sources import RESULTS

    for name in chosen_outputs(arguments):
        if name == "json":
            join_detections(shares, LINES, DetectionsFile(arguments.output / RESULTS, settings))
        elif name == "jsonl" or name in TABLES:
            file = LINES if name == "jsonl" else TABLES[name]
            join_texts([share.folder / file for share in shares], arguments.output / file, headed=name in TABLES)


def _named_points(
    flag: str, text: str, name: str, *, least: int, most: int | None = None
) -> tuple[str, list[tuple[float, float]]]:
    """The name before "=" or the given one, and the points of X1,Y1,X2,Y2,..."""
    given, equals, numbers = text.rpartition("=")
    try:
        values = [float(number) for number in numbers.split(",")]
    except ValueError:
        values = []
    points = list(zip(values[::2], values[1::2], strict=False))
    few = len(values) % 2 or len(points) < least or (most is not None and len(points) > most)
    if few or not all(abs(value) <= FARTHEST for value in values) or (equals and not given.strip()):
        shape = "X1,Y1,X2,Y2" if most == 2 else "X1,Y1,X2,Y2,X3,Y3 with more points if you like"
        raise InputError(f"{flag} {text} is not understood: give {shape} in pixels, with a name NAME=... before it")
    return given.strip() or name, points
