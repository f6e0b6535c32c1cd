"""Average the first stages of weights files of one training after another, the one it started from too.

    python tools/average.py runs/second/last.safetensors runs/first/last.safetensors --shares 0.5 0.25 \\
        --backbone-weights BODY HEAD --output runs/averaged.safetensors
    python tools/average.py runs/mine/last.safetensors --shares 0.7 --output mine.safetensors

A detector that was trained on few pictures forgets some of what its first stage knew. On the way between the two there
often are weights better than both (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). What the shares
lack to 1 is the share of --backbone-weights. Settings and all other tensors are those of the first file. Calibrate
anew afterwards, and choose the shares on pictures that were held out of the training.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from copy import deepcopy
from pathlib import Path

from upright.errors import InputError
from upright.output import refuse_unwritable
from upright.tools.command import run


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("weights", nargs="+", type=Path, metavar="WEIGHTS", help="weights files, the trained one first")
    p.add_argument("--shares", nargs="+", type=float, required=True, metavar="SHARE", help="0 to 1, one for each file")
    p.add_argument(
        "--backbone-weights",
        nargs="+",
        default=["default"],
        metavar="{default,FILE}",
        help="what the first stage of the training started from, as for tools/train.py",
    )
    p.add_argument("--output", type=Path, required=True, metavar="FILE", help="the averaged weights")
    arguments = p.parse_args()
    shares = arguments.shares
    if len(shares) != len(arguments.weights):
        raise InputError(f"{len(shares)} --shares for {len(arguments.weights)} weights files: give one for each file")
    start = 1 - math.fsum(shares)
    if not all(0 <= share <= 1 for share in (*shares, round(start, 6))):
        raise InputError("--shares are numbers from 0 to 1, in all at most 1: what is left is that of the start")
    refuse_unwritable(arguments.output)

    from upright.detector.weights import (
        average_first_stages,
        fill_first_stage,
        load_detector,
        read_metadata,
        save_weights,
    )

    models = [load_detector(path) for path in arguments.weights]
    if start > 1e-6:
        models.append(deepcopy(models[0]))
        fill_first_stage(models[-1], arguments.backbone_weights)
        shares.append(start)
    average_first_stages(models, shares)
    provenance = read_metadata(arguments.weights[0])[1] | {"average": {"command": shlex.join(["python", *sys.argv])}}
    save_weights(arguments.output, models[0], provenance)


if __name__ == "__main__":
    run(main)
