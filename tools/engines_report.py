"""The tables of `benchmark.py engines` and `peer`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tqdm import tqdm

from upright.errors import InputError
from upright.tools.engines_timing import (
    PICTURES,
    WARMING,
    engine_works,
    installed_cases,
    milliseconds,
    openvino_parts,
    peer_works,
    starts,
    torch_parts,
)
from upright.tools.report import table


def engine_report(
    peers: list[Path] | None, shape: tuple[int, int], scale: float, repeats: int
) -> tuple[dict[str, Any], list[str]]:
    """Figures, and the lines of a document with them, which are printed, too.

    Args:
        peers: ONNX files of others, timed in the same rounds; None: none is asked for.
        shape, scale: of their input, see `peer_works`.
        repeats: rounds that are counted.

    Raises:
        InputError: peers are asked for and there is none, or one that cannot be run.
    """
    if peers == []:
        raise InputError("benchmark.py peer times ONNX files of others: name at least one")
    if min(shape) < 1 or not scale > 0:
        raise InputError("--shape and --scale are sides and a divisor: use numbers above 0")
    cases = installed_cases()
    works = engine_works(cases)
    for peer in peers or ():
        works |= peer_works(peer, shape, scale)
    with tqdm(total=WARMING + repeats, desc="measuring") as bar:
        taken = milliseconds(works, repeats, bar.update)
    first = next(iter(taken.values()))
    started = starts(cases)
    parts = {f"OpenVINO {precision}": openvino_parts(precision) for name, precision in cases if name == "openvino"}
    if cases[0][0] == "torch":
        parts = {"torch float32": torch_parts()} | parts
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    conditions = f"{cores} cores, {PICTURES} rendered pictures of 640 x 480, medians of {repeats} rounds in turn"
    rows = []
    for name, value in taken.items():
        start = started.get(name)
        beside = ["", "", ""]
        if start is not None:
            beside = [f"{start['first_start_s']:.1f} s", f"{start['start_s']:.1f} s", f"{start['memory_mib']:.0f} MiB"]
        rows.append([name, f"{value:.1f}", f"{value / first:.2f}", *beside])
    lines = [
        f"{conditions}. Starts: in a process of its own, from opening to the first detections.",
        "",
        *table(["engine", "ms a picture", f"of {next(iter(taken))}", "first start", "later starts", "memory"], rows),
        "",
        "By part, ms:",
        "",
        *table(
            ["engine", "parts"],
            [[name, ", ".join(f"{part} {value:.1f}" for part, value in own.items())] for name, own in parts.items()],
        ),
    ]
    print("\n".join(lines))
    return {"milliseconds": taken, "starts": started, "parts": parts, "conditions": conditions}, lines
