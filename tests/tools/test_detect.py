"""tools/detect.py as a user calls it."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from written_videos import street

from upright.detector.model import build_detector
from upright.detector.tracking import HOLDING
from upright.detector.video_reader import VideoReader
from upright.detector.video_writer import VideoWriter, write_picture
from upright.detector.weights import save_weights, save_with_settings
from upright.tools import detect

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def posed(tiny, tmp_path_factory) -> Path:
    """The same with transformers that were to be taught: it tells how people stand."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("posed") / "random.safetensors"
    save_weights(path, build_detector(replace(tiny, teach=1.0)), {})
    return path


def write_video(path: Path, frames: int = 4, size: tuple[int, int] = (96, 72), rate: float = 29.97) -> Path:
    code = "mp4v" if path.suffix == ".mp4" else "MJPG"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), rate, size)
    for seed in range(frames):
        writer.write(street(seed, size))
    writer.release()
    return path


def test_pictures_folders_and_videos_in_one_call(tmp_path, call):
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "x.jpg"), street(1))
    cv2.imwrite(str(tmp_path / "photos" / "y.png"), street(2, (50, 40)))
    cv2.imwrite(str(tmp_path / "x.jpg"), street(3))
    write_video(tmp_path / "walk.mp4")
    out = tmp_path / "out"
    status, stdout, err = call(
        tmp_path / "photos", tmp_path / "walk.mp4", tmp_path / "x.jpg", "--output", out, "--threshold", "0.3"
    )
    assert (status, err) == (0, "")
    assert stdout.count("\n") == 1
    for word in ("7 frames", "a second", "decoding", "model", "drawing"):
        assert word in stdout
    assert sorted(path.name for path in out.iterdir()) == ["detections.json", "walk.mp4", "x-2.jpg", "x.jpg", "y.png"]
    content = json.loads((out / "detections.json").read_text())
    assert list(content) == ["images", "detections", "settings"]
    assert [image["id"] for image in content["images"]] == [1, 2, 3, 4, 5, 6, 7]
    assert content["images"][1] == {"id": 2, "file_name": str(tmp_path / "photos" / "y.png"), "width": 50, "height": 40}
    assert [image["frame"] for image in content["images"][2:6]] == [0, 1, 2, 3]
    assert content["settings"]["threshold"] == 0.3
    assert content["detections"]
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    for found in content["detections"]:
        assert set(found) == {"image_id", "category_id", "bbox", "score"}
        assert found["category_id"] == 1
        assert 0.3 <= found["score"] <= 1
        x, y, width, height = found["bbox"]
        assert x >= 0
        assert y >= 0
        assert x + width <= sizes[found["image_id"]][0] + 1e-3
        assert y + height <= sizes[found["image_id"]][1] + 1e-3
    assert VideoReader(out / "walk.mp4").fps == pytest.approx(29.97)


def test_without_a_threshold_that_of_the_weights_holds(tiny, weights, tmp_path, monkeypatch):
    settings = replace(tiny, threshold=0.25, score_shift=-2.0)  # scores near 0.12
    save_with_settings(tmp_path / "w.safetensors", weights, settings, {})
    cv2.imwrite(str(tmp_path / "x.png"), street(1))
    counts = []
    for more in ([], ["--threshold", "0.02"]):
        given = [str(tmp_path / "x.png"), "--output", str(tmp_path / "o"), "--weights", str(tmp_path / "w.safetensors")]
        monkeypatch.setattr(sys, "argv", ["detect.py", *given, *more])
        detect.main()
        content = json.loads((tmp_path / "o/detections.json").read_text())
        counts.append((content["settings"]["threshold"], len(content["detections"]) > 0))
    assert counts == [(0.25, False), (0.02, True)]


