"""What each engine takes for a picture, and beside it somebody else's detector: `benchmark.py engines` and `peer`."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from upright.datasets.synthetic import SyntheticPedestrians
from upright.detector.engines.choice import RELEASED, open_engine
from upright.detector.engines.engine import Engine, EngineName, Precision
from upright.detector.exported_file import read_exported
from upright.errors import InputError

CASES: tuple[tuple[EngineName, Precision], ...] = (
    ("torch", "float32"),
    ("torch", "bfloat16"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("onnxruntime", "float32"),
)
PICTURES = 8
WARMING = 3  # rounds that are not counted
# Parts of the exported detector by the names of its layers; all others resize, choose, read, suppress.
PARTS = {"backbone": "/backbone/", "proposals": "/head", "region head": "/box_head/", "second look": "/second_look/"}
REST = "resizing, choosing, reading, suppression"


def pictures() -> list[np.ndarray]:
    """Rendered streets of 640 x 480."""
    rendered = SyntheticPedestrians("val", PICTURES)
    return [rendered[i].image for i in range(PICTURES)]


def installed_cases() -> list[tuple[EngineName, Precision]]:
    return [case for case in CASES if find_spec(case[0]) is not None]


def milliseconds(works: dict[str, Callable[[np.ndarray], object]], repeats: int, done: Callable[[], object]) -> dict:
    """Median milliseconds a picture of each of the works, which take turns on every picture.

    Args:
        works: by name; each takes a picture uint8 (H, W, 3).
        repeats: rounds over the pictures.
        done: called after every round.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    images = pictures()
    for turn in range(WARMING + repeats):
        for image in images:
            for name, work in works.items():
                start = time.perf_counter()
                work(image)
                if turn >= WARMING:
                    taken[name].append(1000 * (time.perf_counter() - start))
        done()
    return {name: statistics.median(values) for name, values in taken.items()}


def engine_works(cases: Sequence[tuple[EngineName, Precision]]) -> dict[str, Callable[[np.ndarray], object]]:
    """The released detector on each engine, from a picture to its detections."""

    def work(engine: Engine) -> Callable[[np.ndarray], object]:
        return lambda image: engine.detect([image])

    engines = [open_engine(None, name, device="cpu", precision=precision) for name, precision in cases]
    return {engine.name: work(engine) for engine in engines}


def peer_works(path: Path, shape: tuple[int, int], scale: float) -> dict[str, Callable[[np.ndarray], object]]:
    """Somebody else's detector on the engines: a picture resized and scaled, and all that the file computes.

    Args:
        path: .onnx with one input (1, 3, height, width).
        shape: that height and width.
        scale: its numbers are pixels, 0 to 255, divided by this.

    Raises:
        InputError: the file cannot be run.
    """
    import onnxruntime
    import openvino

    def prepared(image: np.ndarray) -> np.ndarray:
        small = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32) / np.float32(scale)

    try:
        core = openvino.Core()
        model = core.read_model(str(path))
        model.reshape([1, 3, *shape])
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        session.run(None, {name: np.zeros((1, 3, *shape), np.float32)})
    except Exception as error:  # of either engine: its reason is told in one line
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} cannot be run with an input 1 x 3 x {shape[0]} x {shape[1]} ({reason})") from None

    def on_openvino(hint: str) -> Callable[[np.ndarray], object]:
        options = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
        request = core.compile_model(model, "CPU", options).create_infer_request()
        return lambda image: request.infer([prepared(image)])

    return {
        f"{path.stem}, OpenVINO float32": on_openvino("f32"),
        f"{path.stem}, OpenVINO bfloat16": on_openvino("bf16"),
        f"{path.stem}, ONNX Runtime float32": lambda image: session.run(None, {name: prepared(image)}),
    }


def openvino_parts(precision: Precision) -> dict[str, float]:
    """Milliseconds of the exported detector's parts for a picture, added up over its layers."""
    from upright.detector.engines.openvino_engine import OpenVINOEngine

    engine = OpenVINOEngine(read_exported(RELEASED), precision, profile=True)
    image = pictures()[0]
    rounds = []
    for _ in range(WARMING + 10):
        engine.detect([image])
        parts = dict.fromkeys((*PARTS, REST), 0.0)
        for layer, seconds in engine.layer_seconds():
            part = next((part for part, word in PARTS.items() if word in layer), REST)
            parts[part] += 1000 * seconds
        rounds.append(parts)
    medians = {part: statistics.median(one[part] for one in rounds[WARMING:]) for part in (*PARTS, REST)}
    return {part: value for part, value in medians.items() if value > 0}


def torch_parts() -> dict[str, float]:
    """Milliseconds of the detector's modules in torch for a picture, float32."""
    import torch

    from upright.detector.engines.torch_engine import detect_pictures
    from upright.detector.weights import load_detector

    model = load_detector()
    modules = {
        "resizing": model.transform,
        "backbone": model.backbone,
        "proposals": model.rpn,
        "regions, suppression": model.roi_heads,
    }
    rounds: list[dict[str, float]] = []
    started: dict[torch.nn.Module, float] = {}

    def begin(module: torch.nn.Module, _: object) -> None:
        started[module] = time.perf_counter()

    def end(name: str) -> Callable[..., None]:
        def note(module: torch.nn.Module, *_: object) -> None:
            rounds[-1][name] = 1000 * (time.perf_counter() - started[module])

        return note

    for name, module in modules.items():
        module.register_forward_pre_hook(begin)
        module.register_forward_hook(end(name))
    image = pictures()[0]
    for _ in range(WARMING + 10):
        rounds.append({})
        detect_pictures(model, [image])
    return {name: statistics.median(one[name] for one in rounds[WARMING:]) for name in modules}


def starts(cases: Sequence[tuple[EngineName, Precision]]) -> dict[str, dict[str, float]]:
    """Of a process of its own for each engine: seconds to the first detections, the first time and again, and MiB."""
    found = {}
    before = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        try:
            with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
                for case in cases:
                    (name, first, _), (_, again, memory) = (pool.apply(_start, case) for _ in range(2))
                    found[name] = {"first_start_s": first, "start_s": again, "memory_mib": memory}
        finally:
            if before is None:
                del os.environ["XDG_CACHE_HOME"]
            else:
                os.environ["XDG_CACHE_HOME"] = before
    return found


def _start(name: EngineName, precision: Precision) -> tuple[str, float, float]:
    image = pictures()[0]
    start = time.perf_counter()
    engine = open_engine(None, name, device="cpu", precision=precision)
    engine.detect([image])
    seconds = time.perf_counter() - start
    lines = Path("/proc/self/status").read_text().splitlines()  # Linux
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return engine.name, seconds, peak / 1024
