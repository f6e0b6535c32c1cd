"""Files of results: what they say, that they grow, and that a source that failed leaves nothing in them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from file_limits import files_of_at_most

from upright.detector.detected import Detected
from upright.detector.events import Line, Zone
from upright.detector.frame_files import FrameFiles, write_labels, write_people
from upright.detector.recording import Recorder
from upright.detector.result_files import DetectionsFile, TextOutput, TextPerSource
from upright.detector.result_lines import (
    DETECTION_COLUMNS,
    EVENT_COLUMNS,
    count_columns,
    count_rows,
    csv_line,
    detection_rows,
    event_rows,
    json_lines,
    last_event_rows,
    last_json_line,
    mot_lines,
)
from upright.detector.sources import Frame, Source
from upright.errors import InputError

FPS = 10.0
WATCHED = [
    Line("door", (60.0, 0.0), (60.0, 100.0)),
    Zone("end", ((90.0, 0.0), (160.0, 0.0), (160.0, 99.0), (90.0, 99.0))),
]


def outputs_into(folder: Path) -> list:
    """All files of results."""
    counted = ["people", "door right", "door left", "end"]

    def place(source: Source) -> Path:
        return folder / "each" / source.path.stem

    return [
        DetectionsFile(folder / "detections.json", {"threshold": 0.5}),
        TextOutput(folder / "d.jsonl", json_lines, last_json_line),
        TextOutput(folder / "d.csv", detection_rows, head=csv_line(DETECTION_COLUMNS)),
        TextOutput(folder / "e.csv", event_rows, last_event_rows, csv_line(EVENT_COLUMNS)),
        TextOutput(folder / "c.csv", count_rows, head=csv_line(count_columns(counted))),
        TextPerSource(lambda source: place(source).with_suffix(".mot"), mot_lines),
        FrameFiles(place, write_labels),
        FrameFiles(lambda source: folder / "people" / source.path.stem, write_people),
    ]


def recorder_into(folder: Path) -> Recorder:
    return Recorder(0.5, outputs_into(folder), track=True, watched=WATCHED)


def source(name: str) -> Source:
    return Source(Path(name), Path("out") / name, name.endswith(".avi"), 1)


def play(recorder: Recorder, name: str, frames: int) -> None:
    """Somebody of 20 x 40 pixels walks 5 pixels a frame to the right from x = 10; a weak detection stays."""
    image = np.full((100, 160, 3), 90, np.uint8)
    for number in range(frames):
        x = 10.0 + 5 * number
        found = Detected(np.array([(x, 50, x + 20, 90), (0, 0, 5, 5)], np.float64), np.array([0.9, 0.3]))
        recorder.add(Frame(source(name), image, number, FPS, number / FPS), found)


def picture(recorder: Recorder, name: str) -> None:
    found = Detected(np.array([(-4.0, 10, 20, 40), (30, 10, 50, 120)]), np.array([0.8, 0.6]))
    recorder.add(Frame(source(name), np.full((100, 160, 3), 90, np.uint8)), found)
    recorder.finish()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_the_files_say_of_a_picture_and_a_video(tmp_path):
    recorder = recorder_into(tmp_path)
    picture(recorder, "a.png")
    play(recorder, "b.avi", 20)
    recorder.finish()
    recorder.close()
    assert recorder.people == 22
    assert recorder.crossings == {"door right": 1, "door left": 0}

    content = json.loads((tmp_path / "detections.json").read_text())
    assert list(content) == ["images", "detections", "settings"]
    assert content["images"][0] == {"id": 1, "file_name": "a.png", "width": 160, "height": 100}
    assert content["images"][3] == {
        **{"id": 4, "file_name": "b.avi", "width": 160, "height": 100},
        **{"frame": 2, "seconds": pytest.approx(0.2)},
    }
    assert [one["image_id"] for one in content["detections"]] == [1, 1, *range(2, 22)]
    assert content["detections"][1] == {"image_id": 1, "category_id": 1, "bbox": [30, 10, 20, 110], "score": 0.6}
    assert [one["track"] for one in content["detections"][2:]] == [None, *[1] * 19]
    assert content["settings"] == {"threshold": 0.5}

    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert [line.get("frame") for line in lines] == [None, *range(20), None]
    assert lines[5]["people"] == [{"box": [30, 50, 20, 40], "score": 0.9, "track": 1}]
    events = [event for line in lines for event in line["events"]]
    assert [(event["kind"], event["name"]) for event in events] == [
        ("crossed", "door"),
        ("entered", "end"),
        ("left", "end"),
    ]
    assert "people" not in lines[-1]

    table = rows(tmp_path / "d.csv")
    assert len(table) == 22
    assert table[0] == {
        **{"file": "a.png", "frame": "", "seconds": "", "x": "-4.0", "y": "10.0", "width": "24.0", "height": "30.0"},
        **{"score": "0.8", "track": "", "lean": ""},
    }
    assert (table[5]["frame"], table[5]["seconds"], table[5]["track"]) == ("3", "0.3", "1")
    assert [row["kind"] for row in rows(tmp_path / "e.csv")] == ["crossed", "entered", "left"]
    assert rows(tmp_path / "e.csv")[0]["direction"] == "right"
    counts = rows(tmp_path / "c.csv")
    assert counts[0]["people"] == "2"
    assert (counts[-1]["people"], counts[-1]["door right"], counts[-1]["end"]) == ("1", "1", "1")


def test_text_of_motchallenge_and_yolo_and_pictures_of_people(tmp_path):
    recorder = recorder_into(tmp_path)
    picture(recorder, "a.png")
    play(recorder, "b.avi", 3)
    recorder.finish()
    recorder.close()
    assert (tmp_path / "each/b.mot").read_text().splitlines() == [
        "1,-1,10.0,50.0,20.0,40.0,0.9,-1,-1,-1",
        "2,1,15.0,50.0,20.0,40.0,0.9,-1,-1,-1",
        "3,1,20.0,50.0,20.0,40.0,0.9,-1,-1,-1",
    ]
    # Boxes end with the picture: 0 to 20 of 160, 10 to 40 of 100.
    assert (tmp_path / "each/a.txt").read_text().splitlines()[0] == "0 0.062500 0.250000 0.125000 0.300000"
    assert sorted(path.name for path in (tmp_path / "each/b").iterdir()) == [f"00000{i}.txt" for i in range(3)]
    cut = cv2.imread(str(tmp_path / "people/a-2.jpg"))
    assert cut.shape == (90, 20, 3)
    assert sorted(path.name for path in (tmp_path / "people/b").iterdir()) == [
        *("000000-1.jpg", "000001-1-track1.jpg", "000002-1-track1.jpg")
    ]


def test_a_source_that_failed_leaves_nothing(tmp_path):
    """Between others, and after all of its frames were handed on; its pictures and labels, too."""
    with_it, without = recorder_into(tmp_path / "with"), recorder_into(tmp_path / "without")
    for folder in ("with", "without"):
        (tmp_path / folder).mkdir()
    for recorder in (with_it, without):
        picture(recorder, "a.png")
        if recorder is with_it:
            play(recorder, "bad.avi", 20)
            recorder.discard()
            picture_that_fails(recorder)
        play(recorder, "b.avi", 20)
        recorder.finish()
        recorder.close()
    assert everything(tmp_path / "with") == everything(tmp_path / "without")
    assert with_it.people == without.people
    assert with_it.crossings == without.crossings


def picture_that_fails(recorder: Recorder) -> None:
    recorder.add(Frame(source("bad.png"), np.zeros((100, 160, 3), np.uint8)), Detected(np.ones((1, 4)), np.ones(1)))
    recorder.discard()


def test_an_output_that_fails_takes_the_source_out_of_the_others(tmp_path):
    class Unfinished(TextOutput):
        def finish(self, events):
            raise OSError(28, "No space left on device")

    table = TextOutput(tmp_path / "d.csv", detection_rows, head=csv_line(DETECTION_COLUMNS))
    recorder = Recorder(0.5, [table, Unfinished(tmp_path / "x.csv", detection_rows)])
    play(recorder, "b.avi", 3)
    with pytest.raises(OSError, match="No space"):
        recorder.finish()
    recorder.discard()
    recorder.close()
    assert list(tmp_path.iterdir()) == []
    assert recorder.people == 0


def test_of_a_live_source_that_cannot_be_finished_the_other_outputs_keep_all(tmp_path):
    class Unfinished(TextOutput):
        def finish(self, events):
            raise OSError(28, "No space left on device")

    first = TextOutput(tmp_path / "d.jsonl", json_lines, last_json_line)
    events = TextOutput(tmp_path / "e.csv", event_rows, last_event_rows, csv_line(EVENT_COLUMNS))
    failing = Unfinished(tmp_path / "x.csv", detection_rows)
    recorder = Recorder(0.5, [first, failing, events], track=True, watched=WATCHED)
    play(recorder, "b.avi", 20)
    with pytest.raises(OSError, match="No space"):
        recorder.finish()
    with pytest.raises(OSError, match="No space"):
        recorder.stop()
    recorder.close()
    assert {path.name for path in tmp_path.iterdir()} == {"d.jsonl", "e.csv"}
    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert [line.get("frame") for line in lines] == [*range(20), None], "the last events stand there once"
    assert [row["kind"] for row in rows(tmp_path / "e.csv")] == ["crossed", "entered", "left"]
    assert recorder.people == 20


def test_who_is_tracked_counts_below_the_threshold_in_videos(tmp_path):
    table = TextOutput(tmp_path / "d.csv", detection_rows, head=csv_line(DETECTION_COLUMNS))
    recorder = Recorder(0.5, [table], track=True, holding=0.4)
    for number, score in enumerate([0.45, 0.9, 0.8, 0.45, 0.3]):
        found = Detected(np.array([[50.0, 50, 70, 90]]), np.array([score]))
        recorder.add(Frame(source("b.avi"), np.full((100, 160, 3), 90, np.uint8), number, FPS, number / FPS), found)
    recorder.finish()
    found = Detected(np.array([[50.0, 50, 70, 90]]), np.array([0.45]))
    recorder.add(Frame(source("a.png"), np.full((100, 160, 3), 90, np.uint8)), found)
    recorder.finish()
    recorder.close()
    assert [(row["frame"], row["score"]) for row in rows(tmp_path / "d.csv")] == [
        ("1", "0.9"),
        ("2", "0.8"),
        ("3", "0.45"),
    ]


def test_no_half_of_a_line_stays_where_the_disk_is_full(tmp_path):
    table = TextOutput(tmp_path / "d.csv", detection_rows, head=csv_line(DETECTION_COLUMNS))
    recorder = Recorder(0.5, [table])
    full = pytest.raises(InputError, match=r"d\.csv: cannot be written, a file may not become larger")
    with files_of_at_most(200), full:
        play(recorder, "b.avi", 20)
    recorder.stop()
    recorder.close()
    text = (tmp_path / "d.csv").read_text()
    assert 3 < text.count("\n") < 21
    assert text.endswith("\n")
    assert [row["lean"] for row in rows(tmp_path / "d.csv")] == [""] * (text.count("\n") - 1)


def test_an_output_that_cannot_begin_leaves_earlier_sources_alone(tmp_path):
    (tmp_path / "each/b.mot").mkdir(parents=True)
    recorder = recorder_into(tmp_path)
    picture(recorder, "a.png")
    with pytest.raises(InputError, match=r"b\.mot: cannot be written"):
        play(recorder, "b.avi", 3)
    recorder.discard()
    recorder.close()
    assert len(rows(tmp_path / "d.csv")) == 2
    assert (tmp_path / "each/a.txt").exists()


def test_results_are_on_disk_while_it_runs(tmp_path):
    recorder = recorder_into(tmp_path)
    for frames in (1, 2, 3):
        recorder = recorder_into(tmp_path)
        play(recorder, "b.avi", frames)
        assert len((tmp_path / "d.jsonl").read_text().splitlines()) == frames
        assert len(rows(tmp_path / "d.csv")) == frames
    assert not (tmp_path / "detections.json").exists()
    recorder.stop()
    recorder.close()
    assert len(json.loads((tmp_path / "detections.json").read_text())["images"]) == 3


def test_where_every_source_failed_no_file_stays(tmp_path):
    recorder = recorder_into(tmp_path)
    play(recorder, "bad.avi", 5)
    recorder.discard()
    recorder.close()
    assert everything(tmp_path) == {}


def test_file_names_that_are_no_utf8_are_written_as_they_are(tmp_path):
    recorder = recorder_into(tmp_path)
    picture(recorder, "caf\udce9.png")
    recorder.close()
    assert b"\ncaf\xe9.png,," in (tmp_path / "d.csv").read_bytes()
    assert json.loads((tmp_path / "d.jsonl").read_text())["file"] == "caf\udce9.png"