def test_tracks_go_below_the_threshold_of_the_weights_but_not_below_a_given_one(tiny, weights, tmp_path, call_main):
    save_with_settings(tmp_path / "w.safetensors", weights, replace(tiny, threshold=0.25), {})
    write_video(tmp_path / "walk.avi", 2)
    flags = [tmp_path / "walk.avi", "--output", tmp_path / "o", "--weights", tmp_path / "w.safetensors", "--no-copies"]
    said = []
    for more in ([], ["--track"], ["--track", "--threshold", "0.3"]):
        assert call_main(detect.main, *flags, *more).status == 0
        settings = json.loads((tmp_path / "o/detections.json").read_text())["settings"]
        said.append((settings["threshold"], settings.get("track_threshold")))
    assert said == [(0.25, None), (0.25, pytest.approx(HOLDING * 0.25)), (0.3, 0.3)]
    assert f"down to {HOLDING:g} of it" in " ".join(call_main(detect.main, "--help").out.split())


def test_one_entry_a_frame_also_where_nothing_was_found(tmp_path, call):
    write_video(tmp_path / "walk.avi", 3)
    status, _, _ = call(tmp_path / "walk.avi", "--output", tmp_path / "out", "--threshold", "1")
    content = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert status == 0
    assert len(content["images"]) == 3
    assert content["detections"] == []


def test_crops_come_beside_the_annotated_copies(tmp_path, call, posed):
    cv2.imwrite(str(tmp_path / "x.png"), street(1))
    odd = VideoWriter(tmp_path / "walk.avi", 29.97, (65, 49))
    for seed in range(2):
        odd.write(street(seed, (65, 49)))
    odd.close()
    out = tmp_path / "out"
    arguments = [tmp_path / "x.png", odd.path, "--output", out, "--threshold", "0.2", "--batch-size", 2]
    status, _, err = call(*arguments, "--crops", "--pose", "--weights", posed, with_weights=False)
    assert (status, err) == (0, "")
    assert {path.name for path in out.iterdir()} == {
        "detections.json", "x.png", "x-crops.png", "walk.mp4", "walk-crops.mp4",
    }  # fmt: skip
    assert len(list(VideoReader(out / "walk-crops.mp4"))) == 2
    assert next(iter(VideoReader(out / "walk.mp4"))).shape == (49, 65, 3)
    posed_copy = cv2.imread(str(out / "x.png"))
    call(*arguments, "--weights", posed, with_weights=False)
    assert (cv2.imread(str(out / "x.png")) != posed_copy).any(), "--pose draws more than boxes"


def test_each_detection_tells_how_the_person_stands(tmp_path, call, posed):
    cv2.imwrite(str(tmp_path / "x.png"), street(1))
    arguments = [tmp_path / "x.png", "--output", tmp_path / "out", "--threshold", "0.2", "--weights", posed]
    assert call(*arguments, with_weights=False).status == 0
    detections = json.loads((tmp_path / "out/detections.json").read_text())["detections"]
    assert detections
    for found in detections:
        assert -180 <= found["lean"] <= 180
        assert list(found["parts"]) == ["head", "torso", "legs"]
        for part in found["parts"].values():
            assert np.shape(part["quadrilateral"]) == (4, 2)
            assert 0 <= part["seen"] <= 1


def test_a_light_detector_finds_what_its_threshold_lets_through(tiny_light, tmp_path, call_main):
    torch.manual_seed(0)
    cv2.imwrite(str(tmp_path / "a.png"), street())
    save_weights(tmp_path / "w.safetensors", build_detector(tiny_light), {})
    for threshold in (0.0, 0.999):
        flags = ("--output", tmp_path / f"{threshold}", "--weights", tmp_path / "w.safetensors")
        ended = call_main(detect.main, tmp_path / "a.png", *flags, "--threshold", threshold)
        assert ended.status == 0, ended.err
        content = json.loads((tmp_path / f"{threshold}" / "detections.json").read_text())
        assert bool(content["detections"]) == (threshold == 0)


