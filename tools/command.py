"""What the tools share: how each one ends, and the flags of a detector's settings."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import fields, replace

from upright.detector.settings import NAMES, PRESETS, Settings
from upright.errors import InputError

# Packages that a plain install leaves out, and the extra that brings them.
EXTRAS = {"albumentations": "train", "tensorboard": "train", "h5py": "experiments"}


def run(main: Callable[[], None]) -> None:
    """Run a tool's `main` and leave with its status: 0 done, 2 bad input (one line on stderr), 130 after Ctrl-C."""
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


def add_setting_flags(parser: argparse._ArgumentGroup) -> None:
    """One flag for each field of `Settings`; the preset's value holds where it is not given."""
    for field in fields(Settings):
        default = field.default
        many = isinstance(default, tuple)
        known = f"; of {', '.join(NAMES[field.name])}" if field.name in NAMES else ""
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=type(default[0]) if many else type(default),
            nargs="+" if many else None,
            metavar=None if many else field.name.upper(),
            help=f"light: {' '.join(map(str, default)) if many else default}" + known,
        )


def chosen_settings(arguments: argparse.Namespace) -> Settings:
    """The settings of `--preset` with the flags that were given."""
    given = {field.name: getattr(arguments, field.name) for field in fields(Settings)}
    changes = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items() if v is not None}
    return replace(PRESETS[arguments.preset], **changes)
