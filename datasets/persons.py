"""Which of a data set's classes are people, by their names."""

from __future__ import annotations

from collections.abc import Iterable

from upright.errors import InputError

PERSON_NAMES = frozenset({"person", "persons", "people", "pedestrian", "pedestrians", "human", "humans"})
LISTED = 30  # names that an error lists, at most


def person_names(names: Iterable[str], wanted: str | None, where: object) -> set[str]:
    """Those of `names` that mean people.

    Args:
        names: of all classes.
        wanted: what `--person` says; None takes `PERSON_NAMES`. Capitals and spaces at the ends make no difference.
        where: the file or folder that the names are from, for the error.

    Raises:
        InputError: there is none.
    """
    names = sorted({str(name) for name in names})
    accepted = PERSON_NAMES if wanted is None else {_plain(wanted)}
    found = {name for name in names if _plain(name) in accepted}
    if not found:
        missing = "none is a person" if wanted is None else f"none is called '{wanted}'"
        listed = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
        raise InputError(f"{where} has the classes {listed or 'of no name'}, {missing}: name yours with --person NAME")
    return found


def person_number(wanted: str) -> int | None:
    """The class that `--person` gives by its number, where classes have no names; None for a name."""
    text = wanted.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _plain(name: str) -> str:
    return name.strip().casefold()
