"""Detectors in int8 find what they find in float32, and say what they are."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino
import pytest
from PIL import Image

from upright.datasets.synthetic import SyntheticPedestrians
from upright.detector.engines.choice import RELEASED, open_engine
from upright.detector.export import export_openvino
from upright.detector.exported_file import read_exported
from upright.errors import InputError
from upright.tools import export

pytest.importorskip("nncf", reason="nncf, of the extra int8, is not installed")

from upright.detector.quantisation import COARSE

ROOT = Path(__file__).parents[2]
ALONE = """
import sys
import numpy as np
from upright.detector.engines.choice import open_engine
engine = open_engine(sys.argv[1], precision="float32")
assert engine.name == "OpenVINO int8, float32"
found = engine.detect(list(np.load(sys.argv[2] + "/streets.npy")))
boxes, scores = ({f"{name}{i}": getattr(one, name) for i, one in enumerate(found)} for name in ("boxes", "scores"))
np.savez(sys.argv[2] + "/found.npz", **boxes, **scores)
"""


@pytest.fixture(scope="module")
def streets() -> list[np.ndarray]:
    pictures = SyntheticPedestrians("val")
    return [pictures[i].image for i in range(6)]


@pytest.fixture(scope="module")
def folder(streets, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for i, image in enumerate(streets):
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def int8(folder, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "a.xml"
    flags = ["--format", "openvino", "--precision", "int8", "--calibration", str(folder), "--output", str(path)]
    # By the tool, as users do.
    subprocess.run([sys.executable, ROOT / "tools/export.py", *flags], check=True)
    return path


@pytest.mark.slow
def test_the_people_are_those_of_float32(int8, streets, tmp_path) -> None:
    np.save(tmp_path / "streets.npy", streets)
    # In a process of its own: the next signal raised in a process that has computed in int8 has crashed it.
    subprocess.run([sys.executable, "-c", ALONE, int8, tmp_path], check=True)
    result = np.load(tmp_path / "found.npz")
    every = [(result[f"boxes{i}"], result[f"scores{i}"]) for i in range(len(streets))]
    exact = open_engine(None, "openvino", precision="float32")
    apart = []
    for (boxes, scores), wanted in zip(every, exact.detect(streets), strict=True):
        for box, score in zip(wanted.above(0.5).boxes, wanted.above(0.5).scores, strict=True):
            nearest = np.abs(boxes - box).max(axis=1).argmin()
            share = np.abs(boxes[nearest] - box).max() / (box[2:] - box[:2]).max()
            apart.append((share, abs(scores[nearest] - score)))
    assert len(apart) > 10
    share, difference = np.median(apart, axis=0)
    assert share < 0.02
    assert difference < 0.03


@pytest.mark.slow
def test_what_is_heavy_is_int8_and_nothing_else(int8) -> None:
    nodes = openvino.Core().read_model(int8).get_ops()
    rounded = [node.output(0).get_target_inputs() for node in nodes if node.get_type_name() == "FakeQuantize"]
    takers = {taker.get_node().get_friendly_name() for takers in rounded for taker in takers}
    assert all(any(part in name for part in COARSE) for name in takers)
    for layer in ("/backbone/backbone/conv1/conv1.0/", "/head.3/predict/", "/box_head/first/", "/box_head/score/"):
        assert [name for name in takers if layer in name]
    assert int8.with_suffix(".bin").stat().st_size < 0.7 * RELEASED.stat().st_size


@pytest.mark.slow
def test_a_file_in_int8_says_so(int8) -> None:
    assert read_exported(int8) == replace(read_exported(RELEASED), path=int8, precision="int8")


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"no picture", "thin"])
def test_a_picture_that_cannot_be_used_is_named(content, tmp_path) -> None:
    if content == "thin":
        Image.fromarray(np.zeros((1, 2000, 3), np.uint8)).save(tmp_path / "odd.png")
    else:
        (tmp_path / "odd.png").write_bytes(content)
    with pytest.raises(InputError, match=r"odd\.png"):
        export_openvino(tmp_path / "a.xml", RELEASED, pictures=[tmp_path / "odd.png"])
    assert not list(tmp_path.glob("*.xml"))


INT8 = ["--precision", "int8", "--format", "openvino", "--output", "a.xml"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (INT8, "add --calibration FOLDER"),
        ([*INT8, "--calibration", "."], "holds no picture"),
        ([*INT8, "--calibration", "nowhere"], "nowhere is no folder"),
        ([*INT8, "--calibration", ".", "--calibration-pictures", "0"], "use 1 or more"),
        ([*INT8, "--calibration", ".", "--batch"], "leave --batch out"),
        (["--precision", "int8", "--calibration", ".", "--output", "a.onnx"], "add --format openvino"),
        (["--calibration", ".", "--output", "a.onnx"], "add --precision int8"),
    ],
)
def test_flags_that_cannot_be_used_are_one_line(flags, words, tmp_path, monkeypatch, call_main) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in call_main(export.main, *flags).fault
    assert not list(tmp_path.iterdir())


def test_without_nncf_one_line_says_what_to_install(tmp_path, monkeypatch, call_main) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "nncf", None)
    monkeypatch.delitem(sys.modules, "upright.detector.quantisation", raising=False)
    assert "extra 'int8'" in call_main(export.main, *INT8, "--calibration", ".").fault
    assert not list(tmp_path.iterdir())
