"""The command line of the evaluation: what it prints, writes and refuses."""

import gzip
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from upright.detector.model import build_detector
from upright.detector.weights import save_weights
from upright.tools import evaluate

ROOT = Path(__file__).parents[2]
SUBSET_KEYS = ["lamr", "lamr_corrected", "recall", "fppi", "ground_truths", "detections"]
PERSON, OTHER = [100, 100, 41, 100], [300, 100, 41, 100]
ELSEWHERE = [500, 100, 41, 100]


@pytest.fixture
def call(call_main):
    """Run the tool in this process."""
    return lambda *arguments: call_main(evaluate.main, *arguments)


def truth(box, image_id=1, **fields):
    return {
        "image_id": image_id,
        "category_id": 1,
        "ignore": 0,
        "bbox": box,
        "height": box[3],
        "vis_ratio": 1.0,
    } | fields


def found(box, score, image_id=1):
    return {"image_id": image_id, "category_id": 1, "bbox": box, "score": score}


@pytest.fixture
def files(tmp_path):
    """Two pictures with a person each; the first person is found, behind a false positive."""
    truths = {
        "images": [{"id": n, "im_name": f"{n}.png", "width": 640, "height": 480} for n in (1, 2)],
        "annotations": [truth(PERSON), truth(OTHER, 2)],
    }
    (tmp_path / "gt.json").write_text(json.dumps(truths))
    (tmp_path / "d.json").write_text(json.dumps([found(ELSEWHERE, 0.9), found(PERSON, 0.8)]))
    (tmp_path / "none.json").write_text("[]")
    return tmp_path


def test_two_files_give_table_json_and_one_warning(files, call):
    output = call("--ground-truth", files / "gt.json", "--detections", files / "d.json", "--json", files / "f.json")
    assert output.status == 0
    rows = [line.split() for line in output.out.splitlines()]
    assert ["Reasonable", "50.00%", "85.72%", "2", "2"] in rows
    assert ["Small", "n/a", "0", "0"] in rows
    assert "AP50 0.25" in output.out
    (warning,) = output.err.splitlines()
    assert warning.startswith("warning: d: the published program reads the final recall")
    assert "Reasonable, All, Bare;" in warning

    written = json.loads((files / "f.json").read_text())
    assert list(written) == [
        "protocol",
        "images",
        "seconds",
        "subsets",
        "coco",
        "poses",
        "leans",
        "at_threshold",
        "pose",
    ]
    assert (written["protocol"], written["images"], written["poses"]) == ("citypersons", 2, {})
    assert written["seconds"] > 0
    reasonable = written["subsets"]["Reasonable"]
    assert list(reasonable) == SUBSET_KEYS
    assert reasonable["recall"] == [0.5] * 9
    assert reasonable["lamr_corrected"] == pytest.approx(0.5 ** (2 / 9), abs=1e-15)
    assert written["subsets"]["Heavy"] == dict.fromkeys(SUBSET_KEYS[:4]) | {"ground_truths": 0, "detections": 2}
    assert {"AP", "AP50"} <= written["coco"].keys()


def test_an_empty_result_is_a_miss_rate_of_one_and_a_warning(files, call):
    ended = call("--ground-truth", files / "gt.json", "--detections", files / "none.json", "--json", files / "f")
    assert ended.err == "warning: none: no detections at all, so every miss rate is 100 %\n"
    reasonable = json.loads((files / "f").read_text())["subsets"]["Reasonable"]
    assert (reasonable["lamr"], reasonable["recall"]) == (1.0, [0.0] * 9)


@pytest.mark.parametrize("fields", [{"ignore": "yes"}, {"category_id": 0}], ids=["ignored", "unlisted"])
def test_nobody_to_find_is_said(fields, files, call):
    content = json.loads((files / "gt.json").read_text())
    content["annotations"] = [row | fields for row in content["annotations"]]
    content["categories"] = [{"id": 1, "name": "person"}]
    (files / "gt.json").write_text(json.dumps(content))
    ended = call("--ground-truth", files / "gt.json", "--detections", files / "d.json")
    assert ended.status == 0
    assert "nobody to find in 2 pictures, since of 2 boxes none counts as a person" in ended.err
    assert ("2 boxes are of categories that 'categories' does not list (0)" in ended.err) == ("category_id" in fields)


@pytest.mark.parametrize("name", ["gt.json", "d.json"])
def test_compressed_files_are_called_so(name, files, call):
    (files / name).write_bytes(gzip.compress((files / name).read_bytes()))
    fault = call("--ground-truth", files / "gt.json", "--detections", files / "d.json").fault
    assert name in fault
    assert "gunzip" in fault


