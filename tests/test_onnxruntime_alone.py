"""The README's lines find people in an environment that holds ONNX Runtime, NumPy and Pillow alone."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackagePath, distribution
from pathlib import Path

import numpy as np
from PIL import Image

from upright.datasets.synthetic import SyntheticPedestrians
from upright.detector.engines.choice import RELEASED, open_engine

ROOT = Path(__file__).parents[1]
# With what onnxruntime itself asks for.
ALONE = ("onnxruntime", "numpy", "pillow", "flatbuffers", "packaging", "protobuf")


def only(names: tuple[str, ...], folder: Path) -> None:
    """Links, in a folder, to all that these distributions installed."""
    for name in names:
        installed = distribution(name)
        tops = {path.parts[0] for path in installed.files or () if isinstance(path, PackagePath)}
        for top in tops - {"..", "__pycache__"}:
            (folder / top).symlink_to(Path(str(installed.locate_file(top))).resolve())


def test_the_lines_of_the_readme_run_alone(tmp_path: Path) -> None:
    packages, work = tmp_path / "packages", tmp_path / "work"
    packages.mkdir()
    (work / "weights").mkdir(parents=True)
    only(ALONE, packages)
    (work / "weights" / RELEASED.name).symlink_to(RELEASED)
    street = SyntheticPedestrians("val")[0].image
    Image.fromarray(street).save(work / "street.jpg", quality=95)
    text = (ROOT / "README.md").read_text()
    code = text.partition("<!-- onnxruntime -->\n```python\n")[2].partition("```")[0]
    assert code.count("\n") < 12
    code += (
        "import sys; print({'torch', 'upright', 'cv2', 'openvino'} & set(sys.modules), len(boxes[scores >= threshold]))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # -S: nothing of the environment that runs the tests.
    result = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=work,
        env={**environment, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    read = np.asarray(Image.open(work / "street.jpg").convert("RGB"))
    engine = open_engine(None, "onnxruntime")
    (found,) = engine.detect([read])
    assert result.stdout.splitlines()[-1] == f"set() {len(found.above(engine.settings.threshold).scores)}"
