"""tools/train.py as a user runs it: resumption after a kill, several processes, bad input."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from upright.detector.model import build_detector
from upright.detector.settings import Settings
from upright.detector.weights import load_detector
from upright.tools import train

ROOT = Path(__file__).parents[2]
SMALL = """
    --preset mobilenet --channels 32 --head-width 32 --glance-channels 8
    --min-size 96 --max-size 160 --crop-height 64 --crop-width 96
    --train-proposals 40 --test-proposals 20 --head-samples 16 --batch-size 2 --backbone-weights none
    --min-height 0 --log-every 1 --workers 1
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures 96 x 64 with a dark board each, in COCO's layout; one has a crowd too, one has nobody."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    images, annotations = [], []
    for i in range(1, 7):
        image = generator.integers(120, 255, (64, 96, 3)).astype(np.uint8)
        x, y = int(generator.integers(0, 70)), int(generator.integers(0, 20))
        image[y : y + 40, x : x + 16] = 20
        cv2.imwrite(str(folder / f"{i}.png"), image)
        images.append({"id": i, "file_name": f"{i}.png", "width": 96, "height": 64})
        if i != 3:
            annotations.append({"id": i, "image_id": i, "bbox": [x, y, 16, 40], "category_id": 1})
    annotations.append({"id": 90, "image_id": 1, "bbox": [40, 10, 30, 30], "iscrowd": 1, "category_id": 1})
    (folder / "a.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return folder


def flags(root: Path, output: Path, *more: str) -> list[str]:
    data = ["--dataset", "coco", "--root", str(root), "--annotations", "a.json"]
    return [*data, *SMALL.split(), "--output", str(output), *more]


def command(root: Path, output: Path, *more: str) -> list[str]:
    return [str(ROOT / "tools/train.py"), *flags(root, output, *more)]


def call(arguments: list[str], *launcher: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*(launcher or (sys.executable,)), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        check=False,
    )


def steps_logged(run: Path) -> list[int]:
    file = run / "log.jsonl"
    if not file.exists():
        return []
    return [json.loads(line)["step"] for line in file.read_text().splitlines() if line.endswith("}")]


def stop_after(arguments: list[str], run: Path, steps: int, how: signal.Signals) -> int:
    """Start a training, send it a signal once it has logged so many steps; its exit status."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 240
    while len(steps_logged(run)) < steps and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    if how == signal.SIGINT:
        process.send_signal(how)
    else:
        os.killpg(process.pid, how)  # the workers too, as when a session, a service or a job is ended
    return process.wait(60)


@pytest.fixture(scope="module")
def unbroken(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "unbroken"
    result = call(command(root, run, "--max-steps", "9"))
    assert result.returncode == 0, result.stderr
    return run


def equal_weights(one: Path, other: Path) -> bool:
    first, second = load_file(one / "last.safetensors"), load_file(other / "last.safetensors")
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_a_run_leaves_what_it_says(unbroken: Path) -> None:
    names = {path.name for path in unbroken.iterdir() if not path.name.startswith("events")}
    assert names == {"settings.json", "log.jsonl", "last.safetensors", "checkpoint.pt", ".lock"}
    assert any(path.name.startswith("events") for path in unbroken.iterdir())
    assert steps_logged(unbroken) == list(range(1, 10))
    entry = json.loads((unbroken / "log.jsonl").read_text().splitlines()[-1])
    assert {"loss", "loss_classifier", "loss_objectness"} <= set(entry["losses"])
    assert set(entry["theta"]) == {"0", "1", "2", "3"}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_run_resumes_to_the_same_weights(
    how: signal.Signals, root: Path, unbroken: Path, tmp_path: Path
) -> None:
    run = tmp_path / "broken"
    each_step = ["--max-steps", "9", "--checkpoint-minutes", "0"]
    status = stop_after(command(root, run, *each_step), run, 4, how)
    assert status == (-9 if how == signal.SIGKILL else 130)
    assert len(steps_logged(run)) < 9
    result = call(command(root, run, *each_step, "--resume"))
    assert result.returncode == 0, result.stderr
    assert steps_logged(run) == list(range(1, 10))
    assert equal_weights(run, unbroken)


@pytest.mark.slow
def test_another_seed_ends_elsewhere(root: Path, unbroken: Path, tmp_path: Path) -> None:
    """What the comparison above would not notice: weights that do not depend on the data."""
    assert call(command(root, tmp_path / "other", "--max-steps", "9", "--seed", "5")).returncode == 0
    assert not equal_weights(tmp_path / "other", unbroken)


@pytest.mark.slow
def test_a_run_is_neither_overwritten_nor_resumed_with_other_settings(root: Path, unbroken: Path, call_main) -> None:
    assert "--resume" in call_main(train.main, *flags(root, unbroken, "--max-steps", "9")).fault
    other = call_main(train.main, *flags(root, unbroken, "--max-steps", "12", "--resume"))
    assert "training.steps = 9, not 12" in other.fault
    assert "--weights" in other.fault, "how to train on"
    done = call_main(train.main, *flags(root, unbroken, "--max-steps", "9", "--resume"))
    assert done.status == 0
    assert "has done its 9 steps" in done.err


@pytest.mark.slow
def test_a_run_goes_on_where_its_data_are_the_same_and_not_where_they_changed(
    root: Path, unbroken: Path, tmp_path: Path, call_main
) -> None:
    shutil.copytree(root, tmp_path / "moved")
    again = ("--max-steps", "9", "--resume")
    assert call_main(train.main, *flags(tmp_path / "moved" / "." / "", unbroken, *again)).status == 0
    data = json.loads((root / "a.json").read_text())
    data["annotations"][0]["bbox"][2] -= 1
    (tmp_path / "moved/a.json").write_text(json.dumps(data))
    fault = call_main(train.main, *flags(tmp_path / "moved", unbroken, *again)).fault
    assert "another content" in fault
    assert "a.json" in fault


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "file"), [(40_000, "checkpoint.pt"), (600, "settings.json")])
def test_a_full_disk_is_one_line_with_file_and_reason(limit: int, file: str, root: Path, tmp_path: Path) -> None:
    def full() -> None:  # a file cannot grow beyond it, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    run = tmp_path / "run"
    arguments = command(root, run, "--max-steps", "3", "--checkpoint-minutes", "0" if "pt" in file else "9")
    result = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, preexec_fn=full, check=False
    )
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error:")
    assert file in last
    assert "cannot be written, a file may not become larger there" in last


@pytest.mark.slow
def test_two_trainings_do_not_write_to_one_folder(root: Path, tmp_path: Path, call_main) -> None:
    holder = "import sys, fcntl; f = open(sys.argv[1], 'wb'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True)"
    (tmp_path / "run").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", holder + "; sys.stdin.read()", str(tmp_path / "run/.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        fault = call_main(train.main, *flags(root, tmp_path / "run", "--max-steps", "1")).fault
        assert "another training" in fault
        assert not (tmp_path / "run/settings.json").exists()
        other.communicate()


def test_data_are_looked_at_before_the_first_step(root: Path, tmp_path: Path, call_main) -> None:
    shutil.copytree(root, tmp_path / "data")
    data = json.loads((root / "a.json").read_text())
    (tmp_path / "data/nobody.json").write_text(json.dumps({"images": data["images"], "annotations": []}))
    validated = ("--val-annotations", "nobody.json", "--max-steps", "1")
    fault = call_main(train.main, *flags(tmp_path / "data", tmp_path / "run", *validated)).fault
    assert "nobody to find" in fault
    whole = (tmp_path / "data/2.png").read_bytes()
    for name in ("2.png", "5.png"):
        (tmp_path / "data" / name).write_bytes(whole[:200])
    ended = call_main(train.main, *flags(tmp_path / "data", tmp_path / "run", "--max-steps", "1", "--check-data"))
    assert ended.status == 2
    assert "2 of 6 pictures cannot be used" in ended.err
    assert "2.png" in ended.err
    assert "5.png" in ended.err
    cv2.imwrite(str(tmp_path / "data/2.png"), np.zeros((64, 90, 3), np.uint8))
    fault = call_main(train.main, *flags(tmp_path / "data", tmp_path / "run", "--max-steps", "1")).fault
    assert "is 90 x 64, its annotations say 96 x 64" in fault
    (tmp_path / "data/2.png").write_bytes(whole)
    (tmp_path / "data/5.png").write_bytes(whole)
    cv2.imwrite(str(tmp_path / "data/thin.png"), np.zeros((1, 2000, 3), np.uint8))
    data["images"].append({"id": 99, "file_name": "thin.png"})
    (tmp_path / "data/thin.json").write_text(json.dumps(data))
    validated = ("--val-annotations", "thin.json", "--max-steps", "1")
    fault = call_main(train.main, *flags(tmp_path / "data", tmp_path / "run", *validated)).fault
    assert "thin.png cannot be searched: 2000 x 1 pixels are too thin" in fault
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_processes_train_one_detector(root: Path, tmp_path: Path) -> None:
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    result = call(command(root, tmp_path / "two", "--max-steps", "3"), *launcher)
    assert result.returncode == 0, result.stderr
    assert steps_logged(tmp_path / "two") == [1, 2, 3]
    resumed = call(command(root, tmp_path / "two", "--max-steps", "3", "--resume"), *launcher)
    assert resumed.returncode == 0, resumed.stderr


@pytest.mark.slow
def test_the_light_preset_starts_from_files_and_resumes_to_the_same_weights(
    root: Path, tiny_light: Settings, tmp_path: Path
) -> None:
    model = build_detector(tiny_light)
    head = model.rpn.state_dict()
    for name in head:
        if ".predict." in name:  # 80 classes and the bins
            head[name] = torch.rand(112, *head[name].shape[1:]) / 100
    files = [str(tmp_path / "body.safetensors"), str(tmp_path / "head.safetensors")]
    for tensors, file in ((model.backbone.state_dict(), files[0]), (head, files[1])):
        save_file({name: value.contiguous() for name, value in tensors.items()}, file)
    light = ["--preset", "light", "--channels", "96", "--backbone-weights", *files, "--max-steps", "4"]
    for name, how in (("unbroken", []), ("broken", ["--checkpoint-minutes", "0"])):
        arguments = command(root, tmp_path / name, *light, *how)
        if how:
            assert stop_after(arguments, tmp_path / name, 2, signal.SIGKILL) == -9
            assert len(steps_logged(tmp_path / name)) < 4
            arguments.append("--resume")
        result = call(arguments)
        assert result.returncode == 0, result.stderr
    assert equal_weights(tmp_path / "broken", tmp_path / "unbroken")
    trained = load_detector(tmp_path / "broken" / "last.safetensors")
    assert trained.settings.backbone == "shufflenet_v2"
    # Frozen, so it is what the file holds, with the channels in our order.
    stem = model.backbone.backbone.conv1[0].weight
    assert torch.equal(trained.backbone.backbone.conv1[0].weight, stem.flip(1))


def test_held_out_pictures_are_not_trained_on_and_validate_the_run(root: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = call(command(root, run, "--max-steps", "2", "--hold-out", "3"))
    assert result.returncode == 0, result.stderr
    assert "AP50" in json.loads((run / "log.jsonl").read_text().splitlines()[-1])["validation"]
    assert json.loads((run / "settings.json").read_text())["data"]["hold_out"] == 3
    with safe_open(run / "last.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["settings"])["provenance"]["pictures"] == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--root", "/nowhere"], "/nowhere"),
        (["--annotations", "b.json"], "b.json"),
        (["--weights", "missing.safetensors"], "missing.safetensors"),
        (["--backbone-weights", "missing.pth"], "missing.pth"),
        (["--backbone-weights", "a.safetensors", "b.safetensors"], "mobilenet_v2 starts from one file"),
        (["--preset", "light", "--channels", "96", "--backbone-weights", "none", "b.safetensors"], "none do not exist"),
        (["--preset", "light"], "use channels 96"),
        (["--ema-decay", "1"], "--ema-decay 1"),
        (["--transformers", "5"], "5 transformers"),
        (["--max-steps", "0"], "--max-steps"),
        (["--epochs", "nan"], "--epochs nan"),
        (["--epochs", "inf"], "--epochs inf"),
        (["--seed", "-1"], "--seed -1"),
        (["--seed", str(2**64)], "--seed"),
        (["--learning-rate", "nan"], "--learning-rate nan"),
        (["--learning-rate", "1e400"], "--learning-rate inf"),
        (["--backbone-rate", "-1"], "--backbone-rate -1"),
        (["--min-height", "nan"], "--min-height nan"),
        (["--turn", "nan"], "--turn nan"),
        (["--extra-synthetic", "-1"], "--extra-synthetic -1"),
        (["--joints-times", "0"], "--joints-times 0"),
        (["--joints-times", "2"], "--joints-times 2: nobody in"),
        (["--validate-every", "-1"], "--validate-every -1"),
        (["--anchor-heights", "24", "48", "96"], "3 anchor heights"),
        (["--anchor-heights", "nan"], "anchor_heights"),
        (["--batch-size", "0"], "--batch-size"),
        (["--workers", "-1"], "--workers"),
        (["--crop-height", "0"], "crop_height"),
        (["--crop-height", "1"], "crop_height 1 is too small"),
        (["--min-size", "8"], "min_size 8 is too small"),
        (["--score-threshold", "7"], "score_threshold 7"),
        (["--nms-threshold", "1.1"], "nms_threshold 1.1"),
        (["--device", "warp"], "warp"),
        (["--hold-out", "1"], "--hold-out 1"),
        (["--hold-out", "7"], "--hold-out 7"),
    ],
)
def test_bad_input_is_one_line(change: list[str], words: str, root: Path, tmp_path: Path, call_main) -> None:
    assert words in call_main(train.main, *flags(root, tmp_path / "run", *change)).fault
    assert not (tmp_path / "run").exists(), "the corrected command has to find the folder free"


@pytest.mark.slow
def test_a_truncated_picture_stops_the_training_by_name(root: Path, tmp_path: Path) -> None:
    for path in root.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "2.png").write_bytes((root / "2.png").read_bytes()[:200])
    result = call(command(tmp_path, tmp_path / "run", "--max-steps", "3"))
    assert result.returncode == 2
    assert result.stderr.strip().splitlines()[-1].startswith("error: the picture")
    assert "2.png" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_command_that_travels_in_the_weights_names_no_folder_of_the_machine() -> None:
    assert train.command_line(["tools/train.py", "--epochs", "2"]) == ["python", "tools/train.py", "--epochs", "2"]
    assert train.command_line(["/opt/env/bin/upright-train", "--epochs", "2"]) == ["upright-train", "--epochs", "2"]
