"""Measure what Upright does against what it replaces: time (ratios in one run, interleaved, medians) and memory.

    python tools/benchmark.py head
    python tools/benchmark.py head --json head.json --repeats 50
    python tools/benchmark.py head --device cuda
    python tools/benchmark.py memory
    python tools/benchmark.py antialias
    python tools/benchmark.py weights old.safetensors new.safetensors --pictures photos/
    python tools/benchmark.py engines --document docs/speed.md
    python tools/benchmark.py peer other.onnx --shape 416 416 --scale 255

`crop_*`: all canonical crops of 1000 proposals, glance and localisation included, over torchvision's MultiScaleRoIAlign
(sampling ratio 2, 256 channels, 7 x 7, four levels, picture of side 800). `detector_*`: the light preset with its
transformers over the same preset without; `taught` with transformers that tell a pose, as those of the any-angle
weights, `second_look` with the second look as well. Inference is one forward pass without gradients; training is
forward and backward, without the optimiser. `memory`: the most that the same canonical crops take beyond the maps
themselves, each figure from a process of its own. `antialias`: how far turned crops of rendered pictures, scaled down
with 1 to 4 x 4 samples a bin, are from the mean over each bin's area, and what they cost. `weights`: a picture from
array to detections, for detectors of these weights files in turn, on rendered pictures or those of a folder. `engines`:
a picture of 640 x 480 from array to detections, on each engine in turn, and what starting takes; `peer`: beside it the
ONNX files of others, resizing included, what follows the file left out.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from upright.errors import InputError
from upright.output import refuse_unwritable, whole_file
from upright.tools.command import run
from upright.tools.head_timing import Work, crop_pairs, detector_pairs
from upright.tools.report import table, write_block

MEMORY_CASES = ((800, 2000), (1600, 1000), (1600, 2000))  # side, proposals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("head", "memory", "antialias", "weights", "engines", "peer"))
    parser.add_argument(
        "weights", nargs="*", type=Path, metavar="FILE", help="weights, peer: files; the first weights are 1"
    )
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="weights: take some of these pictures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--document", type=Path, metavar="FILE", help="Markdown whose block to rewrite")
    parser.add_argument("--shape", type=int, nargs=2, default=(416, 416), metavar=("H", "W"), help="peer: its input")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="peer: pixels are divided by it")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=25, metavar="N", help="of each measurement (default 25)")
    parser.add_argument("--transformers", type=int, default=4, metavar="N")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        raise InputError(f"--repeats {arguments.repeats} measures nothing: use 1 or more")
    if arguments.json:
        refuse_unwritable(arguments.json)

    if arguments.what in ("engines", "peer"):
        from upright.tools.engines_report import engine_report

        peers = None if arguments.what == "engines" else arguments.weights
        write_out(arguments, *engine_report(peers, tuple(arguments.shape), arguments.scale, arguments.repeats))
        return

    import torch
    from tqdm import tqdm

    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"--device {arguments.device}: this machine has no GPU that torch can use; leave it out")
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    if arguments.what == "antialias":
        write_antialias(arguments)
        return
    said = f"{device_name(device)}, torch {torch.__version__}"
    if arguments.what == "weights":
        write_weights(arguments, said)
        return
    if arguments.what == "memory":
        write(arguments, *measure_memory(arguments.device, arguments.transformers), f"{said}, MiB:")
        return
    pairs = crop_pairs(device, arguments.transformers) | detector_pairs(device, arguments.transformers)
    figures = {}
    with tqdm(total=len(pairs) * arguments.repeats, desc="measuring") as bar:
        for name, (ours, theirs) in pairs.items():
            bar.set_postfix_str(name)
            figures[name] = compare(ours, theirs, arguments.repeats, device, bar.update)

    rows = [
        [name, f"{f['transformers_ms']:.1f} ms", f"{f['baseline_ms']:.1f} ms", f"{f['ratio']:.2f}"]
        for name, f in figures.items()
    ]
    machine = {"device": device_name(device), "torch": torch.__version__, "repeats": arguments.repeats}
    write(arguments, figures | machine, rows, f"{said}, medians of {arguments.repeats}:")


def write_weights(arguments: argparse.Namespace, said: str) -> None:
    """Time the detectors of the weights files in turn, print the table and write it where it was asked for."""
    from tqdm import tqdm

    from upright.tools.weights_timing import milliseconds, some_pictures

    if not arguments.weights:
        raise InputError("benchmark.py weights compares weights files: name at least one")
    pictures = some_pictures(arguments.pictures)
    with tqdm(total=arguments.repeats, desc="measuring") as bar:
        taken = milliseconds(arguments.weights, pictures, arguments.repeats, arguments.device, bar.update)
    first = next(iter(taken.values()))
    conditions = f"{said}, {len(pictures)} pictures, medians of {arguments.repeats} rounds in turn"
    lines = [
        f"{conditions}:",
        "",
        *table(
            ["weights", "ms a picture", "of the first"], [[n, f"{t:.1f}", f"{t / first:.2f}"] for n, t in taken.items()]
        ),
    ]
    print("\n".join(lines))
    write_out(arguments, {"milliseconds": taken, "conditions": conditions}, lines)


def write_antialias(arguments: argparse.Namespace) -> None:
    """Measure the samples a bin on the CPU, print the table and write it where it was asked for."""
    from upright.tools.antialias import BINS, COST_MAPS, PICTURES, SAMPLES, SCALES, costs, errors

    seconds = costs(arguments.repeats)
    error = {scale: errors(scale) for scale in SCALES}
    lines = [
        f"Turned crops of {BINS} x {BINS} bins from {PICTURES} rendered pictures: root mean square distance, in grey",
        "levels (0 to 255), from the mean over each bin's area. Cost: reading "
        f"{' x '.join(map(str, COST_MAPS))} numbers on a CPU, one sample a bin",
        f"being 1, medians of {arguments.repeats}.",
        "",
        *table(
            ["samples a bin", *(f"{scale} pixels a bin" for scale in SCALES), "cost"],
            [
                [f"{k} x {k}", *(f"{error[scale][i]:.1f}" for scale in SCALES), f"{seconds[i] / seconds[0]:.1f}"]
                for i, k in enumerate(SAMPLES)
            ],
        ),
    ]
    print("\n".join(lines))
    figures = {"samples": SAMPLES, "rms_error": error, "seconds": seconds}
    write_out(arguments, figures, lines)


def write(arguments: argparse.Namespace, figures: Mapping[str, object], rows: list[list[str]], said: str) -> None:
    """Print a table of both sides and write it where it was asked for."""
    head = ["", "transformers", "baseline", "ratio"]
    first = max(len(row[0]) for row in rows) + 2
    for row in (head, *rows):
        print(f"{row[0]:{first}}" + "".join(f"{cell:>14}" for cell in row[1:]))
    write_out(arguments, figures, [said, "", *table(head, rows)])


def write_out(arguments: argparse.Namespace, figures: Mapping[str, object], lines: list[str]) -> None:
    """The figures as JSON and the lines into the document, where they were asked for."""
    if arguments.json:
        with whole_file(arguments.json) as temporary:
            temporary.write_text(json.dumps(figures, indent=2) + "\n")
    if arguments.document:
        block = {"head": "benchmark", "peer": "engines"}.get(arguments.what, arguments.what)
        write_block(arguments.document, block, lines)


def compare(ours: Work, theirs: Work, repeats: int, device, done: Callable[[], object]) -> dict[str, float]:
    """Medians of both in turn, after two rounds that are not counted; ratio of the medians."""
    for _ in range(2):
        ours(), theirs()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for work, column in zip((ours, theirs), times, strict=True):
            column.append(timed(work, device))
        done()
    mine, other = (1000 * statistics.median(column) for column in times)
    return {"transformers_ms": mine, "baseline_ms": other, "ratio": mine / other}


def timed(work: Work, device) -> float:
    """Seconds, the GPU's queue emptied before and after."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def measure_memory(device: str, transformers: int) -> tuple[dict[str, object], list[list[str]]]:
    """Peak memory of both sides in each case, as figures and as rows of a table."""
    from tqdm import tqdm

    cases = [(what, *case) for what in ("crop_inference", "crop_training") for case in MEMORY_CASES]
    figures: dict[str, object] = {}
    rows: list[list[str]] = []
    # A process that has taken memory before may not need to ask for it again.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for what, side, proposals in tqdm(cases, desc="measuring"):
            mine, other = (
                pool.apply(peak_memory, (what, device, transformers, proposals, side, ours)) for ours in (True, False)
            )
            name = f"{what}, side {side}, {proposals} proposals"
            figures[name] = {"transformers_mib": mine, "baseline_mib": other, "ratio": mine / other}
            rows.append([name, f"{mine:.0f}", f"{other:.0f}", f"{mine / other:.2f}"])
    return figures, rows


def peak_memory(what: str, device: str, transformers: int, proposals: int, side: int, ours: bool) -> float:
    """MiB that one side of a pair takes at its peak, beyond what is there before."""
    import torch

    torch.manual_seed(0)
    work = crop_pairs(torch.device(device), transformers, proposals, side)[what][0 if ours else 1]
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        allocated = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - allocated) / 2**20
    # What torch sets up at its first call, its threads above all, is not part of the work on large maps.
    crop_pairs(torch.device(device), transformers, 10, 128)[what][0 if ours else 1]()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is from here on (Linux)
    before = resident("VmRSS")
    work()
    return resident("VmHWM") - before


def resident(field: str) -> float:
    """MiB of this process's memory that Linux states under `field`: VmRSS now, VmHWM at the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{field}:")]
    return int(line.split()[1]) / 1024


def device_name(device) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    run(main)
