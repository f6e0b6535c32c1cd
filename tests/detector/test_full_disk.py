"""A disk that is full in the middle of a video: the file is named, its copy is gone, what was found is kept."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from file_limits import files_of_at_most
from written_videos import textured, write_video

from upright.detector import frame_files
from upright.detector.annotated_copies import AnnotatedCopies
from upright.detector.detected import Detected
from upright.detector.frame_files import FrameFiles, write_labels, write_people
from upright.detector.recording import Output, Recorder
from upright.detector.result_files import DetectionsFile, TextOutput
from upright.detector.result_lines import DETECTION_COLUMNS, csv_line, detection_rows, json_lines, last_json_line
from upright.detector.source_run import detect_sources
from upright.detector.sources import Frame, Source, find_sources
from upright.detector.video_reader import VideoReader
from upright.detector.video_writer import VideoWriter, write_picture
from upright.errors import DiskFull, InputError


class Found:
    """An engine that finds as many people in each picture."""

    def __init__(self, people: int = 2) -> None:
        self._people = people

    def detect(self, images: list[np.ndarray]) -> list[Detected]:
        boxes = np.tile([5.0, 5.0, 20.0, 40.0], (self._people, 1))
        return [Detected(boxes, np.full(self._people, 0.9)) for _ in images]


def search(folder: Path, outputs: list[Output], names: list[str], people: int = 2) -> tuple[list[InputError], Recorder]:
    """What detect.py does with files in a folder."""
    recorder = Recorder(0.5, outputs)
    sources = find_sources([folder / name for name in names], folder / "out")
    (folder / "out").mkdir(exist_ok=True)
    _, _, errors = detect_sources(Found(people), sources, recorder, progress=False)
    return errors, recorder


def lines_into(path: Path) -> TextOutput:
    return TextOutput(path, json_lines, last_json_line)


def full_after(monkeypatch: pytest.MonkeyPatch, name: str, frames: int) -> None:
    """No room for more frames in copies of that name."""
    mux, muxed = VideoWriter._mux, []

    def limited(self: VideoWriter, packets: list) -> None:
        muxed.extend(packets if self.path.name == name else [])
        if self.path.name == name and len(muxed) > frames:
            raise OSError(errno.ENOSPC, "No space left on device")
        mux(self, packets)

    monkeypatch.setattr(VideoWriter, "_mux", limited)


def test_a_copy_that_meets_a_full_disk_is_gone_and_the_results_stay(tmp_path, monkeypatch):
    write_video(tmp_path / "a.avi", 30)
    write_video(tmp_path / "b.avi", 4)
    full_after(monkeypatch, "a.mp4", 10)
    out = tmp_path / "out"
    outputs = [AnnotatedCopies(), DetectionsFile(out / "detections.json", {}), lines_into(out / "d.jsonl")]
    (error,), recorder = search(tmp_path, outputs, ["a.avi", "b.avi"])
    recorder.close()
    for words in ("a.avi", str(out / "a.mp4"), "the disk is full", "until then is kept"):
        assert words in str(error)
    assert sorted(path.name for path in out.iterdir()) == ["b.mp4", "d.jsonl", "detections.json"]
    assert len(list(VideoReader(out / "b.mp4"))) == 4
    images = json.loads((out / "detections.json").read_text())["images"]
    kept = len(images) - 4
    assert 8 < kept < 30
    assert [image["frame"] for image in images] == [*range(kept), *range(4)]
    assert (out / "d.jsonl").read_text().count("\n") == len(images)
    assert recorder.people == 2 * len(images)


def test_a_copy_that_is_lost_after_another_file_is_said_too(tmp_path, monkeypatch):
    write_video(tmp_path / "a.avi", 30)

    def unfinished(self: VideoWriter) -> None:
        raise DiskFull(f"{self.path}: cannot be written")

    monkeypatch.setattr(VideoWriter, "close", unfinished)
    outputs = [AnnotatedCopies(), lines_into(tmp_path / "out/d.jsonl")]
    with files_of_at_most(3000):
        errors, recorder = search(tmp_path, outputs, ["a.avi"])
    recorder.close()
    assert [name for name in ("d.jsonl", "a.mp4") for error in errors if name in str(error)] == ["d.jsonl", "a.mp4"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["d.jsonl"]


def test_of_two_copies_of_a_video_one_that_is_lost_does_not_take_the_other(tmp_path, monkeypatch):
    write_video(tmp_path / "a.avi", 30)
    full_after(monkeypatch, "a.mp4", 10)

    class Twice(AnnotatedCopies):
        def _write(self, frame, path, image, like):
            super()._write(frame, path.with_name("a-crops.avi"), image, None)
            super()._write(frame, path, image, like)

    _, recorder = search(tmp_path, [Twice()], ["a.avi"])
    recorder.close()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a-crops.mp4"]


def test_text_that_meets_a_full_disk_ends_after_a_whole_line(tmp_path):
    write_video(tmp_path / "a.avi", 40)
    out = tmp_path / "out"
    table = TextOutput(out / "d.csv", detection_rows, head=csv_line(DETECTION_COLUMNS))
    with files_of_at_most(3000):
        (error,), recorder = search(tmp_path, [table, lines_into(out / "d.jsonl")], ["a.avi"])
    recorder.close()
    assert f"{out / 'd.jsonl'}: cannot be written, a file may not become larger there" in str(error)
    lines = [json.loads(line) for line in (out / "d.jsonl").read_text().splitlines()]
    assert 3 < len(lines) < 40
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    assert len((out / "d.csv").read_text().splitlines()) == 1 + 2 * (len(lines) + 1), "one frame more, and the head"


def test_a_frame_is_in_the_results_with_its_people_or_not_at_all(tmp_path):
    write_video(tmp_path / "a.avi", 40)
    with files_of_at_most(9000):
        (error,), recorder = search(tmp_path, [DetectionsFile(tmp_path / "out/x.json", {})], ["a.avi"], people=20)
    recorder.close()
    assert "x.json: cannot be written" in str(error)
    content = json.loads((tmp_path / "out/x.json").read_text())
    counts = np.bincount([one["image_id"] for one in content["detections"]])[1:].tolist()
    assert counts == [20] * len(content["images"])
    assert 0 < len(counts) < 40


def test_a_head_that_had_no_room_is_written_with_the_next_source(tmp_path):
    for name in ("a.png", "b.png"):
        write_picture(tmp_path / name, textured((64, 48)))
    table = TextOutput(tmp_path / "out/d.csv", detection_rows, head=csv_line(DETECTION_COLUMNS))
    with files_of_at_most(0):
        (error,), recorder = search(tmp_path, [table], ["a.png"])
    assert "d.csv" in str(error)
    recorder.add(Frame(Source(Path("b.png"), Path("b.png"), False, 1), textured((64, 48))), Found().detect([None])[0])
    recorder.finish()
    recorder.close()
    assert (tmp_path / "out/d.csv").read_text().startswith(csv_line(DETECTION_COLUMNS))


@pytest.mark.parametrize("write", [write_labels, write_people])
def test_no_half_of_a_file_of_a_frame_is_there(tmp_path, write):
    write_video(tmp_path / "a.avi", 3)
    with files_of_at_most(20):
        (error,), recorder = search(tmp_path, [FrameFiles(lambda source: tmp_path / "each/a", write)], ["a.avi"])
    recorder.close()
    assert str(tmp_path / "each/a/000000") in str(error)
    assert [path for path in tmp_path.rglob("each/**/*") if path.is_file()] == []


def test_of_a_picture_that_met_a_full_disk_nothing_stays(tmp_path, monkeypatch):
    write_picture(tmp_path / "a.png", textured((64, 48)))

    def second_fails(path: Path, image: np.ndarray) -> None:
        if path.name == "a-2.jpg":
            raise DiskFull(f"{path}: cannot be written")
        write_picture(path, image)

    monkeypatch.setattr(frame_files, "write_picture", second_fails)
    outputs = [lines_into(tmp_path / "out/d.jsonl"), FrameFiles(lambda source: tmp_path / "out/a", write_people)]
    (error,), recorder = search(tmp_path, outputs, ["a.png"])
    recorder.close()
    assert "a-2.jpg" in str(error)
    assert "kept" not in str(error)
    assert list((tmp_path / "out").iterdir()) == []
    assert recorder.people == 0
