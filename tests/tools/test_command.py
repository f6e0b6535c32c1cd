"""How tools end."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from upright.errors import InputError
from upright.tools.command import EXTRAS, run

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("package", "extra"), EXTRAS.items())
def test_a_package_that_is_left_out_is_one_line_that_says_what_to_install(package, extra, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(SystemExit) as end:
        run(lambda: __import__(package))
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {package} is not installed")
    assert f"pip install '.[{extra}]'" in line
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [requirement for requirement in extras[extra] if requirement.startswith(package)]


def test_a_package_that_nobody_declared_is_a_fault_of_ours() -> None:
    with pytest.raises(ModuleNotFoundError):
        run(lambda: __import__("no_such_package"))


def test_bad_input_is_one_line(capsys) -> None:
    def main() -> None:
        raise InputError("a file\nis wrong")

    with pytest.raises(SystemExit) as end:
        run(main)
    assert (end.value.code, capsys.readouterr().err) == (2, "error: a file is wrong\n")


def test_a_plain_install_finds_people_and_evaluates() -> None:
    """None of the modules that detecting and evaluating load need a package of the extras."""
    blocked = "; ".join(f"sys.modules[{name!r}] = None" for name in EXTRAS)
    modules = [
        *("detector.detect", "detector.recording", "detector.video", "datasets.caltech", "datasets.citypersons"),
        *("datasets.coco", "datasets.synthetic.video", "tools.detect", "tools.evaluate", "tools.demo"),
        *("detector.evaluation.plots", "detector.evaluation.worst"),
    ]
    imports = "; ".join(f"import upright.{module}" for module in modules)
    subprocess.run([sys.executable, "-c", f"import sys; {blocked}; {imports}"], cwd=ROOT, check=True)
