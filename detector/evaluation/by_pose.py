"""Miss rate by pose and by lean: whom does a detector miss? A measure of this project, of no benchmark.

It follows the rules of the protocol's Reasonable subset. For each pose the people of that pose are to be found
and all others become ignored, so that whoever finds them is neither rewarded nor punished; every false positive
counts against each pose. Rare poses therefore show a higher miss rate at the same false positives per image than
the subset as a whole only if they are really found less often.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from upright.datasets.sample import Annotations
from upright.detector.evaluation.detections import Detections
from upright.detector.evaluation.miss_rate import Comparison
from upright.detector.evaluation.protocols import find_protocol

LEANS = {"under 10 degrees": (0, 10), "10 to 25 degrees": (10, 25), "over 25 degrees": (25, np.inf)}


def miss_rate_by_pose(
    annotations: Annotations, detections: Detections, protocol: str = "citypersons"
) -> dict[str, dict[str, Any]]:
    """Log-average miss rate of each pose.

    Args:
        annotations: of a data set whose attributes hold `pose`, a name for each box; others have no poses.
        detections: of that data set.
        protocol: whose Reasonable subset decides who counts.

    Returns:
        by pose, in alphabetical order: "lamr" in 0..1, read as 1 where the curve has no point yet, or None where
        nobody is evaluated; "ground_truths", the evaluated boxes. Empty where there are no poses.
    """
    if "pose" not in annotations.attributes:
        return {}
    poses = np.asarray(annotations.attributes["pose"]).astype(str)
    groups = {pose: poses == pose for pose in np.unique(poses[~annotations.ignore]).tolist() if pose}
    return _by_group(annotations, detections, groups, protocol)


def miss_rate_by_lean(
    annotations: Annotations, detections: Detections, protocol: str = "citypersons"
) -> dict[str, dict[str, Any]]:
    """As `miss_rate_by_pose`, by how far people lean to either side: the attribute `lean`, in degrees."""
    if "lean" not in annotations.attributes:
        return {}
    lean = np.abs(np.asarray(annotations.attributes["lean"], np.float64))
    groups = {name: (lean >= low) & (lean < high) for name, (low, high) in LEANS.items()}
    return _by_group(annotations, detections, groups, protocol)


def _by_group(
    annotations: Annotations, detections: Detections, groups: dict[str, np.ndarray], protocol: str
) -> dict[str, dict[str, Any]]:
    rules = find_protocol(protocol)
    reasonable = rules.subsets["Reasonable"]
    comparison = Comparison.of(annotations, detections, rules)
    evaluated = comparison.truths.evaluated(rules, reasonable)
    cases = [(reasonable, evaluated & group[comparison.truths.row]) for group in groups.values()]
    return {
        name: {
            "lamr": figures.lamr_corrected if figures.ground_truths else None,
            "ground_truths": figures.ground_truths,
        }
        for name, figures in zip(groups, comparison.figures(cases), strict=True)
    }
