"""Exported detectors on OpenVINO, the quickest engine on a CPU."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import openvino
from openvino import opset13

from upright.detector.engines.engine import Precision
from upright.detector.engines.exported_engine import ExportedEngine
from upright.detector.exported_file import ExportedFile

PATIENCE = 32  # pictures of one size in a row, from which it pays to compile for this size
RESIZE = "/Resize"  # the layer that makes the picture as large as the backbone takes it
SHUFFLED = "/stage"  # in the names of ShuffleNet's blocks


class OpenVINOEngine(ExportedEngine):
    """An `Engine` on OpenVINO's CPU.

    Args:
        file: an .onnx or .xml file.
        precision: "auto" is bfloat16 where the processor multiplies in it, float32 otherwise.
        threads: 0 leaves them to OpenVINO.
        profile: whether `layer_seconds` is wanted.
    """

    def __init__(
        self, file: ExportedFile, precision: Precision = "auto", threads: int = 0, *, profile: bool = False
    ) -> None:
        core = openvino.Core()
        native = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bfloat16" and not native:
            print("warning: this processor does not multiply in bfloat16: it runs, but no faster", file=sys.stderr)
        half = precision == "bfloat16" or (precision == "auto" and native)
        coarse = "int8, " if file.precision == "int8" else ""
        super().__init__(file, f"OpenVINO {coarse}{'bfloat16' if half else 'float32'}")
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
            **({"INFERENCE_NUM_THREADS": threads} if threads else {}),
            **({"PERF_COUNT": True} if profile else {}),
        }
        folder = cache_folder()
        if folder is not None:
            options["CACHE_DIR"] = str(folder)
        model = core.read_model(str(file.path))
        if half:
            # OpenVINO itself keeps what follows the last layers in float32, boxes and corners among it.
            shuffle_by_convolution(model)
        else:
            shuffle_at_once(model)
        self._core, self._model, self._options = core, model, options
        self._any_size = self._request = core.compile_model(model, "CPU", options).create_infer_request()
        self._shape: tuple[int, ...] = ()
        self._in_a_row = 0

    def run(self, image: np.ndarray) -> Sequence[np.ndarray]:
        if image.shape != self._shape:
            self._shape, self._in_a_row, self._request = image.shape, 0, self._any_size
        self._in_a_row += 1
        if self._in_a_row == PATIENCE:  # a video, say
            self._request = self._for_size(image.shape)
        results = self._request.infer([image], share_inputs=True)
        return [results[i] for i in range(len(results))]

    def _for_size(self, shape: tuple[int, ...]) -> openvino.InferRequest:
        """The same detector for pictures of one shape alone, quicker by a quarter."""
        model = self._model.clone()
        model.reshape(list(shape))
        for node in model.get_ops():
            sizes = node.get_friendly_name() == RESIZE and (node.get_input_shape(0), node.get_output_shape(0))
            if sizes and sizes[0] == sizes[1]:
                node.output(0).replace(node.input_value(0))
        return self._core.compile_model(model, "CPU", self._options).create_infer_request()

    def layer_seconds(self) -> list[tuple[str, float]]:
        """Name and time of each layer for the last picture, of an engine that was opened with `profile`."""
        return [(layer.node_name, layer.real_time.total_seconds()) for layer in self._request.profiling_info]


def shuffle_by_convolution(model: openvino.Model) -> None:
    """Shuffle channels by the 1 x 1 convolutions that read them; one of zeros and ones where no convolution reads.

    A shuffle only moves memory, which takes longer than the units for products of bfloat16 matrices take to choose the
    same channels, exactly. In float32 it does not pay; see `shuffle_at_once`.
    """
    for before, after in shuffles(model):
        both = before.input_value(0)
        channels = both.get_partial_shape()[1].get_length()
        # Channel 2 j of the shuffled map is channel j of the first half, 2 j + 1 of the second.
        chosen = np.eye(channels, dtype=np.float32)[np.arange(channels).reshape(2, -1).T.ravel()]
        reader = next(iter(after.output(0).get_target_inputs())).get_node()
        if reader.get_type_name() != "VariadicSplit":
            after.output(0).replace(one_by_one(both, chosen, f"{after.get_friendly_name()}/chosen"))
            continue
        passed, rest = np.split(chosen, 2)
        convolution = next(iter(reader.output(1).get_target_inputs())).get_node()
        weights = constant(convolution.input_value(1).get_node())[:, :, 0, 0] @ rest
        convolution.output(0).replace(one_by_one(both, weights, convolution.get_friendly_name()))
        reader.output(0).replace(one_by_one(both, passed, f"{after.get_friendly_name()}/passed"))


def constant(node: openvino.Node) -> np.ndarray:
    """The numbers of a constant, float32: behind a conversion from float16, or shared by two layers of one weight."""
    while node.get_type_name() in ("Convert", "Identity"):
        node = node.input_value(0).get_node()
    return node.get_data().astype(np.float32)


def one_by_one(maps: openvino.Output, weights: np.ndarray, name: str) -> openvino.Output:
    """A 1 x 1 convolution of maps (B, C, H, W) by weights (K, C)."""
    weights = opset13.constant(np.ascontiguousarray(weights[:, :, None, None]))
    convolution = opset13.convolution(maps, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    convolution.set_friendly_name(name)
    return convolution.output(0)


def shuffle_at_once(model: openvino.Model) -> None:
    """Make one layer of each shuffle of channels, which OpenVINO does not see by itself where sides are free.

    Reshaped and transposed the maps would change their layout in memory twice.
    """
    for before, after in shuffles(model):
        shuffle = opset13.shuffle_channels(before.input_value(0), 1, 2)
        shuffle.set_friendly_name(after.get_friendly_name())
        after.output(0).replace(shuffle.output(0))


def shuffles(model: openvino.Model) -> Iterator[tuple[openvino.Node, openvino.Node]]:
    """The first and the last node of each shuffle of channels: maps reshaped, transposed, reshaped."""
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Transpose" or SHUFFLED not in node.get_friendly_name():
            continue
        before, after = node.input_value(0).get_node(), [to.get_node() for to in node.output(0).get_target_inputs()]
        if [one.get_type_name() for one in (before, *after)] == ["Reshape", "Reshape"]:
            yield before, after[0]


def cache_folder() -> Path | None:
    """Where compiled detectors are kept for the next start, in the user's cache; None where there is no such place."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or "~/.cache"
    try:
        folder = Path(base).expanduser() / "upright" / "openvino"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: no home
        return None
    return folder if os.access(folder, os.W_OK) else None