def test_several_detectors_are_named_tabled_and_plotted_together(files, call):
    ended = call(
        "--ground-truth", files / "gt.json", "--detections", f"ours={files / 'd.json'}",
        files / "none.json", "--json", files / "f.json", "--plot", files / "p.svg", "--worst", 3, files / "w.png",
    )  # fmt: skip
    assert [line for line in ended.out.splitlines() if line.startswith("==")] == ["== ours", "== none"]
    assert list(json.loads((files / "f.json").read_text())) == ["ours", "none"]
    assert "50.00% ours" in (files / "p.svg").read_text()
    assert (files / "w_ours.png").exists()
    assert (files / "w_none.png").exists()


def test_protocol_aspect_and_subsets_are_handed_on(files, call):
    wide = [80, 100, 81, 100]  # of half the overlap, until it is given the person's shape
    (files / "d.json").write_text(json.dumps([found(wide, 0.9), found(OTHER, 0.8, 2)]))
    recalls = []
    for aspect in ([], ["--detections-aspect", "none"]):
        call(
            "--ground-truth", files / "gt.json", "--detections", files / "d.json", "--json",
            files / "f.json", "--protocol", "caltech", "--subsets", "Reasonable", "Overlap=75", *aspect,
        )  # fmt: skip
        written = json.loads((files / "f.json").read_text())
        assert list(written["subsets"]) == ["Reasonable", "Overlap=75"]
        recalls.append([subset["recall"][-1] for subset in written["subsets"].values()])
    assert recalls == [[1.0, 1.0], [1.0, 0.5]]


def test_check_compares_with_the_loop(files, call):
    for protocol in ("citypersons", "caltech"):
        ended = call(
            "--ground-truth", files / "gt.json", "--detections", files / "d.json", "--check", 1,
            "--protocol", protocol,
        )  # fmt: skip
        assert ended.out.splitlines()[-1].endswith("times faster, largest difference 0")


def test_the_threshold_is_the_one_that_was_asked_for_or_else_that_of_the_weights(tiny, files, call):
    from dataclasses import replace

    from upright.detector.model import build_detector
    from upright.detector.weights import save_weights

    save_weights(files / "w.safetensors", build_detector(replace(tiny, threshold=0.3125)), {})
    detections = ["--ground-truth", files / "gt.json", "--detections", files / "d.json"]
    model = ["--dataset", "synthetic", "--length", 1, "--weights", files / "w.safetensors"]
    given = []
    for arguments in (detections, [*detections, "--threshold", 0.85], model, [*model, "--threshold", 0]):
        ended = call(*arguments, "--json", files / "f.json")
        given.append(json.loads((files / "f.json").read_text())["at_threshold"]["threshold"])
        assert f"from a score of {given[-1]:.3g}:" in ended.out
    assert given == [0.5, 0.85, 0.3125, 0.0]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ("--ground-truth gt.json", "add --detections"),
        ("--ground-truth gt.json --detections d.json --weights w", "--weights belongs to a model"),
        ("--ground-truth gt.json --detections d.json --save-detections x", "--save-detections belongs to a model"),
        ("--ground-truth gt.json --detections d.json a/d.json", "the same name"),
        ("--ground-truth gt.json --detections d.json --subsets Tiny", "no subset 'Tiny'"),
        ("--ground-truth gt.json --detections d.json --threshold 1.5", "--threshold 1.5 is not a score"),
        ("--ground-truth gt.json --detections d.json --worst many w.png", "--worst many"),
        ("--ground-truth gt.json --detections missing.json", "missing.json: no such file"),
        # Before a model is loaded and has searched all pictures.
        ("--dataset synthetic --weights none --plot .", "cannot be written"),
        ("--dataset synthetic --weights none --worst 3 gt.json/w.png", "w.png: cannot be written"),
        ("--dataset synthetic --weights none --save-detections gt.json/d.json", "d.json: cannot be written"),
        ("--ground-truth missing.json --detections d.json", "missing.json"),
        ("--ground-truth gt.json --detections gt.json", "looks like ground truth"),
    ],
)
def test_bad_input_is_refused_in_one_line(files, monkeypatch, call, arguments, fault):
    monkeypatch.chdir(files)
    before = sorted(path.name for path in files.iterdir())
    assert fault in call(*arguments.split(), "--json", "f.json").fault
    assert sorted(path.name for path in files.iterdir()) == before


def test_the_tool_ends_with_2_and_one_line_and_reads_files_without_torch(files):
    program = (
        "import runpy, sys\n"
        "sys.argv = ['evaluate.py', '--ground-truth', 'gt.json', '--detections', sys.argv[1]]\n"
        f"try: runpy.run_path({str(ROOT / 'tools/evaluate.py')!r}, run_name='__main__')\n"
        "finally: assert 'torch' not in sys.modules\n"
    )
    good, bad = (
        subprocess.run([sys.executable, "-c", program, name], cwd=files, capture_output=True, text=True)
        for name in ("d.json", "missing.json")
    )
    assert (good.returncode, bad.returncode) == (0, 2)
    assert good.stdout.startswith("citypersons: 2 pictures")
    assert bad.stdout == ""
    assert bad.stderr.startswith("error: missing.json: no such file")
    assert bad.stderr.count("\n") == 1


