"""What a dataclass of options says about its fields, for the flags of the tools and for checks of names.

A field is written `name: Annotated[type, "what it is"] = default`, where type is a number, a `Literal` of names, or a
tuple of any length of either.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from upright.errors import InputError


@dataclass(frozen=True)
class OptionField:
    """One field of a dataclass of options.

    Attributes:
        name: of the field.
        type: int, float or str; of each value where there are many.
        names: what a `Literal` allows; empty where any value of the type is allowed.
        many: whether the field is a tuple.
        default: its value where none is given.
        help: what it is.
    """

    name: str
    type: type
    names: tuple[str, ...]
    many: bool
    default: Any
    help: str

    def refuse_unknown(self, value: Any) -> None:
        """Check the names that a value holds.

        Raises:
            InputError: one is unknown, or there is none.
        """
        values = value if self.many else (value,)
        if not values:
            raise InputError(f"{self.name} holds nothing: give at least one value")
        unknown = sorted(str(v) for v in values if v not in self.names) if self.names else []
        if unknown:
            raise InputError(f"{self.name} '{' '.join(unknown)}' is not known: use {', '.join(self.names)}")


@cache
def option_fields(options: type) -> tuple[OptionField, ...]:
    """The fields of a dataclass that say what they are, in their order; the others are no options."""
    hints = get_type_hints(options, include_extras=True)
    found = []
    for field in fields(options):
        if get_origin(hints[field.name]) is not Annotated:
            continue
        kind, text = get_args(hints[field.name])
        many = get_origin(kind) is tuple
        if many:
            kind = get_args(kind)[0]
        names = get_args(kind) if get_origin(kind) is Literal else ()
        found.append(OptionField(field.name, str if names else kind, names, many, field.default, text))
    return tuple(found)
