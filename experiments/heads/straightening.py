"""Does pose normalisation straighten people? How far each transformer's crop turns with the person in it.

    python experiments/heads/straightening.py --document docs/head.md
    python experiments/heads/straightening.py --weights runs/mine/last.safetensors --pictures 100

On rendered pictures it is known how far each person leans. For each person found (overlap at least 0.5), a crop's turn
is the angle between its vertical line, as it lies in the picture, and the picture's: a crop that undoes a lean turns as
far as the person leans, slope 1; one that does not care, slope 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou
from tqdm import tqdm

from upright.datasets.batches import to_tensors
from upright.datasets.registry import open_dataset
from upright.detector.model import Detector
from upright.detector.spatial_transformer import Transformation
from upright.detector.weights import load_detector
from upright.errors import InputError
from upright.tools.command import run
from upright.tools.report import table, write_block

THRESHOLD = 0.5  # of score, and of overlap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", metavar="FILE", help="(default: the released)")
    parser.add_argument("--pictures", type=int, default=200, metavar="N", help="of synthetic val (default 200)")
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu, cuda, cuda:1 ... (default cpu)")
    parser.add_argument("--document", type=Path, metavar="FILE", help="Markdown whose 'straightening' block to rewrite")
    arguments = parser.parse_args()
    detector = load_detector(arguments.weights, arguments.device)
    if detector.pose_pool_transformation is None:
        raise InputError("this detector has no transformers: nothing turns; choose other --weights")
    found = list(leans_and_turns(detector, arguments.pictures, arguments.device))
    leans, turns = (torch.cat(column).double().cpu().numpy() for column in zip(*found, strict=True))
    lines = report(leans, turns)
    print("\n".join(lines))
    if arguments.document:
        write_block(arguments.document, "straightening", lines)


@torch.inference_mode()
def leans_and_turns(detector: Detector, pictures: int, device: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Of each picture, the leans (n,) of the people found and the turns (n, N) of their crops, in degrees."""
    transformation = detector.pose_pool_transformation
    assert transformation is not None
    dataset = open_dataset("synthetic", length=pictures)
    detector.return_theta = True
    for index in tqdm(range(len(dataset)), desc="pictures"):
        sample = dataset[index]
        image, target = to_tensors(sample)
        (found,) = detector([image.to(device) / 255])
        sure = found["scores"] >= THRESHOLD
        people = target["boxes"][~target["ignore"]].to(device)
        lean = torch.from_numpy(sample.attributes["lean"])[~target["ignore"]].to(device)
        if sure.any() and len(people):
            overlap, person = box_iou(found["boxes"][sure], people).max(dim=1)
            right = overlap >= THRESHOLD
            theta, regions = found["theta"][sure][right], found["proposals"][sure][right]
            yield lean[person[right]], turn(transformation, theta, regions)


def turn(transformation: Transformation, theta: Tensor, regions: Tensor) -> Tensor:
    """How far crops are turned in the picture, clockwise.

    Args:
        transformation: the family T.
        theta: (n, N, P).
        regions: (n, 4), x1 y1 x2 y2.

    Returns:
        Degrees (n, N): of the line from a crop's lower to its upper half, against the picture's vertical.
    """
    upright = theta.new_tensor([[0.0, 0.5], [0.0, -0.5]])
    lower, upper = transformation.warp(theta.flatten(0, 1), upright).unflatten(0, theta.shape[:2]).unbind(2)
    x, y = ((upper - lower) * (regions[:, None, 2:] - regions[:, None, :2])).unbind(2)
    return torch.atan2(x, -y).rad2deg()


def report(leans: np.ndarray, turns: np.ndarray) -> list[str]:
    """Slope and correlation of turn over lean for each transformer: leans (n,), turns (n, N), degrees."""
    rows = []
    for number, column in enumerate(turns.T, 1):
        slope = np.polyfit(leans, column, 1)[0]
        correlation = np.corrcoef(leans, column)[0, 1]
        rows.append([str(number), f"{column.mean():.1f}", f"{column.std():.1f}", f"{slope:.3f}", f"{correlation:.2f}"])
    said = f"{len(leans)} people found, whose lean has a standard deviation of {leans.std():.1f} degrees:"
    head = ["transformer", "mean turn (degrees)", "deviation of turn", "slope over lean", "correlation"]
    return [said, "", *table(head, rows)]


if __name__ == "__main__":
    run(main)
