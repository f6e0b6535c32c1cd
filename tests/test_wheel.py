"""What is installed: every package, the released weights, the commands, beside another package called `datasets`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import cv2
import pytest

from upright.datasets.synthetic import SyntheticPedestrians

ROOT = Path(__file__).parents[1]
ROOMS = ("detector", "datasets", "tools", "weights")
COMMANDS = ("upright-detect", "upright-train", "upright-calibrate", "upright-evaluate", "upright-benchmark")


def test_every_package_folder_is_listed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {file.parent for room in ROOMS for file in (ROOT / room).rglob("__init__.py")}
    assert sorted(listed) == sorted(["upright", *(f"upright.{'.'.join(f.relative_to(ROOT).parts)}" for f in folders)])


def run(*command: object, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command with nothing of this environment but its PATH, so that neither PYTHONPATH nor the checkout helps."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    result = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0 or not check, result.stderr
    return result


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, so that no leftovers of a build come into the checkout or the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "py.typed", *(f.name for f in ROOT.glob("*.py"))):
        shutil.copy(ROOT / name, source / name)
    build = ("wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder, source)
    run(sys.executable, "-m", "pip", *build, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The bin folder of a new environment with the wheel and a package `datasets` of somebody else's.

    The packages that Upright needs are those of this environment, seen through a path behind the new one's own.
    A path adds no .pth files, so that an editable Upright of this environment stays out of sight.
    """
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    own = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).stdout.strip())
    outer = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (own / "outer.pth").write_text("".join(f"{path}\n" for path in outer))
    (own / "datasets").mkdir()
    (own / "datasets" / "__init__.py").write_text("OWNER = 'somebody else'\n")
    install = ("install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", wheel)
    run(sys.executable, "-m", "pip", "--python", python, *install, cwd=folder)
    return folder / "bin"


def test_the_wheel_holds_weights_types_and_licences_and_nothing_at_the_top(wheel) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"upright/weights/upright-light.safetensors", "upright/py.typed"} <= set(names)
    assert {Path(name).name for name in names} >= {"LICENSE", "NOTICE"}
    assert {name.split("/")[0].split("-")[0] for name in names} == {"upright"}
    assert not [name for name in names if "test" in name]


@pytest.mark.slow
def test_the_wheel_finds_people_from_another_folder(installed, tmp_path) -> None:
    street = SyntheticPedestrians("val")[0].image
    cv2.imwrite(str(tmp_path / "street.png"), street[..., ::-1])

    run(installed / "upright-detect", "street.png", "--output", "found", "--device", "cpu", cwd=tmp_path)
    assert (tmp_path / "found" / "street.png").is_file()

    code = """
import json, datasets, upright
found = upright.detect("street.png", device="cpu")
written = json.load(open("found/detections.json"))["detections"]
assert len(written) == len(found.scores) > 3, (len(written), len(found.scores))
assert [one["score"] for one in written] == found.scores.tolist()
print(upright.__file__, datasets.OWNER, sep="\\n")
"""
    place, owner = run(installed / "python", "-c", code, cwd=tmp_path).stdout.splitlines()
    assert Path(place).is_relative_to(installed.parent)
    assert owner == "somebody else"


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_answers_and_refuses_in_one_line(command, installed, tmp_path) -> None:
    assert "usage" in run(installed / command, "--help", cwd=tmp_path).stdout
    wrong = {
        "upright-detect": ("nowhere.jpg", "--output", "found"),
        "upright-train": ("--dataset", "coco", "--output", "run"),
        "upright-calibrate": ("w.safetensors", "--dataset", "coco", "--output", "c.safetensors"),
        "upright-evaluate": ("--dataset", "coco"),
        "upright-benchmark": ("head", "--repeats", "0"),
    }
    result = run(installed / command, *wrong[command], cwd=tmp_path, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