def standing(lean=0.0):
    """COCO's keypoints of somebody in `PERSON`, all seen, and the pose that a detector may tell."""
    x = (120, 122, 118, 124, 116, 128, 112, 130, 110, 130, 110, 125, 115, 125, 115, 125, 115)
    y = (108, 106, 106, 108, 108, 120, 120, 134, 134, 148, 148, 152, 152, 174, 174, 196, 196)
    joints = [number for place in zip(x, y, strict=True) for number in (*place, 2)]
    around = [[100, 100], [141, 100], [141, 200], [100, 200]]
    parts = {name: {"quadrilateral": around, "seen": 0.75} for name in ("head", "torso", "legs")}
    return {"keypoints": joints, "num_keypoints": 17}, {"lean": lean, "parts": parts}


def test_how_people_stand_is_measured_in_files_that_tell_it(files, call):
    joints, pose = standing(lean=-100.0)
    truths = json.loads((files / "gt.json").read_text())
    truths["annotations"][0] |= joints
    (files / "gt.json").write_text(json.dumps(truths))
    (files / "d.json").write_text(json.dumps([found(ELSEWHERE, 0.9), found(PERSON, 0.8) | pose]))
    ended = call("--ground-truth", files / "gt.json", "--detections", files / "d.json", "--json", files / "f.json")
    figures = json.loads((files / "f.json").read_text())["pose"]
    assert figures["all"] == figures["large"]
    assert (figures["all"]["found"], figures["all"]["people"]) == (1, 1)
    assert (figures["all"]["lean_error"], figures["all"]["upside_down"]) == (100, 1)
    assert figures["all"]["head_inside"] == 1
    assert 0 < figures["all"]["overlap"]["torso"] < 1
    assert figures["seen"]["legs"] == {"seen": 1, "hidden": 0, "told_seen": 0.75, "told_hidden": None, "auc": None}
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["from", "64", "px", "1", "1", "100.0", "100.00%", "n/a", "100.00%"] in [row[:9] for row in rows]
    assert ["legs", "n/a", "0.750", "1", "n/a", "0"] in rows


@pytest.fixture
def lying_and_standing(tmp_path, tiny):
    """A COCO data set of one picture, in which one person has joints and an outline; and weights that tell a pose."""
    torch.manual_seed(0)
    save_weights(tmp_path / "w.safetensors", build_detector(replace(tiny, teach=1.0)), {})
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "1.png"), noise)
    x, y, width, height = PERSON
    outline = [x, y, x + width, y, x + width, y + height, x, y + height]
    people = [truth(PERSON, id=1) | standing()[0] | {"segmentation": [outline]}, truth([200, 50, 41, 100], id=2)]
    images = [{"id": 1, "file_name": "1.png", "width": 320, "height": 240}]
    categories = [{"id": 1, "name": "person"}]
    content = {"images": images, "annotations": people, "categories": categories}
    (tmp_path / "val.json").write_text(json.dumps(content))
    data = ["--dataset", "coco", "--root", tmp_path, "--annotations", tmp_path / "val.json"]
    return [*data, "--weights", tmp_path / "w.safetensors"]


def test_pictures_are_turned_by_each_angle(lying_and_standing, tmp_path, call):
    ended = call(*lying_and_standing, "--turned", 0, 90, "--json", tmp_path / "f.json", "--plot", tmp_path / "p.png")
    assert ended.status == 0, ended.err
    assert [line for line in ended.out.splitlines() if line.startswith("==")] == ["== turned by 0", "== turned by 90"]
    written = json.loads((tmp_path / "f.json").read_text())
    assert list(written) == ["turned by 0", "turned by 90"]
    upright, lying = written.values()
    assert (upright["turned"], lying["turned"]) == (0, 90)
    for figures in (upright, lying):
        assert figures["subsets"]["All"]["ground_truths"] == 1, "who has no outline is an ignore region"
        assert figures["pose"]["all"]["people"] == 1
    assert upright["pose"]["by_lean"]["0-15"]["people"] == lying["pose"]["by_lean"]["90-105"]["people"] == 1


def test_one_angle_gives_one_object(lying_and_standing, tmp_path, call):
    assert call(*lying_and_standing, "--turned", "-45", "--json", tmp_path / "f.json").status == 0
    assert json.loads((tmp_path / "f.json").read_text())["turned"] == -45


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["--turned", "nan"], "finite"),
        (["--turned", 90, 90.0], "twice"),
        (["--turned", 90, "--save-detections", "d.json"], "--save-detections"),
    ],
)
def test_turns_that_cannot_be_are_refused(lying_and_standing, call, flags, fault):
    assert fault in call(*lying_and_standing, *flags).fault


def test_files_of_detections_cannot_be_turned(files, call):
    given = ("--ground-truth", files / "gt.json", "--detections", files / "d.json", "--turned", 90)
    assert "--detections" in call(*given).fault
