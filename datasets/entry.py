"""What a data set declares of itself: its command-line flags, how it is opened, how it is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from upright.datasets.sample import PedestrianDataset
from upright.errors import InputError

Options = Mapping[str, Any]


class NoSplit(InputError):
    """A data set does not have the split that was asked for."""


@dataclass(frozen=True)
class Flag:
    """A command-line flag of a data set. Data sets may share a flag, as long as they differ in its help alone.

    Attributes:
        name: the keyword that `open` takes; on the command line with hyphens for underscores.
        help: what it means to this data set.
        type: of one value; `bool` is a switch without a value.
        many: takes one or more values, given to `open` as a list.
        use: "always", or "training" for what only training takes, or "validation" for what only `validation` reads:
            that is not given to `open`, and not stored in the settings of a run.
    """

    name: str
    help: str
    type: Callable[[str], Any] = str
    many: bool = False
    use: Literal["always", "training", "validation"] = "always"


PERSON_FLAG = Flag("person", "the class that is a person, where its name does not tell")


def _no_options(options: Options) -> Options:
    return {}


def validated_on_files(options: Options) -> Options:
    """The options of a validation set: `val_annotations` in place of `annotations`, the same `person`."""
    return {"annotations": options["val_annotations"], "person": options["person"]}


@dataclass(frozen=True)
class DatasetEntry:
    """One data set of the registry.

    Attributes:
        open: called with the root, the split and the options that were given by keyword; gives the data set with its
            images unread.
        flags: the options.
        needs_root: whether it lies in a folder; then `open` gets the path of one that exists, else None.
        seeded: whether `open` takes `seed` as well.
        evaluation_split: the split that published figures are of.
        protocol: the evaluation protocol of the data set's own benchmark.
        first_pixel: what x and y of its annotations count from.
        validation: from the options of a training to those of its validation set, opened with the split "val"; None
            where there is nothing to validate on.
    """

    open: Callable[..., PedestrianDataset]
    flags: tuple[Flag, ...] = ()
    needs_root: bool = True
    seeded: bool = False
    evaluation_split: str = "val"
    protocol: str = "citypersons"
    first_pixel: int = 0
    validation: Callable[[Options], Options | None] = _no_options

    def options(self) -> list[str]:
        """The names of the keywords that `open` takes."""
        return [flag.name for flag in self.flags if flag.use != "validation"] + ["seed"] * self.seeded
