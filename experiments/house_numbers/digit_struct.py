"""House numbers as SVHN (Netzer et al. 2011) distributes them, "format 1: full numbers".

    SPLIT/1.png, 2.png ...     the pictures, whole
    SPLIT/digitStruct.mat      name, and the box and label of each digit; train, test and extra alike

digitStruct.mat is a MATLAB 7.3 file, which is HDF5: a struct array whose fields are arrays of object references, the
boxes struct arrays again. A field of a struct of one digit holds the number itself, of several digits references to
numbers. Arrays are transposed. Label 10 is the digit 0. Boxes are in pixels, left and top counted from 0, as the
data set's own `see_bboxes.m` draws them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5r, h5s, h5t
from tqdm import tqdm

from upright.errors import InputError
from upright.output import whole_file

ANNOTATIONS = "digitStruct.mat"
FIELDS = ("height", "left", "top", "width", "label")

# MATLAB 7.3 files begin with these 512 bytes: text, version 2.0, byte order.
USERBLOCK = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM" + bytes(384)


@dataclass(frozen=True)
class HouseNumber:
    """A picture's file name, the boxes of its digits (n, 4) as left, top, width, height in pixels, the n digits."""

    name: str
    boxes: np.ndarray
    digits: tuple[int, ...]


def read_annotations(file: Path) -> list[HouseNumber]:
    """All house numbers of a digitStruct.mat, in its order.

    Raises:
        InputError: the file is missing, damaged, of another layout, or has labels that are not digits.
    """
    if not file.is_file():
        raise InputError(f"{file} is missing: unpack SVHN's full numbers (train.tar.gz, not train_32x32.mat) there")
    numbers = []
    try:
        with h5py.File(file) as mat:
            names, boxes = mat["digitStruct/name"][:, 0], mat["digitStruct/bbox"][:, 0]
            for name, box in tqdm(
                zip(names, boxes, strict=True), f"{file.parent.name}, boxes", len(names), leave=False
            ):
                text = "".join(map(chr, read(h5r.dereference(name, mat.id), np.uint16)))
                height, left, top, width, labels = (field_values(h5r.dereference(box, mat.id), f) for f in FIELDS)
                corners = np.stack([left, top, width, height], axis=1)
                if not np.isfinite(corners).all() or not np.isin(labels, range(1, 11)).all():
                    raise ValueError(f"{text}: labels are not all from 1 to 10 or boxes not finite")
                numbers.append(HouseNumber(text, corners, tuple(int(label) % 10 for label in labels)))
    except (OSError, KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(f"{file} is not a digitStruct.mat of SVHN or is damaged ({error}): fetch it again") from None
    return numbers


# Reading and writing by h5py's low-level classes, since `extra` has some four million of these small arrays: its array
# interface takes three times as long.


def read(dataset: h5d.DatasetID, dtype: np.dtype | type) -> np.ndarray:
    """The first column (n) of a dataset."""
    values = np.empty(dataset.shape, dtype)
    dataset.read(h5s.ALL, h5s.ALL, values)
    return values[:, 0]


def field_values(struct: h5g.GroupID | h5d.DatasetID, field: str) -> np.ndarray:
    """The numbers (n) of one field of a struct array: held themselves, or by references; an empty struct has none."""
    if isinstance(struct, h5d.DatasetID):
        return np.zeros(0)
    dataset = h5d.open(struct, field.encode())
    if dataset.get_type().get_class() != h5t.REFERENCE:
        return read(dataset, np.float64)
    references = read(dataset, h5py.ref_dtype)
    return np.array([read(h5r.dereference(reference, dataset), np.float64)[0] for reference in references])


def add(parent: h5g.GroupID, name: str, values: Sequence, kind: str) -> h5r.Reference:
    """Write a column of numbers, letters or references of MATLAB's class `kind`; a reference to it."""
    dtype = {"double": np.float64, "char": np.uint16, "cell": h5py.ref_dtype, "struct": np.uint64}[kind]
    column = np.array(values, dtype)[:, None]
    dataset = h5d.create(
        parent, name.encode(), h5t.py_create(column.dtype, logical=True), h5s.create_simple(column.shape)
    )
    dataset.write(h5s.ALL, h5s.ALL, column)
    if kind != "cell":  # fields of a struct array are references without a class
        add_attribute(dataset, "MATLAB_class", np.bytes_(kind))
    return h5r.create(parent, name.encode(), h5r.OBJECT)


def add_attribute(owner: h5g.GroupID | h5d.DatasetID, name: str, value: np.generic) -> None:
    scalar = np.array(value)
    h5a.create(owner, name.encode(), h5t.py_create(scalar.dtype), h5s.create(h5s.SCALAR)).write(scalar)


def add_boxes(objects: h5g.GroupID, name: str, number: HouseNumber) -> h5r.Reference:
    """Write the struct array of one number's boxes; a reference to it."""
    if not number.digits:  # of what is empty MATLAB keeps the shape
        reference = add(objects, name, [1, 0], "struct")
        add_attribute(h5r.dereference(reference, objects), "MATLAB_empty", np.uint8(1))
        return reference
    struct = h5g.create(objects, name.encode())
    add_attribute(struct, "MATLAB_class", np.bytes_("struct"))
    left, top, width, height = number.boxes.T
    label = [digit or 10 for digit in number.digits]
    for field, values in zip(FIELDS, (height, left, top, width, label), strict=True):
        if len(values) == 1:
            add(struct, field, values, "double")
        else:
            cells = [add(objects, f"{name}_{field}_{index}", [v], "double") for index, v in enumerate(values)]
            add(struct, field, cells, "cell")
    return h5r.create(objects, name.encode(), h5r.OBJECT)


def write_annotations(file: Path, numbers: Sequence[HouseNumber]) -> None:
    """Write a digitStruct.mat as MATLAB would, which `read_annotations` and other readers of SVHN read."""
    with whole_file(file) as temporary:
        with h5py.File(temporary, "w", userblock_size=len(USERBLOCK)) as mat:
            objects, structs = mat.create_group("#refs#").id, mat.create_group("digitStruct").id
            add_attribute(structs, "MATLAB_class", np.bytes_("struct"))
            add(structs, "bbox", [add_boxes(objects, f"bbox_{i}", n) for i, n in enumerate(numbers)], "cell")
            names = [add(objects, f"name_{i}", list(map(ord, n.name)), "char") for i, n in enumerate(numbers)]
            for name in names:
                add_attribute(h5r.dereference(name, objects), "MATLAB_int_decode", np.int32(2))
            add(structs, "name", names, "cell")
        with open(temporary, "r+b") as head:
            head.write(USERBLOCK)
