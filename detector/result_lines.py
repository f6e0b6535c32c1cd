"""What the files of results say of a frame, format by format."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from upright.detector.detected import Detected, boxes_xywh
from upright.detector.events import Event
from upright.detector.pose_entries import PoseColumns, pose_entries
from upright.detector.recording import FrameRecord
from upright.detector.sources import Frame, Source

DETECTION_COLUMNS = ("file", "frame", "seconds", "x", "y", "width", "height", "score", "track", "lean")
EVENT_COLUMNS = ("file", "frame", "seconds", "kind", "track", "name", "direction", "duration")


def image_entry(frame: Frame) -> dict[str, Any]:
    """What `detections.json` says of a picture or frame, but for its number."""
    height, width = frame.image.shape[:2]
    entry = {"file_name": frame.source.name, "width": width, "height": height}
    if frame.number is not None:
        entry |= {"frame": frame.number, "seconds": frame.seconds}
    return entry


def detection_entries(found: Detected) -> list[dict[str, Any]]:
    """What `detections.json` says of each detection of a picture, but for which picture it is."""
    poses = pose_entries(PoseColumns.of(found), len(found.scores))
    tracks = track_numbers(found)
    entries = [
        {"category_id": 1, "bbox": box, "score": score, **pose}
        for box, score, pose in zip(boxes_xywh(found.boxes).tolist(), found.scores.tolist(), poses, strict=True)
    ]
    if found.track is not None:
        for entry, track in zip(entries, tracks, strict=True):
            entry["track"] = track
    return entries


def track_numbers(found: Detected) -> list[int | None]:
    """The track of each detection, None where it has none."""
    if found.track is None:
        return [None] * len(found.scores)
    return [track if track > 0 else None for track in found.track.tolist()]


def json_lines(record: FrameRecord) -> Iterator[str]:
    """One line a frame: `{"file", "frame", "seconds", "width", "height", "people": [...], "events": [...]}`.

    A person is `{"box": [x, y, width, height], "score"}`, with "track", "lean" and "parts" as in `detections.json`.
    """
    frame = record.frame
    height, width = frame.image.shape[:2]
    people = []
    for entry in detection_entries(record.found):
        del entry["category_id"]
        people.append({"box": entry.pop("bbox"), **entry})
    line = {
        "file": frame.source.name,
        "frame": frame.number,
        "seconds": frame.seconds,
        "width": width,
        "height": height,
        "people": people,
        "events": [asdict(event) for event in record.events],
    }
    yield json.dumps(line) + "\n"


def entries_of_line(line: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What `image_entry` and `detection_entries` say of the frame of a line of `json_lines`."""
    image = {"file_name": line["file"], "width": line["width"], "height": line["height"]}
    if line["frame"] is not None:
        image |= {"frame": line["frame"], "seconds": line["seconds"]}
    return image, [{"category_id": 1, "bbox": person.pop("box"), **person} for person in line["people"]]


def last_json_line(source: Source, events: tuple[Event, ...]) -> Iterator[str]:
    """The events that came with the end of a source: `{"file", "events"}`."""
    yield json.dumps({"file": source.name, "events": [asdict(event) for event in events]}) + "\n"


def csv_line(values: Iterable[Any]) -> str:
    """A line of a table; None is an empty cell."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


def detection_rows(record: FrameRecord) -> Iterator[str]:
    """One line a detection, with `DETECTION_COLUMNS`; pixels with two digits, seconds with three."""
    frame, found = record.frame, record.found
    leans = [None] * len(found.scores) if found.lean is None else found.lean.tolist()
    for box, score, track, lean in zip(
        _rounded(boxes_xywh(found.boxes)), found.scores.tolist(), track_numbers(found), leans, strict=True
    ):
        lean = None if lean is None or not math.isfinite(lean) else round(lean, 1) + 0.0
        yield csv_line([*_place(frame), *box, round(score, 4), track, lean])


def event_rows(record: FrameRecord) -> Iterator[str]:
    """One line an event, with `EVENT_COLUMNS`."""
    return last_event_rows(record.frame.source, record.events)


def last_event_rows(source: Source, events: Sequence[Event]) -> Iterator[str]:
    """The same of those that come with the end of a source."""
    for event in events:
        values = asdict(event)
        for name in ("seconds", "duration"):
            values[name] = None if values[name] is None else round(values[name], 3)
        yield csv_line([source.name, *(values[name] for name in EVENT_COLUMNS[1:])])


def count_columns(counts: Iterable[str]) -> list[str]:
    """Of the table of counts: the frame, then the names of `FrameRecord.counts`."""
    return ["file", "frame", "seconds", *counts]


def count_rows(record: FrameRecord) -> Iterator[str]:
    """One line a frame, with `count_columns`."""
    yield csv_line([*_place(record.frame), *record.counts.values()])


def mot_lines(record: FrameRecord) -> Iterator[str]:
    """MOTChallenge's text: frame and track from 1 (-1 without a track), box, score, and three -1 for the world."""
    number = (record.frame.number or 0) + 1
    found = record.found
    for box, score, track in zip(
        _rounded(boxes_xywh(found.boxes)), found.scores.tolist(), track_numbers(found), strict=True
    ):
        yield ",".join(map(str, [number, track or -1, *box, round(score, 4), -1, -1, -1])) + "\n"


def yolo_lines(record: FrameRecord) -> Iterator[str]:
    """YOLO's text: class 0, the box's middle and sides in shares of the picture's."""
    height, width = record.frame.image.shape[:2]
    boxes = np.clip(record.found.boxes.reshape(-1, 4) / (width, height, width, height), 0, 1)
    for x1, y1, x2, y2 in boxes.tolist():
        yield f"0 {(x1 + x2) / 2:.6f} {(y1 + y2) / 2:.6f} {x2 - x1:.6f} {y2 - y1:.6f}\n"


def _place(frame: Frame) -> list[Any]:
    seconds = frame.seconds
    return [frame.source.name, frame.number, None if seconds is None else round(seconds, 3)]


def _rounded(boxes: np.ndarray) -> list[list[float]]:
    return (boxes.round(2) + 0.0).tolist()  # no -0.0
