"""The same people on every engine, and no torch where it is not asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import openvino
import pytest
import torch

from upright.datasets.pictures import read_picture
from upright.datasets.synthetic import SyntheticPedestrians
from upright.detector.detected import Detected
from upright.detector.engines import choice
from upright.detector.engines.choice import RELEASED, choose, open_engine
from upright.detector.engines.openvino_engine import shuffle_at_once, shuffle_by_convolution, shuffles
from upright.detector.exported_file import read_exported
from upright.detector.weights import read_metadata
from upright.errors import InputError

EXPORTED = ("openvino", "onnxruntime")
FEWEST = 0.05  # scores from which people are compared


@pytest.fixture(scope="module")
def street() -> np.ndarray:
    return SyntheticPedestrians("val")[0].image


def assert_same(found: Detected, expected: Detected) -> None:
    """The same people above `FEWEST`; those of nearly equal scores in any order."""
    found, expected = found.above(FEWEST), expected.above(FEWEST)
    assert len(found.scores) == len(expected.scores)
    for box, score in zip(expected.boxes, expected.scores, strict=True):
        nearest = np.abs(found.boxes - box).max(axis=1).argmin()
        np.testing.assert_allclose(found.boxes[nearest], box, atol=0.5)
        assert abs(found.scores[nearest] - score) < 1e-3


def test_the_released_detector_is_exported_as_it_is() -> None:
    assert read_exported(RELEASED).settings == read_metadata(RELEASED.with_suffix(".safetensors"))[0]
    assert RELEASED.stat().st_size < 16e6


@pytest.mark.parametrize("name", EXPORTED)
def test_every_engine_finds_the_same_people(name, street) -> None:
    expected = open_engine(None, "torch", device="cpu")
    engine = open_engine(None, name, precision="float32")
    pictures = [street, street[:100], street[:, :40], np.zeros((33, 70, 3), np.uint8), street[::2, ::2]]
    for picture, found in zip(pictures, engine.detect(pictures), strict=True):
        # Alone: in a batch torch pads all pictures to the largest.
        assert_same(found, expected.detect([picture])[0])
    assert sum(len(one.above(FEWEST).scores) for one in engine.detect(pictures)) > 5


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTED)
def test_every_engine_finds_the_same_people_in_photographs(name, shared) -> None:
    root = shared / "data" / "people"
    listed = json.loads((root / "coco_val2017.json").read_text())["images"][::18]
    pictures = [read_picture(root / one["file_name"]) for one in listed]
    expected = open_engine(None, "torch", device="cpu")
    for picture, found in zip(pictures, open_engine(None, name, precision="float32").detect(pictures), strict=True):
        assert_same(found, expected.detect([picture])[0])


def test_in_bfloat16_nobody_sure_is_lost(street) -> None:
    (found,) = open_engine(None, "openvino", precision="bfloat16").detect([street])
    (wanted,) = open_engine(None, "torch", device="cpu").detect([street])
    for box in wanted.above(0.8).boxes:
        assert np.abs(found.above(0.5).boxes - box).max(axis=1).min() < 4


def test_a_picture_that_was_made_smaller_has_its_own_pixels(street, monkeypatch) -> None:
    engine = open_engine(None, "onnxruntime")
    large = engine.detect([street])[0].above(0.8)
    monkeypatch.setattr("upright.detector.picture_size.MOST_PIXELS", street.shape[0] * street.shape[1] // 2)
    small = engine.detect([street])[0].above(0.5)
    for box in large.boxes:
        assert np.abs(small.boxes - box).max(axis=1).min() < 8


@pytest.mark.parametrize("name", EXPORTED)
def test_finding_people_imports_no_torch(name, street, tmp_path) -> None:
    np.save(tmp_path / "street.npy", street)
    code = f"""
