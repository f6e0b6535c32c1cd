"""How tools end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from upright.errors import InputError, InputWarning
from upright.tools.command import EXTRAS, run

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """`run` is for a process of its own: put back what it changes in ours."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    with warnings.catch_warnings():
        yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


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
        *("detector.detect", "detector.recording", "detector.video_reader", "datasets.caltech", "datasets.citypersons"),
        *("datasets.coco", "datasets.synthetic.video", "tools.detect", "tools.evaluate", "tools.demo"),
        *("detector.evaluation.plots", "detector.evaluation.worst"),
    ]
    imports = "; ".join(f"import upright.{module}" for module in modules)
    subprocess.run([sys.executable, "-c", f"import sys; {blocked}; {imports}"], cwd=ROOT, check=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_polite_kill_is_ctrl_c(number: signal.Signals, capsys) -> None:
    signal.signal(number, signal.SIG_DFL)
    with pytest.raises(SystemExit) as end:
        run(lambda: signal.raise_signal(number))
    assert (end.value.code, capsys.readouterr().err) == (130, "interrupted\n")


@pytest.mark.parametrize("tool", ["detect.py", "demo.py"])
def test_ctrl_c_during_the_imports_is_said_without_a_traceback(tool: str, tmp_path: Path) -> None:
    """The first module that a tool takes from the tools interrupts it, as a user would by then."""
    (tmp_path / "sitecustomize.py").write_text(
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.startswith('upright.tools.'):\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, ROOT / "tools" / tool, "--help"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "interrupted\n")


def test_nohup_keeps_its_meaning() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run(lambda: signal.raise_signal(signal.SIGHUP))


def test_what_the_system_refuses_is_one_line(capsys) -> None:
    def main() -> None:
        raise PermissionError(13, "Permission denied", "/a/file")

    with pytest.raises(SystemExit) as end:
        run(main)
    assert (end.value.code, capsys.readouterr().err) == (2, "error: /a/file: Permission denied\n")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "none left"),
        (np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype("u1")), "Unable to allocate"),
        (MemoryError("Caught MemoryError in process 0.\nOriginal Traceback (most):\n  f()\nMemoryError: 9 GB"), "9 GB"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has 1 GiB"), "(CUDA out of memory)"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory"), "alloc_cpu"),
        (cv2.error("(-4:Insufficient memory) Failed to allocate 9 bytes in function 'OutOfMemoryError'"), "9 bytes"),
    ],
)
def test_want_of_memory_is_one_line(error: Exception, reason: str, capsys) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as end:
        run(main)
    (line,) = capsys.readouterr().err.splitlines()
    assert end.value.code == 2
    assert line.startswith("error: not enough memory (")
    assert reason in line


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="ours"):
        run(lambda: (_ for _ in ()).throw(RuntimeError("ours")))


def test_an_odd_input_is_one_line(capsys) -> None:
    run(lambda: warnings.warn(InputWarning("a.jpg is odd"), stacklevel=1))
    assert capsys.readouterr().err == "warning: a.jpg is odd\n"


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", b"caf\xe9 \xc3\xa9"), ("ascii", b"caf\xe9 \\xe9")])
def test_file_names_are_printed_as_they_are(encoding: str, shown: bytes) -> None:
    program = (
        "from upright.errors import InputError; from upright.tools.command import run\n"
        "def main(): raise InputError('caf\\udce9 \\xe9')\n"
        "run(main)"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True)
    assert ended.stderr == b"error: " + shown + b"\n"
