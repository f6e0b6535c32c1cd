"""docs/browser.html finds in Chromium whom ONNX Runtime finds in Python."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from upright.datasets.synthetic import SyntheticPedestrians
from upright.detector.engines.choice import RELEASED, open_engine

ROOT = Path(__file__).parents[1]
RUNTIME = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


class Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012  # the base class's own
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Of a server of the page and all that it loads."""
    runtime = os.environ.get("ONNXRUNTIME_WEB")
    if not runtime:
        pytest.skip("ONNXRUNTIME_WEB does not name the dist folder of onnxruntime-web")
    for file in (ROOT / "docs" / "browser.html", RELEASED, *(Path(runtime) / name for name in RUNTIME)):
        shutil.copy(file, tmp_path / file.name)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/browser.html"
    server.shutdown()


@pytest.mark.slow
def test_the_page_finds_the_same_people(address: str, tmp_path: Path) -> None:
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not here")
    street = SyntheticPedestrians("val")[0].image
    cv2.imwrite(str(tmp_path / "street.png"), street[..., ::-1])
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        page = browser.new_page()
        page.goto(address)
        page.set_input_files("#file", tmp_path / "street.png")
        page.wait_for_function("document.getElementById('said').value !== ''", timeout=120_000)
        found = page.evaluate("async () => detect(await createImageBitmap(document.getElementById('file').files[0]))")
        said = page.evaluate("document.getElementById('said').value")
        browser.close()
    (expected,) = open_engine(None, "onnxruntime").detect([street])
    sure = expected.above(0.3)
    assert said == f"{len(sure.scores)} people"
    assert len(sure.scores) > 3
    found = found[: len(sure.scores)]
    np.testing.assert_allclose([one["score"] for one in found], sure.scores, atol=1e-3)
    np.testing.assert_allclose([one["box"] for one in found], sure.boxes, atol=0.5)
