"""Inference keeps the order, works ahead within bounds, and lets every error through to the caller."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from upright.detector import inference, picture_size
from upright.detector.annotated_copies import AnnotatedCopies
from upright.detector.engines.torch_engine import TorchEngine, choose_device, detect_pictures
from upright.detector.inference import ahead, batches, detect_dataset
from upright.detector.model import build_detector
from upright.detector.recording import Recorder
from upright.detector.result_files import DetectionsFile
from upright.detector.settings import PRESETS
from upright.detector.source_run import detect_sources
from upright.detector.sources import find_sources
from upright.detector.video_reader import VideoReader
from upright.detector.video_writer import write_picture
from upright.errors import InputError


class Stub(torch.nn.Module):
    """Finds in every picture one box as wide as the picture's first pixel is bright, and one unsure."""

    settings = PRESETS["light"]

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        assert not self.training
        self.batches.append(len(images))
        results = []
        for image in images:
            assert image.dtype == torch.float32
            assert image.shape[0] == 3
            bright = float(image[0, 0, 0] * 255)
            boxes = torch.tensor([[2.0, 3.0, 2 + bright, 13.0], [0.0, 0.0, 4.0, 4.0]])
            results.append({"boxes": boxes, "labels": torch.ones(2), "scores": torch.tensor([0.75, 0.25])})
        return results


def recorder_into(folder: Path) -> Recorder:
    """Annotated copies where the sources say, and detections in `folder`."""
    return Recorder(0.5, [AnnotatedCopies(), DetectionsFile(folder / "found.json", {})])


def recorded(recorder: Recorder, folder: Path) -> tuple[list[dict], list[dict]]:
    """Images and detections of a run that is over."""
    recorder.close()
    content = json.loads((folder / "found.json").read_text())
    return content["images"], content["detections"]


def plain_picture(brightness: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), brightness, np.uint8)


def write_video(path: Path, brightness: list[int], rate: float = 29.97) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), rate, (64, 48))
    for one in brightness:
        writer.write(plain_picture(one))
    writer.release()
    return path


def test_results_come_in_order_whichever_is_ready_first():
    def slow_first(i: int) -> int:
        time.sleep(0.02 if i % 3 == 0 else 0)
        return i

    calls = [lambda i=i: slow_first(i) for i in range(20)]
    assert list(ahead(calls, workers=4, depth=8)) == list(range(20))


def test_no_more_than_depth_are_ahead():
    started = []
    results = ahead((lambda i=i: started.append(i) for i in range(100)), depth=3)
    for taken in range(1, 5):
        next(results)
        time.sleep(0.02)
        assert len(started) <= taken + 3
    results.close()