def test_a_broken_picture_among_others_does_not_stop_them(tmp_path, call):
    for name in ("a.png", "b.png", "c.png", "d.png"):
        cv2.imwrite(str(tmp_path / name), street())
    for name in ("b.png", "c.png"):
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
    ended = call(tmp_path, "--output", tmp_path / "out")
    assert ended.status == 2
    assert [Path(line.split(" is cut off")[0]).name for line in ended.err.splitlines()] == ["b.png", "c.png"]
    assert "2 frames" in ended.out
    names = [image["file_name"] for image in json.loads((tmp_path / "out" / "detections.json").read_text())["images"]]
    assert names == [str(tmp_path / "a.png"), str(tmp_path / "d.png")]


def test_a_video_cut_in_the_middle_is_kept_and_said(tmp_path, call):
    path = write_video(tmp_path / "walk.avi", 12)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    status, stdout, err = call(path, "--output", tmp_path / "out")
    count = len(json.loads((tmp_path / "out" / "detections.json").read_text())["images"])
    assert status == 0
    assert 3 < count < 12
    assert err.count("\n") == 1
    assert err.startswith(f"warning: {path}: {count} frames")
    assert f"{count} frames in" in stdout
    assert len(list(VideoReader(tmp_path / "out" / "walk.mp4"))) == count


