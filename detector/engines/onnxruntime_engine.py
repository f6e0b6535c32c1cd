"""Exported detectors on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime

from upright.detector.engines.exported_engine import ExportedEngine
from upright.detector.exported_file import ExportedFile


class ONNXRuntimeEngine(ExportedEngine):
    """An `Engine` on ONNX Runtime's CPU, float32.

    Args:
        file: an .onnx file.
        threads: 0 leaves them to ONNX Runtime.
    """

    def __init__(self, file: ExportedFile, threads: int = 0) -> None:
        super().__init__(file, "ONNX Runtime float32")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Threads that wait for work in a loop take it from those that decode and draw.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(file.path), options, providers=["CPUExecutionProvider"])

    def run(self, image: np.ndarray) -> Sequence[np.ndarray]:
        return self._session.run(None, {"image": image})