import sys
import numpy as np
import upright
from upright.detector.source_run import detect_sources
from upright.tools import demo, detect, evaluate
found = upright.detect(np.load("street.npy"), engine="{name}", device="cpu")
assert len(found.scores) > 3
print(sorted({{"torch", "torchvision", "safetensors", "onnx", "scipy"}} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


def test_auto_takes_torch_for_weights_and_gpus_and_openvino_otherwise(monkeypatch) -> None:
    monkeypatch.setattr(choice, "has_gpu", lambda: False)
    assert choose(None, "auto", None) == choose("a.onnx", "auto", None) == choose(None, "auto", "cpu") == "openvino"
    assert choose("a.safetensors", "auto", None) == choose(None, "auto", "cuda:1") == "torch"
    monkeypatch.setattr(choice, "has_gpu", lambda: True)
    assert (choose(None, "auto", None), choose(None, "auto", "cpu")) == ("torch", "openvino")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "abacus"}, "not known"),
        ({"precision": "int3"}, "not known"),
        ({"engine": "openvino", "device": "cuda"}, "runs on the CPU"),
        ({"engine": "openvino", "weights": "mine.safetensors"}, r"tools/export\.py"),
        ({"engine": "torch", "weights": "mine.onnx"}, "exported"),
        ({"engine": "onnxruntime", "precision": "bfloat16"}, "float32"),
        ({"engine": "onnxruntime", "weights": "nowhere.onnx"}, "does not exist"),
    ],
)
def test_what_an_engine_cannot_do_is_one_sentence(options, words) -> None:
    with pytest.raises(InputError, match=words):
        open_engine(**options)


@pytest.mark.parametrize("name", ["torch", *EXPORTED])
def test_an_engine_that_is_not_installed_says_how_it_is(name, monkeypatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="not installed"):
        open_engine(None, name)


def test_a_processor_without_bfloat16_runs_all_the_same_and_says_so(street, monkeypatch, capsys) -> None:
    import openvino

    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32"])
    assert open_engine(None, "openvino").name.endswith("float32")
    (found,) = open_engine(None, "openvino", precision="bfloat16").detect([street])
    assert capsys.readouterr().err.count("\n") == 1
    assert len(found.scores)


@pytest.mark.parametrize("name", EXPORTED)
def test_a_picture_too_thin_for_the_model_says_so(name) -> None:
    with pytest.raises(InputError, match="too thin"):
        open_engine(None, name).detect([np.zeros((1, 2000, 3), np.uint8)])


def test_openvinos_own_files_run_too(street, tmp_path) -> None:
    from upright.detector.export import export_openvino

    export_openvino(tmp_path / "a.xml", RELEASED)
    assert replace(read_exported(tmp_path / "a.xml"), path=RELEASED) == read_exported(RELEASED)
    (found,) = open_engine(tmp_path / "a.xml", precision="float32").detect([street])
    assert_same(found, open_engine(None, "torch", device="cpu").detect([street])[0])


def test_torch_in_bfloat16_is_near(street) -> None:
    (found,) = open_engine(None, "torch", device="cpu", precision="bfloat16").detect([street])
    assert len(found.above(0.5).scores) > 3
    assert torch.get_default_dtype() == torch.float32


def test_a_video_of_one_size_shows_the_same_people_as_its_pictures(street, monkeypatch) -> None:
    monkeypatch.setattr("upright.detector.engines.openvino_engine.PATIENCE", 2)
    engine = open_engine(None, "openvino", precision="float32")
    for image in (street, street[:300]):  # as large as the backbone takes it, and not
        first, second, third = engine.detect([image] * 3)
        assert_same(second, first)
        assert_same(third, first)
    assert_same(engine.detect([street[:, :200]])[0], open_engine(None, "onnxruntime").detect([street[:, :200]])[0])


@pytest.mark.parametrize("way", [shuffle_at_once, shuffle_by_convolution])
@pytest.mark.parametrize("name", ["light", "any-angle"])  # the second has stages twice, for the second look too
def test_channels_shuffled_in_another_way_are_the_same_channels(name, way, street) -> None:
    file = str(RELEASED.with_name(f"upright-{name}.onnx"))
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    expected = core.compile_model(core.read_model(file), "CPU", options)([street])
    model = core.read_model(file)
    assert len(list(shuffles(model))) >= 16
    way(model)
    assert not list(shuffles(model))
    found = core.compile_model(model, "CPU", options)([street])
    for one, other in zip(found.values(), expected.values(), strict=True):
        np.testing.assert_allclose(one[:10], other[:10], rtol=1e-4, atol=1e-4)
