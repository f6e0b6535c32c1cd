"""Exported detectors compute what the detector in torch does, whatever the size of the picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from upright.datasets.synthetic import SyntheticPedestrians
from upright.detector.detected import Detected
from upright.detector.engines.choice import RELEASED
from upright.detector.engines.torch_engine import TorchEngine
from upright.detector.export import export_onnx
from upright.detector.exported_file import read_exported
from upright.detector.model import Detector, build_detector
from upright.detector.settings import Settings
from upright.errors import InputError


def exported_found(path: Path, image: np.ndarray) -> Detected:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return Detected.of(dict(zip(names, session.run(None, {"image": image}), strict=True)))


def taught(settings: Settings, second_look: str, pose_from: str = "transformers") -> Detector:
    """A detector that tells pose, with random weights under which transformers do not stay where they start."""
    torch.manual_seed(0)
    changes = {"second_look": second_look, "pose_from": pose_from, "looks": 8}
    model = build_detector(replace(settings, teach=1.0, glance_size=7, score_threshold=1e-4, **changes)).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        localisations = [model.roi_heads.box_roi_pool.localisation]
        if pose_from == "second_look":
            localisations.append(model.roi_heads.second_look.localisation)
        for localisation in localisations:
            localisation.regression.linear.weight.normal_(std=0.05, generator=generator)
            localisation.regression.linear.bias.normal_(std=0.2, generator=generator)
        for head in model.rpn.head:
            head.predict.weight.normal_(std=0.1, generator=generator)
            head.predict.bias[0] = 0
    return model


@pytest.fixture(scope="module")
def street() -> np.ndarray:
    return SyntheticPedestrians("val")[0].image


@pytest.mark.parametrize(
    ("second_look", "pose_from"),
    [*((kind, "transformers") for kind in ("none", "box", "canonical")), ("canonical", "second_look")],
)
def test_pose_and_second_look_are_exported(second_look, pose_from, tiny_light, street, tmp_path) -> None:
    model = taught(tiny_light, second_look, pose_from)
    export_onnx(tmp_path / "a.onnx", model, {})
    for image in (street[:200, :300], street[100:400, :170]):
        (wanted,) = TorchEngine(model).detect([image])
        found = exported_found(tmp_path / "a.onnx", np.ascontiguousarray(image))
        assert len(found.scores) == len(wanted.scores) > 5
        np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-3)
        unique = np.flatnonzero(np.diff(wanted.scores, prepend=2, append=-1)[:-1] < -1e-5)
        unique = [i for i in unique if i + 1 == len(wanted.scores) or wanted.scores[i] - wanted.scores[i + 1] > 1e-5]
        assert len(unique) > 5
        for name in ("boxes", "whole", "parts"):
            np.testing.assert_allclose(getattr(found, name)[unique], getattr(wanted, name)[unique], atol=0.05)
        np.testing.assert_allclose(found.seen[unique], wanted.seen[unique], atol=1e-3)


def test_a_batch_holds_what_its_pictures_hold(tiny_light, street, tmp_path) -> None:
    model = taught(tiny_light, "canonical", "second_look")
    export_onnx(tmp_path / "one.onnx", model, {})
    export_onnx(tmp_path / "many.onnx", model, {}, batch=True)
    images = np.stack([street[:240, :320], street[200:440, 300:620], np.zeros((240, 320, 3), np.uint8)])
    session = onnxruntime.InferenceSession(str(tmp_path / "many.onnx"), providers=["CPUExecutionProvider"])
    boxes, scores, whole = session.run(["boxes", "scores", "whole"], {"image": images})
    for image, box, score, corners in zip(images, boxes, scores, whole, strict=True):
        alone = exported_found(tmp_path / "one.onnx", image)
        np.testing.assert_allclose(score[score > 0], alone.scores, atol=1e-4)
        assert np.abs(box[0] - alone.boxes[0]).max() < 0.05
        assert np.abs(corners[0] - alone.whole[0]).max() < 0.05


def test_a_file_says_what_it_is(tiny_light, tmp_path) -> None:
    model = taught(tiny_light, "none")
    export_onnx(tmp_path / "a.onnx", model, {"command": "made for a test"}, licence="nobody's")
    said = read_exported(tmp_path / "a.onnx")
    assert said.settings == model.settings
    assert said.outputs == ("boxes", "scores", "lean", "whole", "parts", "seen")
    meta = {entry.key: entry.value for entry in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert meta["licence"] == "nobody's"
    assert float(meta["threshold"]) == model.settings.threshold
    assert json.loads(meta["upright"])["provenance"] == {"command": "made for a test"}
    opsets = {one.domain: one.version for one in onnx.load(tmp_path / "a.onnx").opset_import}
    assert opsets.keys() == {""}
    assert opsets[""] <= 18


def test_numbers_that_float16_holds_are_stored_in_it() -> None:
    graph = onnx.load(RELEASED).graph
    large = [one for one in graph.initializer if np.prod(one.dims) > 10000]
    assert large
    assert {one.data_type for one in large} == {onnx.TensorProto.FLOAT16}


def test_a_detector_of_another_kind_is_refused(tiny, tmp_path) -> None:
    with pytest.raises(InputError, match="preset light"):
        export_onnx(tmp_path / "a.onnx", build_detector(tiny), {})
    assert not list(tmp_path.iterdir())


def rewritten(path: Path, change) -> Path:
    model = onnx.load(RELEASED)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, change(entries))
    onnx.save(model, path)
    return path


def test_a_file_of_another_version_is_refused(tmp_path) -> None:
    def later(entries: dict[str, str]) -> dict[str, str]:
        return entries | {"upright": json.dumps(json.loads(entries["upright"]) | {"version": 99})}

    with pytest.raises(InputError, match="another version"):
        read_exported(rewritten(tmp_path / "a.onnx", later))


def test_somebody_elses_model_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"no detector that tools/export\.py wrote"):
        read_exported(rewritten(tmp_path / "a.onnx", lambda _: {}))


@pytest.mark.parametrize("kept", [0, 1, 1000, 5_000_000])
def test_a_file_cut_off_is_one_sentence(kept, tmp_path) -> None:
    (tmp_path / "a.onnx").write_bytes(RELEASED.read_bytes()[:kept])
    with pytest.raises(InputError):
        read_exported(tmp_path / "a.onnx")


@pytest.mark.parametrize("name", ["a.onnx", "a.xml"])
@pytest.mark.parametrize("content", [b"no model", b"\xff" * 40, b"<a/>", b"\x72\x04\x0a\x00\x12\x00"])
def test_what_is_no_model_is_one_sentence(name, content, tmp_path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError):
        read_exported(tmp_path / name)
