"""Sources through the model: their order, what is kept and noted where one fails, and stages that overlap."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import cv2
import pytest
from stub_model import Stub, plain_picture

from upright.detector.annotated_copies import AnnotatedCopies
from upright.detector.engines.torch_engine import TorchEngine
from upright.detector.recording import Recorder
from upright.detector.result_files import DetectionsFile
from upright.detector.source_run import detect_sources
from upright.detector.sources import find_sources
from upright.detector.video_reader import VideoReader
from upright.detector.video_writer import write_picture


def recorder_into(folder: Path) -> Recorder:
    """Annotated copies where the sources say, and detections in `folder`."""
    return Recorder(0.5, [AnnotatedCopies(), DetectionsFile(folder / "found.json", {})])


def recorded(recorder: Recorder, folder: Path) -> tuple[list[dict], list[dict]]:
    """Images and detections of a run that is over."""
    recorder.close()
    content = json.loads((folder / "found.json").read_text())
    return content["images"], content["detections"]


def write_video(path: Path, brightness: list[int], rate: float = 29.97) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), rate, (64, 48))
    for one in brightness:
        writer.write(plain_picture(one))
    writer.release()
    return path


@pytest.mark.parametrize("batch_size", [1, 3])
def test_frames_and_pictures_keep_order_and_numbers(tmp_path, batch_size):
    write_picture(tmp_path / "a.png", plain_picture(200, (30, 20)))
    write_video(tmp_path / "b.avi", [10, 60, 110, 160, 210])
    write_picture(tmp_path / "c.png", plain_picture(90))
    sources = find_sources([tmp_path / name for name in ("a.png", "b.avi", "c.png")], tmp_path / "out")
    recorder = recorder_into(tmp_path)
    timing, notes, errors = detect_sources(
        TorchEngine(Stub().eval()), sources, recorder, batch_size=batch_size, progress=False
    )
    assert (notes, errors, timing.frames) == ([], [], 7)
    images, detections = recorded(recorder, tmp_path)
    assert [image["id"] for image in images] == list(range(1, 8))
    assert [image.get("frame") for image in images] == [None, 0, 1, 2, 3, 4, None]
    assert [image.get("seconds") for image in images[1:6]] == pytest.approx([i / 29.97 for i in range(5)])
    assert (images[0]["width"], images[0]["height"]) == (30, 20)
    assert [found["image_id"] for found in detections] == list(range(1, 8)), "one of two is above 0.5"
    widths = [found["bbox"][2] for found in detections]
    assert widths == pytest.approx([200, 10, 60, 110, 160, 210, 90], abs=3)
    video = VideoReader(tmp_path / "out" / "b.mp4")
    assert video.fps == pytest.approx(29.97)
    assert [image.shape for image in video] == [(48, 64, 3)] * 5
    assert cv2.imread(str(tmp_path / "out" / "a.png")).shape == (20, 30, 3)


def test_a_source_that_cannot_be_read_is_passed_over(tmp_path):
    names = ["a.png", "b.png", "c.png"]
    for name in names:
        write_picture(tmp_path / name, plain_picture(100))
    data = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(data[: len(data) // 2])
    sources = find_sources([tmp_path / name for name in names], tmp_path / "out")
    recorder = recorder_into(tmp_path)
    timing, _, errors = detect_sources(TorchEngine(Stub().eval()), sources, recorder, progress=False)
    assert len(errors) == 1
    assert "b.png" in str(errors[0])
    images, _ = recorded(recorder, tmp_path)
    assert [Path(image["file_name"]).name for image in images] == ["a.png", "c.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]
    assert timing.frames == 2


def test_a_run_that_ends_early_keeps_what_was_found_until_then(tmp_path):
    class Failing(Stub):
        def forward(self, images):
            if sum(self.batches) == 12:
                raise KeyboardInterrupt
            return super().forward(images)

    write_video(tmp_path / "a.avi", [100] * 3)
    write_video(tmp_path / "b.avi", [100] * 20)
    sources = find_sources([tmp_path / "a.avi", tmp_path / "b.avi"], tmp_path / "out")
    recorder = recorder_into(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        detect_sources(TorchEngine(Failing().eval()), sources, recorder, progress=False)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mp4", "b.mp4"]
    images, detections = recorded(recorder, tmp_path)
    assert 3 + 4 <= len(images) <= 12
    assert [found["image_id"] for found in detections] == list(range(1, len(images) + 1))
    assert len(list(VideoReader(tmp_path / "out/b.mp4"))) == len(images) - 3


def test_a_source_that_cannot_be_drawn_is_noted_and_read_no_further(tmp_path):
    class Full(AnnotatedCopies):
        def add(self, record):
            if record.frame.number is not None:
                raise OSError(28, "No space left on device")
            super().add(record)

    write_video(tmp_path / "a.avi", [100] * 50)
    write_picture(tmp_path / "b.png", plain_picture(100))
    model, recorder = Stub().eval(), Recorder(0.5, [Full()])
    sources = find_sources([tmp_path / "a.avi", tmp_path / "b.png"], tmp_path / "out")
    timing, _, errors = detect_sources(TorchEngine(model), sources, recorder, progress=False)
    (error,) = errors
    assert "a.avi" in str(error)
    assert "No space left" in str(error)
    assert len(model.batches) < 20
    assert (timing.frames, [path.name for path in (tmp_path / "out").iterdir()]) == (1, ["b.png"])


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_picture_that_the_model_fails_on_is_the_only_one_without_result(tmp_path, batch_size):
    class Choosy(Stub):
        def forward(self, images):
            if any(image.shape[1] == 1 for image in images):
                raise RuntimeError("[enforce fail at alloc_cpu.cpp] can't allocate memory")
            return super().forward(images)

    for name, size in {"a.png": (64, 48), "b.png": (64, 1), "c.png": (64, 48)}.items():
        write_picture(tmp_path / name, plain_picture(100, size))
    recorder = recorder_into(tmp_path)
    sources = find_sources([tmp_path], tmp_path / "out")
    _, _, errors = detect_sources(
        TorchEngine(Choosy().eval()), sources, recorder, batch_size=batch_size, progress=False
    )
    (error,) = errors
    assert "b.png could not be searched" in str(error)
    assert "memory" in str(error)
    images, _ = recorded(recorder, tmp_path)
    assert [Path(image["file_name"]).name for image in images] == ["a.png", "c.png"]
    assert not (tmp_path / "out/b.png").exists()


def test_a_video_that_cannot_be_finished_is_noted(tmp_path, monkeypatch):
    monkeypatch.setattr("upright.detector.video_writer.count_packets", lambda path: 2)
    write_video(tmp_path / "a.avi", [100] * 3)
    write_video(tmp_path / "b.avi", [100] * 2)
    recorder = recorder_into(tmp_path)
    sources = find_sources([tmp_path / "a.avi", tmp_path / "b.avi"], tmp_path / "out")
    _, _, (error,) = detect_sources(TorchEngine(Stub().eval()), sources, recorder, progress=False)
    assert "2 of 3 frames" in str(error)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.mp4"]
    assert len(recorded(recorder, tmp_path)[0]) == 5, "what was found in both stays"


def test_the_stages_overlap(tmp_path):
    """The model is given a frame while the one before is still being drawn."""
    second_frame = threading.Event()
    waited = []

    class Watched(Stub):
        def forward(self, images):
            if self.batches:
                second_frame.set()
            return super().forward(images)

    class Waiting(Recorder):
        def add(self, frame, found):
            waited.append(second_frame.wait(timeout=20))
            super().add(frame, found)

    write_video(tmp_path / "a.avi", [100] * 5)
    sources = find_sources([tmp_path / "a.avi"], tmp_path / "out")
    timing, _, _ = detect_sources(
        TorchEngine(Watched().eval()), sources, Waiting(0.5, [AnnotatedCopies()]), progress=False
    )
    assert waited == [True] * 5
    assert min(timing.decoding, timing.model, timing.drawing, timing.wall) > 0
