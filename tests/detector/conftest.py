"""One browser for all tests that look at pages and videos, since Playwright takes no second one in a process; cases."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
# The rest: without them Chromium asks hosts of its own, or does not start as root.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"{CHROMIUM} is not installed: pages and copies are not looked at")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def cases(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Edited and odd videos (`vids`, `slomo`, `latin1vid`), long names, and files among which some are empty."""
    folder = tmp_path_factory.mktemp("cases")
    with tarfile.open(shared / "data" / "cases" / "cases.tar.gz") as archive:
        wanted = ("vids", "slomo", "mixed", "latin1vid", "longname2")
        archive.extractall(folder, [one for one in archive if one.name.split("/")[0] in wanted], filter="data")
    return folder
