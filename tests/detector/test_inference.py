"""Inference keeps the order, works ahead within bounds, and lets every error through to the caller."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from stub_model import Stub, plain_picture

from upright.detector import inference, picture_size
from upright.detector.engines.torch_engine import TorchEngine, choose_device, detect_pictures
from upright.detector.inference import ahead, batches, detect_dataset
from upright.detector.model import build_detector
from upright.detector.settings import PRESETS
from upright.errors import InputError


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
