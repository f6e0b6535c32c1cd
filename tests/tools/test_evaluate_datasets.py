"""tools/evaluate.py on a data set: detections in the data set's own layout, or a model that is run."""

import json

import cv2
import numpy as np
import pytest

from upright.detector.model import build_detector
from upright.detector.weights import save_weights
from upright.tools import evaluate


@pytest.fixture
def call(call_main):
    """Run the tool in this process."""
    return lambda *arguments: call_main(evaluate.main, *arguments)


def test_caltech_needs_annotations_and_detections_alone(tmp_path, call):
    from upright.datasets.caltech import CaltechPedestrians

    folder = tmp_path / "R/anno_test_1xnew"
    folder.mkdir(parents=True)
    for frame, row in (("00029", "person 100 100 41 100 0 0 0 0 0 0 0"), ("00059", "")):
        (folder / f"set06_V000_I{frame}.txt").write_text(f"% bbGt version=3\n{row}\n".rstrip() + "\n")
    results = tmp_path / "R/res/set06"
    results.mkdir(parents=True)
    (results / "V000.txt").write_text("30,100,100,41,100,0.5\n60,5,5,41,100,0.1\n")
    assert len(CaltechPedestrians(tmp_path / "R", "test", annotations="new")) == 2
    call(
        "--dataset", "caltech", "--root", tmp_path / "R", "--annotations", "new", "--detections",
        tmp_path / "R/res", "--json", tmp_path / "f.json", "--worst", 2, tmp_path / "w.png",
    )  # fmt: skip
    written = json.loads((tmp_path / "f.json").read_text())
    assert (written["protocol"], written["images"]) == ("caltech", 2)
    assert written["subsets"]["Reasonable"]["lamr"] == 0.0
    assert (tmp_path / "w.png").exists()

    for name in ("ACF", "HOG"):  # res/NAME/setNN/VNNN.txt, as the benchmark hands them out
        (tmp_path / "all" / name / "set06").mkdir(parents=True)
        (tmp_path / "all" / name / "set06/V000.txt").write_bytes((results / "V000.txt").read_bytes())
    (tmp_path / "all/notes").mkdir()
    common = ("--dataset", "caltech", "--root", tmp_path / "R", "--annotations", "new")
    ended = call(*common, "--detections", tmp_path / "all", f"ours={tmp_path / 'R/res'}")
    assert [line for line in ended.out.splitlines() if line.startswith("==")] == ["== ACF", "== HOG", "== ours"]
    ended = call(*common, "--detections", tmp_path / "all", tmp_path / "all/ACF")
    assert ended.status == 2
    assert ended.err.splitlines()[-1].startswith("error: two --detections have the same name")


def test_a_model_is_run_by_pose_and_its_detections_evaluate_alike(tiny, tmp_path, call):
    save_weights(tmp_path / "w.safetensors", build_detector(tiny), {})
    common = ["--dataset", "synthetic", "--length", 2]
    call(
        *common, "--weights", tmp_path / "w.safetensors", "--json", tmp_path / "a.json",
        "--save-detections", tmp_path / "d.json",
    )  # fmt: skip
    call(*common, "--detections", tmp_path / "d.json", "--json", tmp_path / "b.json")
    first, second = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert first["poses"]
    assert {name: value for name, value in first.items() if name != "seconds"} == {
        name: value for name, value in second.items() if name != "seconds"
    }
    assert json.loads((tmp_path / "d.json").read_text())["settings"]["dataset"] == "synthetic"


def test_a_missing_picture_is_named_before_the_model_searches_the_others(tmp_path, monkeypatch, call):
    def search(*_, **__):
        raise AssertionError("the model has searched")

    monkeypatch.setattr("upright.detector.inference.detect_dataset", search)
    row = {"id": 1, "image_id": 2, "bbox": [1, 2, 10, 20], "category_id": 1}
    images = [{"id": 1, "file_name": "1.png"}, {"id": 2, "file_name": "2.png"}]
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": [row]}))
    for name, shape in (("1.png", (40, 60, 3)), ("2.png", (1, 3000, 3))):
        assert cv2.imwrite(str(tmp_path / name), np.zeros(shape, np.uint8))
    arguments = ("--dataset", "coco", "--root", tmp_path, "--annotations", "a.json")
    assert "2.png cannot be searched" in call(*arguments).fault
    (tmp_path / "2.png").unlink()
    assert "2.png is missing" in call(*arguments).fault
