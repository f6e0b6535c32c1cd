"""Damage to sound files: of their bytes, of the numbers written in them, and of the structure of JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from random import Random
from typing import Any

NUMBERS = (
    *(b"NaN", b"nan", b"Infinity", b"-inf", b"1e400", b"-1e308", b"1e-320", b"-1", b"0", b"-0.0", b"0.5"),
    *(b"255", b"256", b"65536", b"2147483647", b"2147483648", b"4294967295", b"9223372036854775808"),
    *(b"1" + b"0" * 30, b"9" * 400, b"0x10", b"1_000", b"+5", b"1,5", b"true", b"null", b"", b"\xd9\xa3"),
)
WORDS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


VALUES: tuple[Any, ...] = (
    *(float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 1e-320, -1, 0, 1, 2**31, 2**63, 2**64, 10**30, 10**400),
    *(True, False, None, "", "0", "nan", "-1", "x" * 3000, "..", "/", "a\0b", "\ud800", "\u0661", "a\nb", "../../etc"),
    *([], {}, [[]], [None], {"": {}}, [1, 2, 3], [1, 2, 3, 4, 5], ["a"] * 4, [float("nan")] * 4, nested(100)),
)


def flip_bits(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 1, 2, 8, 50))):
        if data:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def span(data: bytearray, random: Random) -> tuple[int, int]:
    """Start and end of a piece, mostly a small one."""
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.choice((1, 2, 4, 8, 64, 1024, len(data))))


def cut(data: bytearray, random: Random) -> None:
    start, end = span(data, random)
    del data[start:end]


def cut_off(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data) + 1) :]


def repeat(data: bytearray, random: Random) -> None:
    start, end = span(data, random)
    data[start:start] = data[start:end] * random.choice((1, 1, 2, 20))


def swap(data: bytearray, random: Random) -> None:
    (a, b), (c, d) = sorted((span(data, random), span(data, random)))
    if b <= c:
        data[a:d] = data[c:d] + data[b:c] + data[a:b]


def overwrite(data: bytearray, random: Random) -> None:
    start, end = span(data, random)
    data[start:end] = random.choice((b"\0", b"\xff", b" ", b"A")) * (end - start)


def insert_junk(data: bytearray, random: Random) -> None:
    start = random.randrange(len(data) + 1)
    data[start:start] = random.choice(
        (b"\xef\xbb\xbf", b"\0\0\0\0", b"\r\n", b"\xff\xd8", b"<", b"]]", random.randbytes(16))
    )


def binary_word(data: bytearray, random: Random) -> None:
    """A count, a size or an offset of a header, whichever stands there."""
    width = random.choice((1, 2, 4, 4, 8))
    if len(data) < width:
        return
    reach = random.choice((200, len(data)))
    start = random.randrange(max(1, min(reach, len(data) - width)))
    word = random.choice(WORDS) & (1 << 8 * width) - 1
    data[start : start + width] = word.to_bytes(width, random.choice(("little", "big")))


def written_number(data: bytearray, random: Random) -> None:
    places = list(re.finditer(rb"-?\d[\d.eE+-]*", data[:100_000]))
    if places:
        place = random.choice(places)
        data[place.start() : place.end()] = random.choice(NUMBERS)


BYTES: tuple[Callable[[bytearray, Random], None], ...] = (
    *(flip_bits, flip_bits, cut, cut_off, repeat, swap, overwrite, insert_junk),
    *(binary_word, binary_word, binary_word, written_number, written_number),
)


def mutated_bytes(data: bytes, random: Random) -> bytes:
    """Damaged once, or a few times over."""
    result = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        random.choice(BYTES)(result, random)
    return bytes(result)


def mutated_text(data: bytes, random: Random) -> bytes:
    """Text that is still text: numbers, words and lines replaced, left out, repeated or swapped."""
    for _ in range(random.choice((1, 1, 2))):
        result = bytearray(data)
        written_number(result, random)
        pieces = re.split(rb"(\s+|[,<>=:])" if random.random() < 0.7 else rb"(\n)", bytes(result))
        first, second = random.randrange(len(pieces)), random.randrange(len(pieces))
        what = random.randrange(5)
        if what == 0:
            del pieces[first]
        elif what == 1:
            pieces[first], pieces[second] = pieces[second], pieces[first]
        elif what == 2:
            pieces[first:first] = pieces[first : first + 2] * random.choice((1, 3, 200))
        data = b"".join(pieces)
    return data


def nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in nested dicts and lists: what holds it, and its key or number there."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in list(children):
        yield value, key
        yield from nodes(child)


def mutate_tree(value: Any, random: Random) -> Any:
    """Nested dicts and lists damaged in one to three places; they are changed themselves."""
    for _ in range(random.choice((1, 1, 2, 3))):
        places = list(nodes(value))
        if not places or random.random() < 0.01:
            return random.choice(VALUES)
        holder, key = random.choice(places)
        what = random.randrange(6)
        if what == 0:
            del holder[key]
        elif what == 1 and isinstance(holder, list):
            holder.append(holder[key])
        elif what == 2 and isinstance(holder, dict):
            holder[random.choice(("", "id", "bbox", str(key).upper()))] = holder.pop(key)
        elif what == 3:
            other, there = random.choice(places)
            if holder is other:  # else it might come to hold itself
                holder[key], holder[there] = holder[there], holder[key]
        else:
            holder[key] = random.choice(VALUES)
    return value


def mutated_json(data: bytes, random: Random) -> bytes:
    """JSON that is still JSON, of another structure; of lines of JSON one is damaged."""
    lines = data.splitlines()
    number = random.randrange(len(lines))
    changed = json.dumps(mutate_tree(json.loads(lines[number]), random)).encode()
    return b"\n".join([*lines[:number], changed, *lines[number + 1 :]])


def mutated_safetensors(data: bytes, random: Random) -> bytes:
    """Another header, of the right length, before the same numbers."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    if random.random() < 0.7:
        settings = json.loads(header["__metadata__"]["settings"])
        header["__metadata__"]["settings"] = json.dumps(mutate_tree(settings, random))
    else:
        header = mutate_tree(header, random)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def mutated_checkpoint(data: bytes, random: Random) -> bytes:
    """Another structure of the pickled state; of the log another line."""
    import torch

    if not data.startswith(b"PK"):
        return mutated_json(data, random)
    content = BytesIO()
    torch.save(mutate_tree(torch.load(BytesIO(data), weights_only=True), random), content)
    return content.getvalue()
