"""The benchmarks' figures, exactly: log-average miss rate, COCO AP, curves. NumPy alone, no torch."""

from upright.detector.evaluation.detection_files import read_detections, write_detections
from upright.detector.evaluation.detections import Detections
from upright.detector.evaluation.miss_rate import Result, SubsetResult, evaluate

__all__ = [
    "Detections",
    "Result",
    "SubsetResult",
    "evaluate",
    "read_detections",
    "write_detections",
]
