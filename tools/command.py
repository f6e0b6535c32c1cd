"""What the tools share: how each one ends, and flags for the fields of a dataclass of options."""

from __future__ import annotations

import argparse
import codecs
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from upright.detector.option_fields import option_fields
from upright.detector.settings import PRESETS, Settings
from upright.errors import InputError, InputWarning

# Packages that a plain install leaves out, and the extra that brings them.
EXTRAS = {
    **dict.fromkeys(("torch", "torchvision", "safetensors", "albumentations", "tensorboard", "onnx"), "train"),
    "scipy": "matlab",
    "nncf": "int8",
    "h5py": "experiments",
    "trackers": "tracks",
    "motmetrics": "test",
}

# What ends a program from outside; SIGHUP is not everywhere.
STOPPING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

_print_python_warning = warnings.showwarning


def run(main: Callable[[], None]) -> None:
    """Run a tool's `main` and leave with its status: 0 done, 2 bad input (one line on stderr), 130 after Ctrl-C.

    SIGTERM and SIGHUP are Ctrl-C. File names appear on the terminal as they are, whatever their bytes; an
    `InputWarning` is one line.
    """
    for number in STOPPING:
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP, and that stays
            signal.signal(number, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="upright.names")
    warnings.showwarning = _show_warning
    try:
        main()
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        print(
            f"error: {error.name} is not installed: install Upright with its extra '{EXTRAS[error.name]}', "
            f"from a checkout by pip install '.[{EXTRAS[error.name]}]'",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:  # a folder without permission, a full disk: nothing of the program's own
        name = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        print(f"error: {name}{error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if not _lacks_memory(error):
            raise
        # The reason stands last in what a process that loads pictures sends, else first.
        lines = str(error).strip().splitlines() or ["none left"]
        reason = lines[-1 if "Traceback" in str(error) else 0].partition(". ")[0]
        print(f"error: not enough memory ({reason}): take smaller pictures, batches or crops", file=sys.stderr)
        sys.exit(2)


def _lacks_memory(error: Exception) -> bool:
    """Whether that is what an error of Python, NumPy, OpenCV, or torch on the processor or on a GPU says."""
    words = ("out of memory", "allocate memory", "Insufficient memory", "Failed to allocate")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def _name_bytes(error: UnicodeError) -> tuple[str | bytes, int]:
    """For encoding: bytes that are no UTF-8 as they are, other characters that the terminal lacks as escapes."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


codecs.register_error("upright.names", _name_bytes)


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    if issubclass(category, InputWarning):
        print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)
    else:
        _print_python_warning(message, category, filename, lineno, file, line)


def add_flags(parser: argparse._ArgumentGroup, options: type, whose: str = "default") -> None:
    """One flag for each field of a dataclass of options that says what it is; None where it is not given.

    Args:
        parser: where the flags go.
        options: the dataclass, see `upright.detector.option_fields`.
        whose: what the help calls the fields' own values.
    """
    for field in option_fields(options):
        default = " ".join(map(str, field.default)) if field.many else field.default
        text = f"{field.help} ({whose}: {default})"
        if field.names:
            text += f"; one of {', '.join(field.names)}"
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=field.type,
            nargs="+" if field.many else None,
            metavar=field.name.upper(),
            help=text.replace("%", "%%"),
        )


def given_options(arguments: argparse.Namespace, options: type) -> dict[str, Any]:
    """The fields of a dataclass of options whose flags were given."""
    given = {field.name: getattr(arguments, field.name) for field in option_fields(options)}
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items() if value is not None
    }


def chosen_settings(arguments: argparse.Namespace) -> Settings:
    """The settings of `--preset` with the flags that were given."""
    return replace(PRESETS[arguments.preset], **given_options(arguments, Settings))
