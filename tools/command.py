"""What the tools share: how each one ends, and flags for the fields of a dataclass of options."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from upright.detector.option_fields import option_fields
from upright.detector.settings import PRESETS, Settings
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
