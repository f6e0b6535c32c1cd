"""The console commands that an installation brings: the tools of the same names, ended as `run` ends them."""

from __future__ import annotations

from upright.tools.command import run


def detect() -> None:
    from upright.tools.detect import main

    run(main)


def train() -> None:
    from upright.tools.train import main

    run(main)


def average() -> None:
    from upright.tools.average import main

    run(main)


def calibrate() -> None:
    from upright.tools.calibrate import main

    run(main)


def evaluate() -> None:
    from upright.tools.evaluate import main

    run(main)


def export() -> None:
    from upright.tools.export import main

    run(main)


def benchmark() -> None:
    from upright.tools.benchmark import main

    run(main)
