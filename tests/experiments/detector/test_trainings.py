"""Short trainings: every row is one that tools/train.py takes, is done once, and stands in the table."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from upright.detector.training_options import TrainingOptions
from upright.experiments.detector import trainings
from upright.tools import train
from upright.tools.command import chosen_settings, given_options

SMALL = {
    "--preset": "mobilenet",
    "--channels": "32",
    "--head-width": "32",
    "--glance-channels": "8",
    "--min-size": "64",
    "--max-size": "96",
    "--crop-height": "64",
    "--crop-width": "96",
    "--train-proposals": "40",
    "--test-proposals": "20",
    "--head-samples": "16",
    "--batch-size": "2",
    "--backbone-weights": "none",
    "--min-height": "0",
    "--log-every": "1",
    "--workers": "0",
    "--validate-every": "0",
}


def flags(root: Path, tmp_path: Path, *more: object) -> list[object]:
    (tmp_path / "weights").touch()
    files = ["--body", tmp_path / "weights", "--head-weights", tmp_path / "weights", "--runs", tmp_path / "runs"]
    data = ["--root", root, "--annotations", "a.json", "neg_train.json", "--val-annotations", "a.json"]
    return [*data, "--hold-out", 3, *files, *more]


@pytest.mark.parametrize("name", trainings.ROWS)
def test_every_row_is_a_training_that_the_tool_knows(name: str, root: Path, tmp_path: Path) -> None:
    options = trainings.parser().parse_args([str(flag) for flag in flags(root, tmp_path)])
    arguments = trainings.Comparison(options).arguments(name, 0)
    parsed = train.parser().parse_args([*arguments, "--output", "x"])
    settings = chosen_settings(parsed)
    TrainingOptions.chosen(1, given_options(parsed, TrainingOptions))
    assert (settings.backbone == "mobilenet_v2") == (name == "mobilenet")
    assert ("neg_train.json" in arguments) == (name != "no empty pictures")
    # Of 6 and 4 pictures one in three is held out of each file, so 7 are left.
    assert parsed.extra_synthetic == {"rendered fifth": 2, "rendered half": 7}.get(name, 0)


def test_rows_are_trained_once_and_compared(
    root: Path, tmp_path: Path, call_main, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainings, "BASE", SMALL)
    done = []

    def in_process(arguments: list[str]) -> None:
        done.append(Path(arguments[arguments.index("--output") + 1]).name)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["train.py", *map(str, arguments)])
            train.main()

    monkeypatch.setattr(trainings, "train", in_process)
    document, figures = tmp_path / "a.md", tmp_path / "a.json"
    document.write_text("<!-- trainings -->\n<!-- /trainings -->\n")
    wanted = flags(root, tmp_path, "--steps", 2, "--document", document, "--figures", figures)
    first = call_main(trainings.main, *wanted, "--only", "base")
    assert first.status == 0, first.err
    second = call_main(trainings.main, *wanted, "--only", "base", "no average", "mobilenet")
    assert second.status == 0, second.err
    assert done == ["base-0", "no-average-0"]
    assert "mobilenet is left out" in second.err
    kept = json.loads(figures.read_text())["trainings"]
    assert list(kept) == ["base", "no average"]
    assert kept["base"]["0"]["seconds_a_step"] > 0
    assert str(tmp_path) not in figures.read_text() + document.read_text()
    rows = [line for line in document.read_text().splitlines() if line.startswith(("| base", "| no average"))]
    assert [("(" in row) for row in rows] == [False, True]

    other = call_main(trainings.main, *wanted, "--only", "base", "--steps", 3)
    assert "base-0.json was trained on other conditions" in other.fault


def test_weights_that_are_not_there_are_one_line(root: Path, tmp_path: Path, call_main) -> None:
    assert "nowhere" in call_main(trainings.main, *flags(root, tmp_path), "--imagenet", tmp_path / "nowhere").fault


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_what_is_stopped_may_save_its_work(how: signal.Signals, tmp_path: Path) -> None:
    child = (
        "import pathlib, sys, time\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "try:\n (folder / 'begun').touch()\n time.sleep(60)\n"
        "except KeyboardInterrupt:\n time.sleep(0.5)\n (folder / 'saved').touch()\n sys.exit(130)\n"
    )

    def stop() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), how)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        trainings.finished([sys.executable, "-c", child, str(tmp_path)])
    thread.join()
    assert (tmp_path / "saved").exists()


def test_a_fault_of_the_training_ends_the_command_with_its_status(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        trainings.train(["--max-steps", "0", "--output", "x"])
    assert end.value.code == 2
    assert "leaves nothing to train on" in capfd.readouterr().err
