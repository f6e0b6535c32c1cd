"""A few of the damaged files that `make fuzz` reads by the thousand, and that it notices what it is for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def fuzz(*arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_damaged_files_give_a_result_or_an_input_error() -> None:
    ended = fuzz("--count", "300", "--seed", "1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 faults" in ended.stdout


@pytest.mark.slow
def test_errors_crashes_hangs_and_memory_are_noticed(tmp_path: Path) -> None:
    """Readers that do what no reader may do, in turn with the number of the input."""
    for name in ("run.py", "mutations.py"):
        (tmp_path / name).write_text((FOLDER / name).read_text().replace("SECONDS = 20", "SECONDS = 1"))
    (tmp_path / "readers.py").write_text(
        """
import os, signal
from mutations import mutated_bytes
class Bad:
    structure, weight, calls = staticmethod(mutated_bytes), 1.0, 0
    def make(self, folder):
        (folder / "a").write_bytes(b"12345678")
        return [folder / "a"]
    def read(self, folder):
        if (folder / "a").read_bytes() != b"12345678":
            self.fail()
class Raises(Bad):
    def fail(self): raise KeyError("key")
class Crashes(Bad):
    def fail(self): os.kill(os.getpid(), signal.SIGSEGV)
class Hangs(Bad):
    def fail(self):
        while True: pass
class Eats(Bad):
    def fail(self): bytearray(1 << 40)
READERS = {"raises": Raises(), "crashes": Crashes(), "hangs": Hangs(), "eats": Eats()}
"""
    )
    ended = fuzz("--count", "4", folder=tmp_path)
    assert ended.returncode == 1
    for words in ("KeyError", "status -11", "took too long", "MemoryError"):
        assert words in ended.stderr
    assert "4 inputs, 4 faults" in ended.stdout
