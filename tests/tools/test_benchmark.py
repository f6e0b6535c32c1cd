"""The benchmark measures the same work on both sides and writes what it says."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from upright.detector.model import build_detector
from upright.detector.settings import Settings
from upright.detector.video_writer import write_picture
from upright.detector.weights import save_weights
from upright.tools.benchmark import compare, main, peak_memory
from upright.tools.head_timing import crop_pairs, detector_pairs

ROOT = Path(__file__).parents[2]


def test_medians_and_their_ratio_are_reported() -> None:
    calls = []
    figure = compare(lambda: calls.append(1), lambda: calls.append(2), 3, torch.device("cpu"), lambda: None)
    assert set(figure) == {"transformers_ms", "baseline_ms", "ratio"}
    assert calls == [1, 2] * 5  # in turn, two rounds of them not counted
    assert figure["ratio"] == pytest.approx(figure["transformers_ms"] / figure["baseline_ms"])


def test_both_sides_of_every_pair_run() -> None:
    device = torch.device("cpu")
    pairs = crop_pairs(device, 4, proposals=10, side=128) | detector_pairs(device, 4)
    assert {"taught_inference", "second_look_inference"} < pairs.keys()
    for ours, theirs in pairs.values():
        ours()
        theirs()


@pytest.mark.slow
@pytest.mark.parametrize("ours", [True, False])
def test_peak_memory_holds_what_the_work_must_hold(ours: bool) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        small, large = (pool.apply(peak_memory, ("crop_inference", "cpu", 4, n, 128, ours)) for n in (100, 3000))
    assert large > 3000 * 256 * 49 * 4 / 2**20  # the crops themselves
    assert small < large / 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tools/benchmark.py"), "head", "--device", "cuda"]
    result = subprocess.run([*command, "--json", str(tmp_path / "a.json")], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_detectors_of_weights_files_take_turns_on_the_pictures_of_a_folder(
    tiny: Settings, tmp_path: Path, call_main
) -> None:
    for name in ("old", "new"):
        save_weights(tmp_path / f"{name}.safetensors", build_detector(tiny), {})
    write_picture(tmp_path / "photos" / "a.png", np.zeros((64, 96, 3), np.uint8))
    files = [tmp_path / "old.safetensors", tmp_path / "new.safetensors"]
    flags = ["--pictures", tmp_path / "photos", "--repeats", 2, "--json", tmp_path / "times.json"]
    ended = call_main(main, "weights", *files, *flags)
    assert ended.status == 0, ended.err
    times = json.loads((tmp_path / "times.json").read_text())
    assert list(times["milliseconds"]) == ["old", "new"]
    assert "1 pictures, medians of 2 rounds" in times["conditions"]


def test_weights_that_are_not_named_and_folders_without_pictures_are_one_line(tmp_path: Path, call_main) -> None:
    assert "name at least one" in call_main(main, "weights").fault
    assert "holds no picture" in call_main(main, "weights", "w.safetensors", "--pictures", tmp_path).fault
