"""The page of people whose stand is known, from the video to the browser."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from upright.datasets.synthetic.video import render_video
from upright.tools import detect

WEIGHTS = Path(__file__).parents[3] / "weights" / "upright-any-angle.onnx"
ROWS = """() => [...byId('tracks').querySelectorAll('button')].map((button) => ({
    track: Number(button.dataset.track), text: button.textContent,
    sizes: [...button.querySelectorAll('img')].map((image) => [image.naturalWidth, image.naturalHeight])}))"""


@pytest.mark.slow
def test_tracks_are_shown_upright_with_their_lean(tmp_path, call_main, visit):
    video = tmp_path / "street.mp4"
    render_video(video, seed=1, seconds=1.6, fps=5, size=(480, 360), progress=False)
    flags = ["--weights", WEIGHTS, "--track", "--pose", "--page", "--fallen", "60"]
    ended = call_main(detect.main, video, "--output", tmp_path / "found", *flags)
    assert (ended.status, ended.err) == (0, "")
    leans = defaultdict(list)
    for one in json.loads((tmp_path / "found" / "detections.json").read_text())["detections"]:
        assert set(one["parts"]) == {"head", "torso", "legs"}
        leans[one["track"]].append(one["lean"])
    page = visit((tmp_path / "found" / "page.html").as_uri())
    page.wait_for_function("() => byId('video').readyState >= 2")
    page.wait_for_function("() => [...document.images].every((image) => image.complete)")
    rows = page.evaluate(ROWS)
    assert {row["track"] for row in rows} == set(leans) - {None}
    assert rows
    for row in rows:
        shown = float(row["text"].rpartition("lean ")[2].removesuffix("°"))
        assert np.abs(shown - np.array(leans[row["track"]])).min() <= 0.6, row["text"]
        assert row["sizes"][1] == [64, 112], "the person set upright"
    page.get_by_label("Annotated copy").check()
    page.wait_for_function("() => byId('video').readyState >= 2")
    assert page.evaluate("byId('video').currentSrc") == (tmp_path / "found" / "street.mp4").as_uri()
