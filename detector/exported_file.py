"""Files of exported detectors: what they say of themselves, read without any engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

from upright.detector.settings import Settings
from upright.errors import InputError

VERSION = 1  # of inputs, outputs and metadata; counted up when a reader of older files would read them wrongly
KEY = "upright"  # of the metadata: a JSON object
SUFFIXES = (".onnx", ".xml")

# Of ONNX's ModelProto and StringStringEntryProto, and the kinds of protocol buffers' fields.
METADATA, ENTRY_KEY, ENTRY_VALUE = 14, 1, 2
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class ExportedFile:
    """An exported detector.

    Attributes:
        path: of the .onnx file, or of OpenVINO's .xml beside its .bin.
        settings: of the detector.
        outputs: names in their order.
        precision: "float32", or "int8" where the heavy layers compute in it.
    """

    path: Path
    settings: Settings
    outputs: tuple[str, ...]
    precision: str


def is_exported(path: str | Path) -> bool:
    """Whether a file's name says that it is an exported detector, and no weights file."""
    return Path(path).suffix.lower() in SUFFIXES


def read_exported(path: str | Path) -> ExportedFile:
    """What an exported file says of itself.

    Raises:
        InputError: it is missing, damaged, not of `tools/export.py`, or of another version.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            text = _onnx_metadata(file) if path.suffix.lower() == ".onnx" else _xml_metadata(file)
    except FileNotFoundError:
        raise InputError(f"the exported detector {path} does not exist: make it by tools/export.py") from None
    except OSError as error:
        raise InputError(f"the exported detector {path} cannot be read ({error.strerror})") from None
    except (ValueError, EOFError, ElementTree.ParseError):
        raise InputError(f"the exported detector {path} is damaged: make it again by tools/export.py") from None
    if text is None:
        raise InputError(f"{path} is a model, but no detector that tools/export.py wrote: give one of these")
    try:
        said: dict[str, Any] = json.loads(text)
        if said["version"] != VERSION:
            raise InputError(
                f"{path} was exported by another version of Upright (its format is {said['version']}, not {VERSION}): "
                "make it again by tools/export.py"
            )
        return ExportedFile(path, Settings.from_dict(said["settings"]), tuple(said["outputs"]), said["precision"])
    except InputError as error:
        raise InputError(f"{error}" if str(path) in str(error) else f"{path}: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError(f"the metadata of {path} is damaged: make it again by tools/export.py") from None


def _onnx_metadata(file: IO[bytes]) -> str | None:
    """The text under `KEY`; whatever else the file holds is passed over."""
    size = file.seek(0, 2)
    file.seek(0)
    found = None
    for number, length in _fields(file, size):
        if number == METADATA:
            entry = _entry(file, file.tell() + length)
            if entry.get(ENTRY_KEY) == KEY.encode():
                found = entry[ENTRY_VALUE].decode()
        else:
            file.seek(length, 1)
    return found


def _entry(file: IO[bytes], end: int) -> dict[int, bytes]:
    return {number: _exactly(file, length) for number, length in _fields(file, end)}


def _fields(file: IO[bytes], end: int) -> Iterator[tuple[int, int]]:
    """Number and length of each field of bytes up to `end`, at its content, which the caller reads or passes over.

    Raises:
        ValueError: these are no fields of a protocol buffer.
    """
    while file.tell() < end:
        number, kind = divmod(_varint(file), 8)
        if kind == BYTES:
            length = _varint(file)
            if file.tell() + length > end:
                raise ValueError("cut off")
            yield number, length
        elif kind == VARINT:
            _varint(file)
        elif kind in (FIXED32, FIXED64):
            _exactly(file, 4 if kind == FIXED32 else 8)
        else:
            raise ValueError("no field")


def _varint(file: IO[bytes]) -> int:
    value = 0
    for shift in range(0, 70, 7):
        (byte,) = _exactly(file, 1)
        value |= (byte & 127) << shift
        if byte < 128:
            return value
    raise ValueError("no number")


def _exactly(file: IO[bytes], count: int) -> bytes:
    content = file.read(count)
    if len(content) != count:
        raise ValueError("cut off")
    return content


def _xml_metadata(file: IO[bytes]) -> str | None:
    """The value of `<rt_info><KEY value=...>` at the top of OpenVINO's file."""
    found = ElementTree.parse(file).getroot().find(f"rt_info/{KEY}")
    return None if found is None else found.get("value")
