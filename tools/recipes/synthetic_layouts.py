"""Write synthetic pictures in the very layout of Caltech or CityPersons, to try a recipe without either.

python tools/recipes/synthetic_layouts.py --layout citypersons --output /tmp/citypersons
DEVICE=cpu tools/recipes/citypersons.sh /tmp/citypersons /tmp/run 1.0 --preset light --epochs 0.4 ...
"""

from __future__ import annotations

import argparse

from upright.errors import InputError
from upright.tools.command import run


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--layout", choices=("caltech", "citypersons"), required=True)
    p.add_argument("--output", metavar="DIR", required=True, help="what then is --root")
    p.add_argument("--train", type=int, default=200, metavar="N", help="pictures to train on (default 200)")
    p.add_argument("--test", type=int, default=50, metavar="N", help="pictures to evaluate on (default 50)")
    p.add_argument("--every", type=int, default=3, help="caltech: the step of the training frames (default 3, 10x)")
    p.add_argument("--seed", type=int, default=0)
    return p


def main() -> None:
    arguments = parser().parse_args()
    if arguments.train < 2 or arguments.test < 1:
        raise InputError("at least 2 pictures to train on and 1 to evaluate on are needed")
    # Imported late, so that `--help` and bad arguments are answered at once.
    from upright.datasets.caltech.writer import write_caltech
    from upright.datasets.citypersons import write_citypersons
    from upright.datasets.synthetic import SyntheticPedestrians

    train = SyntheticPedestrians("train", length=arguments.train, seed=arguments.seed)
    test = SyntheticPedestrians("test", length=arguments.test, seed=arguments.seed)
    if arguments.layout == "citypersons":
        write_citypersons(train, arguments.output, "train")
        write_citypersons(test, arguments.output, "val")
        return
    # At least to frame 30: validation looks at every 30th, whatever the training does.
    length = max(-(-30 // arguments.every), arguments.train // 10)
    held_out = SyntheticPedestrians("val", length=length, seed=arguments.seed)
    write_caltech(train, arguments.output, part=0, step=arguments.every)
    write_caltech(held_out, arguments.output, part=5, step=arguments.every)
    write_caltech(test, arguments.output, part=6)


if __name__ == "__main__":
    run(main)