def test_an_error_surfaces_in_its_turn_and_stops_what_follows():
    done = []

    def call(i: int) -> int:
        if i == 3:
            raise InputError("the fourth is broken")
        done.append(i)
        return i

    others = set(threading.enumerate())
    results = ahead((lambda i=i: call(i) for i in range(1000)), depth=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert set(threading.enumerate()) != others
    with pytest.raises(InputError, match="fourth"):
        next(results)
    assert max(done) < 20
    assert set(threading.enumerate()) <= others, "the threads of `ahead` end with it"


def test_detect_dataset_gives_every_score_of_every_picture(boards):
    model = Stub().train()
    found = detect_dataset(TorchEngine(model), boards, batch_size=4, workers=2, progress=False)
    assert model.training, "the model must come back in the mode that it had"
    assert model.batches == [4, 2]
    assert found.image_index.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    for i in range(6):
        bright = int(boards[i].image[0, 0, 0])
        np.testing.assert_allclose(found.boxes[2 * i], [2, 3, bright, 10], atol=1e-4)
    assert found.boxes.dtype == found.scores.dtype == np.float64
    assert found.scores.tolist() == [0.75, 0.25] * 6


def test_detect_dataset_with_nothing_found_has_empty_columns(boards):
    class Blind(torch.nn.Module):
        settings = PRESETS["light"]

        def forward(self, images):
            return [{"boxes": torch.zeros(0, 4), "labels": torch.zeros(0), "scores": torch.zeros(0)} for _ in images]

    found = detect_dataset(TorchEngine(Blind()), boards, progress=False)
    assert found.boxes.shape == (0, 4)
    assert len(found.image_index) == len(found.scores) == 0


def test_a_picture_that_cannot_be_read_stops_detect_dataset(boards):
    class Broken(type(boards)):
        def __getitem__(self, index):
            if index == 2:
                raise InputError("picture 3.png is cut off")
            return super().__getitem__(index)

    model = Stub().train()
    with pytest.raises(InputError, match=r"3\.png"):
        detect_dataset(TorchEngine(model), Broken(), progress=False)
    assert model.training


def test_batching_changes_no_detection(tiny, boards):
    torch.manual_seed(0)
    model = build_detector(tiny).eval()
    images = [boards[i].image for i in range(3)]
    together = detect_pictures(model, images)
    for image, output in zip(images, together, strict=True):
        (alone,) = detect_pictures(model, [image])
        assert len(alone["scores"]) == len(output["scores"]) > 0
        torch.testing.assert_close(alone["boxes"], output["boxes"], atol=1e-2, rtol=1e-3)


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


def test_a_picture_too_thin_for_the_model_says_so(tiny):
    model = build_detector(tiny).eval()
    with pytest.raises(InputError, match="2000 x 1"):
        detect_pictures(model, [np.zeros((1, 2000, 3), np.uint8)])


def test_a_huge_picture_is_made_smaller_before_it_becomes_float(monkeypatch):
    seen = []

    class Watching(Stub):
        def forward(self, images):
            seen.extend(tuple(image.shape[1:]) for image in images)
            return super().forward(images)

    model = Watching().eval()
    (at_size,) = detect_pictures(model, [plain_picture(100, (80, 60))])
    monkeypatch.setattr(picture_size, "MOST_PIXELS", 40 * 30)
    (small,) = detect_pictures(model, [plain_picture(100, (80, 60))])
    assert seen == [(60, 80), (30, 40)]
    torch.testing.assert_close(small["boxes"], at_size["boxes"] * 2)


def test_a_batch_of_a_million_holds_no_more_than_memory_allows(monkeypatch):
    monkeypatch.setattr(inference, "MOST_BYTES", 100)
    made = []
    calls = (lambda i=i: made.append(i) or i for i in range(50))
    grouped = batches(ahead(calls, depth=10**6, size=lambda _: 40), 10**6, lambda _: 40)
    assert next(grouped) == [0, 1, 2]
    time.sleep(0.05)
    assert len(made) <= 8
    assert [len(batch) for batch in grouped] == [3] * 15 + [2]


def test_a_depth_of_a_million_queues_no_million_calls():
    """Small results keep below the bound on bytes; what stands after the last frame is asked for without end."""
    made = []
    results = ahead((lambda i=i: made.append(i) or i for i in range(10**6)), depth=10**6)
    assert next(results) == 0
    assert len(made) < 1000
    results.close()


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


def test_the_pose_is_in_pixels_of_a_picture_that_was_made_smaller(monkeypatch):
    class Posed(Stub):
        def forward(self, images):
            corner = torch.tensor([float(images[0].shape[2]), float(images[0].shape[1])])
            (found,) = super().forward(images)
            return [
                found
                | {"lean": torch.tensor([30.0, 0]), "whole": corner.expand(2, 4, 2), "parts": corner.expand(2, 3, 4, 2)}
            ]

    model = Posed().eval()
    monkeypatch.setattr(picture_size, "MOST_PIXELS", 40 * 30)
    (found,) = detect_pictures(model, [plain_picture(100, (80, 60))])
    assert found["whole"].tolist() == [[[80, 60]] * 4] * 2
    assert found["parts"].shape == (2, 3, 4, 2)
    assert (found["parts"] == torch.tensor([80.0, 60])).all()
    assert found["lean"].tolist() == [30, 0]


def test_the_pose_of_a_data_set_stands_beside_its_detections(boards):
    class Posed(Stub):
        def forward(self, images):
            outputs = super().forward(images)
            for number, output in enumerate(outputs, sum(self.batches) - len(images)):
                quadrilaterals = torch.full((2, 4, 4, 2), float(number))
                output |= {"lean": torch.full((2,), 10.0 * number), "seen": torch.full((2, 3), 0.5)}
                output |= {"whole": quadrilaterals[:, 0], "parts": quadrilaterals[:, 1:]}
            return outputs

    found = detect_dataset(TorchEngine(Posed()), boards, progress=False)
    assert found.pose is not None
    assert found.pose.lean.tolist() == (10.0 * found.image_index).tolist()
    assert (found.pose.parts == found.image_index[:, None, None, None]).all()
    assert detect_dataset(TorchEngine(Stub()), boards, progress=False).pose is None


@pytest.mark.parametrize("name", ["gpu9", "cuda:99", "meta:-1"])
def test_a_device_that_is_not_there_is_an_input_error(name):
    with pytest.raises(InputError, match=name):
        choose_device(name)
