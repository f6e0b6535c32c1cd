"""tools/detect.py: what it can be given, and which frames and sizes of it are looked at."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from written_videos import street

from upright.detector.video_reader import VideoReader
from upright.detector.video_writer import VideoWriter


def write_video(path: Path, frames: int, rate: float) -> None:
    writer = VideoWriter(path, rate, (96, 72))
    for seed in range(frames):
        writer.write(street(seed))
    writer.close()


def test_a_part_of_a_video_from_a_list_keeps_its_times(tmp_path, call):
    write_video(tmp_path / "walk.mp4", 20, rate=10)
    (tmp_path / "names.txt").write_text("walk.mp4\n")
    out = tmp_path / "out"
    flags = ("--start", "0.5", "--end", "1.5", "--every", "5")
    status, _, err = call(tmp_path / "names.txt", "--output", out, *flags)
    assert (status, err) == (0, "")
    images = json.loads((out / "detections.json").read_text())["images"]
    assert [image["frame"] for image in images] == [5, 10]
    assert [image["seconds"] for image in images] == pytest.approx([0.5, 1.0])
    assert [seconds for seconds, _ in VideoReader(out / "walk.mp4").timed()] == pytest.approx([0.0, 0.5])


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (("--every", "0"), "--every"),
        (("--fps", "nan"), "--fps"),
        (("--end", "-1"), "--end"),
        (("--tiles", "3"), "--tiles"),
    ],
)
def test_choices_that_cannot_be_are_one_line(tmp_path, call, flags, word):
    cv2.imwrite(str(tmp_path / "x.png"), street())
    assert word in call(tmp_path / "x.png", "--output", tmp_path / "out", *flags).fault


def test_a_larger_input_side_and_tiles_change_what_is_found(tmp_path, call):
    cv2.imwrite(str(tmp_path / "x.png"), street(1, (400, 300)))
    counts = []
    for number, flags in enumerate(((), ("--size", "256"), ("--tiles", "128"))):
        out = tmp_path / str(number)
        assert call(tmp_path / "x.png", "--output", out, "--threshold", "0.01", *flags).status == 0
        counts.append(json.loads((out / "detections.json").read_text())["detections"])
    assert counts[0] != counts[1]
    assert counts[0] != counts[2]


def test_a_stream_that_is_not_there_is_one_line_without_its_password(tmp_path, call):
    fault = call("rtsp://me:secret@127.0.0.1:1/street", "--output", tmp_path / "out").fault
    assert "rtsp://127.0.0.1:1/street" in fault
    assert "secret" not in fault


def test_boxes_belong_to_the_picture_as_it_is_turned(tmp_path, call):
    """A JPEG whose EXIF says that it lies on its side."""
    data = cv2.imencode(".jpg", street())[1].tobytes()
    tiff = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" + b"\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    (tmp_path / "x.jpg").write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    status, _, _ = call(tmp_path / "x.jpg", "--output", tmp_path / "out")
    (image,) = json.loads((tmp_path / "out" / "detections.json").read_text())["images"]
    assert status == 0
    assert (image["width"], image["height"]) == (72, 96)
    assert cv2.imread(str(tmp_path / "out" / "x.jpg")).shape == (96, 72, 3)


@pytest.mark.parametrize("kind", ["grey", "alpha", "sixteen bits", "one pixel"])
def test_odd_pictures_are_pictures(tmp_path, call, kind):
    grey = street()[..., 0]
    image = {
        "grey": grey,
        "alpha": np.dstack([street(), grey]),
        "sixteen bits": grey.astype(np.uint16) * 257,
        "one pixel": grey[:1, :1],
    }[kind]
    cv2.imwrite(str(tmp_path / "x.png"), image)
    status, _, err = call(tmp_path / "x.png", "--output", tmp_path / "out")
    assert (status, err) == (0, "")
    assert cv2.imread(str(tmp_path / "out" / "x.png"), cv2.IMREAD_UNCHANGED).shape == (*image.shape[:2], 3)
