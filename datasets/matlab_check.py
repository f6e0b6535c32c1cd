"""Whether the bytes of a MATLAB file (version 5) hold together: SciPy reads beyond the end of one that does not.

After "MAT-File Format", MathWorks: an element is a tag (type, bytes) and content, padded to 8 bytes; a matrix holds
elements for its flags, its dimensions, its name, and then its numbers, or a matrix for each of its cells or fields.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence

MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, CHAR = 1, 2, 4
NUMERIC = range(6, 16)  # classes: double, single, and integers of 8 to 64 bits
COMPLEX = 0x08  # of the flags
# Bytes of a number of each type.
WIDTHS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
INT32, UTF8 = 5, 16
DEEPEST = 20  # cells in cells

Element = tuple[int, int, int]  # type, begin and end of the content


def refuse_incoherent(data: bytes) -> None:
    """Check all sizes, counts and types in the bytes of a file against each other.

    Raises:
        ValueError: something does not fit, or is of a kind that no annotation needs: sparse, object, function.
    """
    if data[124:128] != b"\x00\x01IM":
        raise ValueError("no MATLAB file of version 5, little-endian")
    for kind, begin, end in _elements(data, 128, len(data)):
        if kind == COMPRESSED:
            try:
                inner = zlib.decompress(data[begin:end])
            except zlib.error as error:
                raise ValueError(f"a compressed variable is damaged: {error}") from None
            for inner_kind, inner_begin, inner_end in _elements(inner, 0, len(inner)):
                _refuse_matrix(inner, (inner_kind, inner_begin, inner_end), DEEPEST)
        else:
            _refuse_matrix(data, (kind, begin, end), DEEPEST)


def _elements(data: bytes, begin: int, end: int) -> list[Element]:
    found = []
    while begin < end:
        if begin + 8 > end:
            raise ValueError("bytes are left over behind an element")
        kind, size = struct.unpack_from("<II", data, begin)
        if kind >> 16:  # up to four bytes stand in the tag itself
            size = kind >> 16
            if size > 4:
                raise ValueError("a small element of more than four bytes")
            found.append((kind & 0xFFFF, begin + 4, begin + 4 + size))
            begin += 8
            continue
        if begin + 8 + size > end:
            raise ValueError("an element ends beyond what holds it")
        found.append((kind, begin + 8, begin + 8 + size))
        begin += 8 + (size if kind == COMPRESSED else -(-size // 8) * 8)
    return found


def _refuse_matrix(data: bytes, element: Element, depth: int) -> None:
    kind, begin, end = element
    if kind != MATRIX:
        raise ValueError(f"an element of type {kind} where a matrix is due")
    if begin == end:  # an empty one
        return
    if depth == 0:
        raise ValueError("cells too deep in cells")
    parts = _elements(data, begin, end)
    if len(parts) < 3 or parts[0][0] != 6 or parts[0][2] - parts[0][1] != 8:
        raise ValueError("a matrix without flags, dimensions and name")
    flags = data[parts[0][1] : parts[0][2]]
    dimensions = _dimensions(data, parts[1])
    if parts[2][0] not in (1, UTF8):
        raise ValueError("the name of a matrix is no text")
    count = math.prod(dimensions)
    rest = parts[3:]
    if flags[0] == CELL:
        _refuse_children(data, rest, count, depth)
    elif flags[0] == STRUCT:
        _refuse_children(data, rest[2:], count * _fields(data, rest), depth)
    elif flags[0] == CHAR or flags[0] in NUMERIC:
        _refuse_numbers(data, rest, count, 2 if flags[1] & COMPLEX else 1, text=flags[0] == CHAR)
    else:
        raise ValueError(f"a matrix of class {flags[0]}, which no annotation needs")


def _dimensions(data: bytes, element: Element) -> tuple[int, ...]:
    kind, begin, end = element
    size = end - begin
    if kind != INT32 or size % 4 or not 8 <= size <= 4 * 32:
        raise ValueError("a matrix without dimensions")
    dimensions = struct.unpack_from(f"<{size // 4}i", data, begin)
    if min(dimensions) < 0:
        raise ValueError("a matrix of negative size")
    return dimensions


def _fields(data: bytes, rest: Sequence[Element]) -> int:
    """How many fields a struct has, from the elements for the length of their names and for the names."""
    if len(rest) < 2 or rest[0][0] != INT32 or rest[0][2] - rest[0][1] != 4 or rest[1][0] not in (1, UTF8):
        raise ValueError("a struct without names of its fields")
    width = struct.unpack_from("<i", data, rest[0][1])[0]
    size = rest[1][2] - rest[1][1]
    if width <= 0 or size % width:
        raise ValueError("names of fields that do not fit their length")
    return size // width


def _refuse_children(data: bytes, children: Sequence[Element], count: int, depth: int) -> None:
    if len(children) != count:
        raise ValueError(f"{count} cells or fields are due, {len(children)} are there")
    for child in children:
        _refuse_matrix(data, child, depth - 1)


def _refuse_numbers(data: bytes, rest: Sequence[Element], count: int, parts: int, *, text: bool) -> None:
    if text and count == 0:
        parts = len(rest)
    if len(rest) != parts:
        raise ValueError("a matrix without its numbers")
    for kind, begin, end in rest:
        if kind not in WIDTHS:
            raise ValueError(f"numbers of the unknown type {kind}")
        there = len(data[begin:end].decode("utf-8")) if text and kind == UTF8 else (end - begin) // WIDTHS[kind]
        if there != count or (end - begin) % WIDTHS[kind]:
            raise ValueError(f"{count} numbers are due, {there} are there")
