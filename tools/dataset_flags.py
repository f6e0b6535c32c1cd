"""The flags of the data sets, which each of them declares for itself, on the command line of a tool."""

from __future__ import annotations

import argparse
from typing import Any

from upright.datasets.entry import Flag
from upright.datasets.registry import DATASETS, dataset_entry


def add_dataset_flags(parser: argparse._ArgumentGroup, *, training: bool, validation: bool = True) -> None:
    """Add `--root` and the flags of all data sets; one that several have says in its help what it is to each.

    Args:
        parser: the group they belong to.
        training: False leaves out what only training takes.
        validation: False leaves out what only the choice of a training's validation set takes.
    """
    parser.add_argument("--root", help="folder of the data set (not for synthetic)")
    for name, uses in _flags(training=training).items():
        if not validation and _first(uses).use == "validation":
            continue
        flag = _first(uses)
        words = "; ".join(f"{dataset}: {use.help}" for dataset, use in uses.items())
        option = f"--{name.replace('_', '-')}"
        if flag.type is bool:
            parser.add_argument(option, action="store_true", help=words)
        else:
            parser.add_argument(option, type=flag.type, nargs="+" if flag.many else None, help=words)


def add_hold_out_flag(parser: argparse._ArgumentGroup) -> None:
    """Add `--hold-out`, which means the same pictures to training and to calibration."""
    parser.add_argument(
        "--hold-out",
        type=int,
        default=0,
        metavar="N",
        help="every Nth picture of each annotation file is kept out of training, to validate where there are no "
        "--val-annotations, and to calibrate on (0, the default: none)",
    )


def dataset_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of the data set that `--dataset` names, None where a flag was not given or is not the tool's."""
    flags = dataset_entry(arguments.dataset).flags
    return {flag.name: getattr(arguments, flag.name, None) for flag in flags if flag.use != "validation"}


def validation_options(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """The options of the set that validates a training on `--dataset`; None for no validation."""
    entry = dataset_entry(arguments.dataset)
    options = entry.validation({flag.name: getattr(arguments, flag.name) for flag in entry.flags})
    return None if options is None else dict(options)


def recorded_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the settings of a run keep: the options of all data sets, so that they look the same for every one."""
    flags = _flags(training=True)
    return {name: getattr(arguments, name) for name, uses in flags.items() if _first(uses).use != "validation"}


def _flags(*, training: bool) -> dict[str, dict[str, Flag]]:
    """By name of the flag: by name of each data set that has it, its flag."""
    found: dict[str, dict[str, Flag]] = {}
    for dataset in DATASETS:
        for flag in dataset_entry(dataset).flags:
            if not training and flag.use != "always":
                continue
            uses = found.setdefault(flag.name, {})
            if uses and _shape(_first(uses)) != _shape(flag):
                raise TypeError(f"--{flag.name} of {dataset} and of {next(iter(uses))} differ in more than their help")
            uses[dataset] = flag
    return found


def _first(uses: dict[str, Flag]) -> Flag:
    return next(iter(uses.values()))


def _shape(flag: Flag) -> tuple[Any, ...]:
    return flag.type, flag.many, flag.use
