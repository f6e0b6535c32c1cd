"""Read thousands of damaged files: every answer has to be a result or one `InputError`.

    python tests/fuzz/run.py                          # 10 000 inputs over all readers, as `make fuzz` does
    python tests/fuzz/run.py --count 300 --readers coco seq
    python tests/fuzz/run.py --readers coco --only 17 --keep damaged    # one input again, with what was read

Each reader runs in a process of its own, which may die: a crash, too much memory or too much time is a fault of the
input in hand, and the rest goes on in another one. Inputs depend on seed, reader and number alone.
"""

from __future__ import annotations

import argparse
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

SECONDS = 20  # of processor time for one input; the slowest honest ones take a second
PATIENCE = 300  # seconds of the clock for one input, on a machine that does much else
MEMORY = 2 << 30  # bytes beyond what the process has once the reader was imported


def work(name: str, seed: int, start: int, end: int, keep: Path | None) -> None:
    """Read the inputs start to end - 1 of a reader and print how each one ended."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries talk

    from mutations import mutated_bytes
    from readers import READERS

    from upright.errors import InputError

    reader = READERS[name]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(keep or place)
        files = reader.make(folder)
        sound = {file: file.read_bytes() for file in files}
        reader.read(folder)
        limit_memory()
        for number in range(start, end):
            random = Random(f"{seed} {name} {number}")
            file = random.choice(files)
            mutate = random.choice((reader.structure, mutated_bytes))
            print(f"{number} begins", file=answers)
            signal.setitimer(signal.ITIMER_PROF, 0)
            file.write_bytes(mutate(sound[file], random))
            signal.setitimer(signal.ITIMER_PROF, SECONDS)  # the signal ends the process, also within a library
            try:
                reader.read(folder)
                answer = "result"
            except InputError as error:
                answer = "InputError" if str(error).strip() else "an InputError without words"
            except BaseException:
                answer = "fault " + " | ".join(traceback.format_exc().strip().splitlines()[-7:])
            signal.setitimer(signal.ITIMER_PROF, 0)
            print(f"{number} {answer}", file=answers)
            if keep is None:
                file.write_bytes(sound[file])


def limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def fuzz(name: str, seed: int, start: int, end: int, keep: Path | None = None) -> tuple[Counter[str], list[str]]:
    """How the inputs of one reader ended, and its faults, one line each."""
    ended: Counter[str] = Counter()
    faults = []
    while start < end:
        command = [sys.executable, __file__, "--work", name, str(seed), str(start), str(end)]
        with tempfile.TemporaryFile() as words:
            process = subprocess.Popen(
                [*command, *([str(keep)] if keep else [])], stdout=subprocess.PIPE, stderr=words, text=True
            )
            last, answered = start, start - 1
            assert process.stdout is not None
            timer_expired = False
            for line in lines_of(process):
                if line is None:
                    timer_expired = True
                    process.kill()
                    break
                number, answer = line.rstrip("\n").split(" ", 1)
                last = int(number)
                if answer == "begins":
                    continue
                answered = last
                ended[answer.split(" ")[0]] += 1
                if answer.startswith(("fault", "an InputError")):
                    faults.append(f"{name} {number}: {answer}")
            status = process.wait()
            if answered < last or (status and answered < end - 1):
                words.seek(0)
                said = words.read().decode(errors="replace").strip().splitlines()[-1:]
                how = "took too long" if timer_expired or status == -signal.SIGPROF else f"ended with status {status}"
                faults.append(f"{name} {last}: the process {how} {' '.join(said)}")
                ended["fault"] += 1
            start = max(last, answered) + 1
    return ended, faults


def lines_of(process: subprocess.Popen[str]) -> Iterator[str | None]:
    """What a process prints; None where it says nothing for too long."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    rest = b""
    while True:
        ready, _, _ = select.select([descriptor], [], [], PATIENCE)
        if not ready:
            yield None
            return
        piece = os.read(descriptor, 65536)
        if not piece:
            return
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--count", type=int, default=10_000, help="inputs of all readers together (default 10 000)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--readers", nargs="+", metavar="NAME", help="default: all")
    p.add_argument("--only", type=int, metavar="NUMBER", help="this input of each reader alone")
    p.add_argument("--keep", type=Path, metavar="FOLDER", help="with --only: where the files stay that were read")
    return p


def main() -> int:
    options = parser().parse_args()
    from readers import READERS

    names = options.readers or list(READERS)
    weights = {name: READERS[name].weight for name in names}
    faults: list[str] = []
    total: Counter[str] = Counter()
    for name in names:
        count = -(-round(options.count * weights[name]) // sum(weights.values()))
        first, end = (0, int(count)) if options.only is None else (options.only, options.only + 1)
        if options.keep:
            shutil.rmtree(options.keep, ignore_errors=True)
            options.keep.mkdir(parents=True)
        ended, found = fuzz(name, options.seed, first, end, options.keep)
        print(f"{name:<14}" + ", ".join(f"{count} {answer}" for answer, count in sorted(ended.items())), flush=True)
        faults += found
        total += ended
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{total.total()} inputs, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        reader, *numbers = sys.argv[2:6]
        work(reader, *map(int, numbers), Path(sys.argv[6]) if sys.argv[6:] else None)
    else:
        sys.exit(main())