def test_a_full_disk_is_one_line_and_what_was_found_stays(tmp_path, call):
    write_video(tmp_path / "walk.avi", 12)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))  # as on a disk that is full by then
    try:
        ended = call(tmp_path / "walk.avi", "--output", tmp_path / "out", "--threshold", "1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert f"{tmp_path / 'out/walk.mp4'}: cannot be written" in ended.fault
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["detections.json"]
    assert 0 < len(json.loads((tmp_path / "out/detections.json").read_text())["images"]) <= 12


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_keeps_all_that_was_found_until_then(tmp_path, weights, number):
    cv2.imwrite(str(tmp_path / "a.png"), street())
    write_video(tmp_path / "b.avi", 3000)
    out = tmp_path / "out"
    inputs = [tmp_path / "a.png", tmp_path / "b.avi"]
    process = subprocess.Popen(
        [
            *(sys.executable, ROOT / "tools" / "detect.py", *inputs, "--output", out, "--weights", weights),
            *("--track", "--outputs", "json,jsonl,csv"),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # A shell starts what runs in its background with SIGINT ignored, and tests may run there.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    lines = out / "detections.jsonl"
    while not (lines.exists() and lines.read_text().count("\n") > 20) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert err == "interrupted\n"
    assert {path.name for path in out.iterdir()} == {
        *("a.png", "b.mp4", "detections.json", "detections.jsonl", "detections.csv")
    }
    content = json.loads((out / "detections.json").read_text())
    count = len(content["images"])
    assert 20 < count < 3001
    assert len(list(VideoReader(out / "b.mp4"))) == count - 1
    assert [json.loads(line)["frame"] for line in lines.read_text().splitlines()] == [None, *range(count - 1)]
    assert (out / "detections.csv").read_text().count("\n") == 1 + len(content["detections"])


@pytest.mark.slow
def test_processes_share_their_inputs_and_one_that_is_killed_changes_nothing(tmp_path, weights, call):
    """Two, of which one is killed, then both; the same command goes on, and the results are those of one process."""
    inputs = tmp_path / "in"
    inputs.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(inputs / name), street())
    (inputs / "broken.png").write_bytes(b"no picture")
    for name in ("c.avi", "d.avi", "e.avi"):
        write_video(inputs / name, 40)
    flags = ["--track", "--line", "48,0,48,72", "--no-copies", "--outputs", "json,jsonl,csv,counts,events,mot"]
    alone = call(inputs, "--output", tmp_path / "alone", *flags)
    out = tmp_path / "out"

    def start(rank: int) -> subprocess.Popen:
        command = [sys.executable, ROOT / "tools/detect.py", inputs, "--output", out, "--weights", weights, *flags]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RANK": str(rank), "WORLD_SIZE": "2"}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def until_there(*patterns: str) -> None:
        deadline = time.monotonic() + 120
        while not all(map(list, map(out.glob, patterns))) and time.monotonic() < deadline:
            time.sleep(0.02)

    both = [start(0), start(1)]
    until_there(".parts/rank-0", ".parts/rank-1", ".parts/*/detections.jsonl")
    for process in both:
        process.kill()
        process.communicate()
    assert not (out / "detections.json").exists()
    both = [start(0), start(1)]
    until_there(".parts/*/done.json")
    both[0].kill()
    both[0].communicate()
    printed, err = both[1].communicate(timeout=240)
    assert both[1].returncode == alone.status == 2
    assert "broken.png" in err
    assert "error" in err
    assert "122 frames" in printed
    assert not list(out.glob(".parts*"))
    for file in (path for path in (tmp_path / "alone").rglob("*") if path.is_file()):
        assert (out / file.relative_to(tmp_path / "alone")).read_bytes() == file.read_bytes(), file.name


def test_tracks_lines_and_zones_are_drawn_and_written(tmp_path, call):
    write_video(tmp_path / "walk.avi", 6)
    flags = [
        "--track",
        "--line",
        "door=48,0,48,72",
        "--zone",
        "all=0,0,96,0,96,72,0,72",
        "--outputs",
        "json,people,yolo",
    ]
    status, printed, err = call(tmp_path / "walk.avi", "--output", tmp_path / "with", *flags)
    assert (status, err) == (0, "")
    assert "door right: " in printed
    assert call(tmp_path / "walk.avi", "--output", tmp_path / "without").status == 0
    content = json.loads((tmp_path / "with/detections.json").read_text())
    tracks = [one["track"] for one in content["detections"]]
    assert None in tracks, "the first detection of each has no number"
    assert 1 in tracks
    assert "track" not in json.loads((tmp_path / "without/detections.json").read_text())["detections"][0]
    drawn, plain = (list(VideoReader(tmp_path / name / "walk.mp4"))[5] for name in ("with", "without"))
    assert np.abs(drawn.astype(int) - plain).mean() > 3, "the zone lies over the whole picture"
    assert sorted(path.name for path in (tmp_path / "with/labels/walk").iterdir()) == [f"{i:06d}.txt" for i in range(6)]
    assert len(list((tmp_path / "with/people/walk").iterdir())) == len(tracks)


def test_tracks_need_a_package_that_a_plain_install_leaves_out(tmp_path, call, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackers", None)
    write_video(tmp_path / "walk.avi", 2)
    assert "extra 'tracks'" in call(tmp_path / "walk.avi", "--output", tmp_path / "out", "--track").fault
    assert call(tmp_path / "walk.avi", "--output", tmp_path / "out").status == 0


def test_names_that_are_no_utf8_are_kept(tmp_path, call):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/stra\xdfe"))
    folder.mkdir()
    write_picture(folder / os.fsdecode(b"caf\xe9.png"), street())
    status, _, err = call(folder, "--output", folder / "out")
    assert (status, err) == (0, "")
    (image,) = json.loads((folder / "out/detections.json").read_text())["images"]
    assert os.fsencode(image["file_name"]).endswith(b"stra\xdfe/caf\xe9.png")
    assert os.fsencode(next((folder / "out").glob("*.png"))).endswith(b"caf\xe9.png")


def test_help_shows_how_to_call_it(call):
    status, out, _ = call("--help", with_weights=False)
    assert status == 0
    assert "python tools/detect.py street.mp4 --output found" in out


@pytest.mark.parametrize(("name", "frames"), [("bikes.mp4", 250), ("vtest.avi", 795)])
def test_real_videos_are_read_to_their_last_frame(shared, name, frames):
    reader = VideoReader(shared / "data" / "video" / name)
    assert sum(1 for _ in reader) == frames
    assert not reader.cut_off
