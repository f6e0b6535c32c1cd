"""Which engine runs: the one that is asked for, or the quickest one of this machine."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from upright.detector.engines.engine import ENGINES, PRECISIONS, Engine, EngineName, Precision
from upright.detector.exported_file import is_exported, read_exported
from upright.errors import InputError

RELEASED = Path(__file__).parents[2] / "weights" / "upright-light.onnx"
# How each engine is installed.
INSTALL = {
    "torch": "install Upright with its extra 'train'",
    "openvino": "pip install openvino",
    "onnxruntime": "pip install onnxruntime",
}


def open_engine(
    weights: str | Path | None = None,
    engine: EngineName = "auto",
    *,
    device: str | None = None,
    precision: Precision = "auto",
    threads: int = 0,
) -> Engine:
    """A detector on an engine.

    Args:
        weights: a weights file, which torch runs, or an exported one, which the others run; by default the released
            detector in the form that the engine takes.
        engine: "auto" is torch for weights files and where there is a GPU for it, OpenVINO otherwise.
        device: of torch (default: a GPU where there is one).
        precision: "auto" is bfloat16 where OpenVINO multiplies in it, float32 otherwise.
        threads: of OpenVINO and ONNX Runtime, 0 for as many as they like.

    Raises:
        InputError: an engine that is not installed, a file that it does not run, a precision or device it lacks.
    """
    if engine not in ENGINES:
        raise InputError(f"the engine {engine} is not known: use {', '.join(ENGINES)}")
    if precision not in PRECISIONS:
        raise InputError(f"the precision {precision} is not known: use {', '.join(PRECISIONS)}")
    chosen = choose(weights, engine, device)
    if find_spec(chosen) is None:
        raise InputError(f"the engine {chosen} is not installed: {INSTALL[chosen]}, or choose another --engine")
    if chosen == "torch":
        return _open_torch(weights, device, precision)
    if device not in (None, "cpu"):
        raise InputError(f"{chosen} runs on the CPU here: leave the device {device} out, or choose the engine torch")
    if weights is not None and not is_exported(weights):
        raise InputError(
            f"{weights} is a weights file, which only torch runs: export it by tools/export.py for the engine {chosen}"
        )
    file = read_exported(RELEASED if weights is None else weights)
    if chosen == "openvino":
        from upright.detector.engines.openvino_engine import OpenVINOEngine

        return OpenVINOEngine(file, precision, threads)
    if file.path.suffix.lower() != ".onnx":
        raise InputError(f"{file.path} is OpenVINO's, not an .onnx file: choose the engine openvino")
    if precision == "bfloat16":
        raise InputError("ONNX Runtime computes in float32 here: leave the precision out, or choose another engine")
    from upright.detector.engines.onnxruntime_engine import ONNXRuntimeEngine

    return ONNXRuntimeEngine(file, threads)


def choose(weights: str | Path | None, engine: EngineName, device: str | None) -> str:
    """The name of the engine that `open_engine` takes."""
    if engine != "auto":
        return engine
    if weights is not None:
        return "openvino" if is_exported(weights) else "torch"
    return "torch" if device not in (None, "cpu") or (device is None and has_gpu()) else "openvino"


def has_gpu() -> bool:
    """Whether torch is here and finds a GPU; without a driver for one it is not asked, which takes seconds."""
    if shutil.which("nvidia-smi") is None or find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _open_torch(weights: str | Path | None, device: str | None, precision: Precision) -> Engine:
    if weights is not None and is_exported(weights):
        raise InputError(f"{weights} is an exported detector, which torch does not run: choose the engine openvino")
    from upright.detector.engines.torch_engine import TorchEngine, choose_device
    from upright.detector.weights import load_detector

    return TorchEngine(load_detector(weights, choose_device(device)), precision)
