"""Exported detectors: the whole detector in one file that other programs run without torch and without Upright."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from upright.detector.exported_file import KEY, VERSION, read_exported
from upright.detector.exported_graph import OUTPUTS, ExportedGraph
from upright.detector.model import Detector
from upright.errors import InputError
from upright.output import whole_file

OPSET = 17  # GridSample is of 16; ONNX Runtime has no kernels on a GPU for some operators of 19 and 20
LICENCE = "Code: Apache-2.0. Weights: the terms of the pictures that they were trained on."
SMALLEST = 256  # numbers of a tensor that is worth storing as float16


def export_onnx(
    path: str | Path, model: Detector, provenance: dict[str, Any], *, batch: bool = False, licence: str = LICENCE
) -> None:
    """Write a detector as ONNX.

    Tensors whose numbers float16 holds exactly, as those of a released weights file, are stored in it.

    Args:
        path: of the file.
        model: on the CPU.
        provenance: stored beside the settings.
        batch: take several pictures of one size, see `ExportedGraph.forward`.
        licence: stored as "licence".

    Raises:
        InputError: a detector that cannot be exported, or a file that cannot be written.
    """
    recorded = record(model, batch)
    halve(recorded.graph)
    said = {
        "version": VERSION,
        "settings": json.loads(model.settings.to_json()),
        "outputs": [output.name for output in recorded.graph.output],
        "precision": "float32",
        "provenance": provenance,
    }
    metadata = {KEY: json.dumps(said), "threshold": f"{model.settings.threshold:g}", "licence": licence}
    onnx.helper.set_model_props(recorded, metadata)
    recorded.producer_name, recorded.producer_version = "upright", ""
    with whole_file(path) as temporary:
        temporary.write_bytes(recorded.SerializeToString())


def record(model: Detector, batch: bool) -> onnx.ModelProto:
    """The detector as an ONNX graph, float32."""
    was_training = model.training
    graph = ExportedGraph(model, batch).eval()
    outputs = OUTPUTS if model.tells_pose else OUTPUTS[:2]
    # Of no square and no side that is a multiple of 32, so that no two sides are taken for the same.
    sides = (2, 250, 330, 3) if batch else (250, 330, 3)
    example = torch.randint(0, 256, sides, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    free = {0: "batch", 1: "height", 2: "width"} if batch else {0: "height", 1: "width"}
    content = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # That this exporter is the older one (the newer one ties sides to each other that only look related), and that
        # Python's numbers are constants, as they are meant to be.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            (example,),
            content,  # type: ignore[arg-type]  # the older exporter takes a file
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=list(outputs),
            dynamic_axes={"image": free} | {name: {0: "batch" if batch else "people"} for name in outputs},
        )
    model.train(was_training)
    recorded = onnx.load_model_from_string(content.getvalue())
    onnx.checker.check_model(recorded)
    return recorded


def halve(graph: onnx.GraphProto) -> None:
    """Store, as float16 and a cast to float32, the tensors that lose nothing by it."""
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size < SMALLEST or not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], f"{name}.cast", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def export_openvino(path: str | Path, onnx_file: str | Path, *, pictures: Sequence[Path] = ()) -> None:
    """Write an exported ONNX file as OpenVINO's .xml with its .bin beside.

    Args:
        path: of the .xml.
        onnx_file: as `export_onnx` writes it; for int8 one that takes a single picture.
        pictures: to quantise by, see `upright.detector.quantisation`; float32 without them.

    Raises:
        InputError: the file cannot be written, or a picture cannot be used.
    """
    import openvino

    path = Path(path)
    if path.suffix != ".xml":
        raise InputError(f"{path}: OpenVINO's files end with .xml: pass --output NAME.xml")
    file = read_exported(onnx_file)
    model = openvino.Core().read_model(str(onnx_file))
    props = {entry.key: entry.value for entry in onnx.load(onnx_file).metadata_props}
    if pictures:
        from upright.detector.quantisation import quantised

        model = quantised(model, file.settings, pictures)
        props[KEY] = json.dumps(json.loads(props[KEY]) | {"precision": "int8", "calibration_pictures": len(pictures)})
    for key, value in props.items():
        model.set_rt_info(value, key)
    with whole_file(path) as temporary, whole_file(path.with_suffix(".bin")) as weights:
        openvino.serialize(model, str(temporary), str(weights))
