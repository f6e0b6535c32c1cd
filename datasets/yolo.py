"""YOLO's labels: a text file a picture, a line a box, in shares of the picture's size.

    ROOT/data.yaml, and where it says: images/{train,val}/NAME.jpg with labels/{train,val}/NAME.txt

or the same folders without data.yaml (also {train,val}/images and {train,val}/labels), or pictures and labels in one
folder. A line is `class x y width height`, x and y of the middle; also outlines (class and corners) and, where
data.yaml has `kpt_shape`, joints behind the box. There are no ignore regions: every box of a person counts, boxes of
other classes are background, a picture without labels has nobody in it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upright.datasets.annotated import (
    AnnotatedBox,
    AnnotatedPicture,
    AnnotatedPictures,
    collected,
    named_file,
    numbers,
    text_lines,
)
from upright.datasets.entry import PERSON_FLAG, DatasetEntry, Flag, NoSplit, Options
from upright.datasets.persons import person_names, person_number
from upright.datasets.pictures import PICTURE_SUFFIXES, picture_size
from upright.errors import InputError

SPARE = 0.01  # how far beyond 0..1 shares may lie: those of boxes at the border are rounded
BOX_COLUMNS = 5
LEAST_OUTLINE = 3  # corners


@dataclass(frozen=True)
class _Layout:
    """Where the pictures of a split are and what its classes are.

    Attributes:
        sources: folders and lists of pictures.
        base: what relative paths in lists belong to.
        names: of the classes by number, None where nothing says.
        names_file: that says it.
        joints: how many columns stand behind the box.
        unsplit: whether these are all pictures that there are.
    """

    sources: list[Path]
    base: Path
    names: Mapping[int, str] | None
    names_file: Path
    joints: int = 0
    unsplit: bool = False


def open_yolo(
    root: Path, split: str, *, annotations: Sequence[str | Path] = (), person: str | None = None
) -> AnnotatedPictures:
    """As the registry opens it; `annotations` names the data.yaml, where it is not ROOT/data.yaml.

    Raises:
        InputError: files or folders that are missing or damaged; no class is a person.
    """
    if len(annotations) > 1:
        raise InputError("data set 'yolo' has one data.yaml: give one with --annotations")
    file = named_file(root, annotations[0]) if annotations else _find_yaml(root)
    layout = _from_folders(root, split) if file is None else _from_yaml(root, file, split)
    paths = [path for source in layout.sources for path in _pictures(source, layout.base)]
    labels = [_label_file(path) for path in paths]
    _refuse_lonely_labels(layout, set(labels))
    without = [path for path, label in zip(paths, labels, strict=True) if not label.is_file()]
    if paths and len(without) == len(paths):
        raise InputError(f"no picture in {layout.sources[0]} has labels: {labels[0]} is missing, and so are all others")
    if without:
        print(
            f"warning: {len(without)} pictures have no file of labels and count as without people, "
            f"the first one {without[0]}",
            file=sys.stderr,
        )
    persons = _persons(layout, person, labels)
    pictures = (_read(path, label, persons, layout) for path, label in zip(paths, labels, strict=True))
    return collected(root, pictures, unsplit=layout.unsplit)


def _find_yaml(root: Path) -> Path | None:
    usual = [root / name for name in ("data.yaml", "data.yml", "dataset.yaml") if (root / name).is_file()]
    found = usual[:1] or sorted([*root.glob("*.yaml"), *root.glob("*.yml")])
    if len(found) > 1:
        raise InputError(f"{root} holds {len(found)} .yaml files: name the one to use with --annotations")
    return found[0] if found else None


def _from_yaml(root: Path, file: Path, split: str) -> _Layout:
    content = _load_yaml(file)
    names = _names(content.get("names"), file)
    places = content.get(split)
    if places is None or places == []:
        raise NoSplit(f"{file} names no '{split}': add it, or choose another split")
    places = [places] if isinstance(places, str) else places
    base = content.get("path") or "."
    if not isinstance(base, str) or not isinstance(places, list) or not all(isinstance(place, str) for place in places):
        raise InputError(f"{file}: 'path' and '{split}' have to be names of folders or lists; correct them")
    shape = content.get("kpt_shape") or [0, 0]
    if not isinstance(shape, list) or len(shape) != 2 or not all(type(n) is int and 0 <= n < 1000 for n in shape):
        raise InputError(f"{file}: kpt_shape is not two numbers, of joints and of values for each; correct it")
    base = base.replace("\\", "/")
    bases = [file.parent / base, root / base, file.parent, root]
    sources = [_place(place, bases, file) for place in places]
    return _Layout(sources, bases[0] if bases[0].is_dir() else file.parent, names, file, shape[0] * shape[1])


def _place(name: str, bases: Sequence[Path], file: Path) -> Path:
    # Exports of Roboflow say ../train/images where train/images is meant.
    slashed = name.replace("\\", "/")  # as Windows writes them
    for candidate in (name, slashed, slashed.removeprefix("../")):
        for base in bases:
            if os.path.exists(base / candidate):
                return base / candidate
    raise InputError(f"{file} names {name}, which is not there: check its 'path', or --root")


def _load_yaml(file: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {file} ({error.strerror}): check the path") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{file}, line {line}: no YAML ({error.problem}); correct it") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{file} is no YAML ({str(error)[:80]}): correct it") from None
    if not isinstance(content, dict):
        raise InputError(f"{file} is no data.yaml: it needs 'names', 'train' and 'val'")
    return content


def _names(value: Any, file: Path) -> dict[int, str] | None:
    names = dict(enumerate(value)) if isinstance(value, list) else value
    if names is None:
        return None
    sound = isinstance(names, dict) and all(
        type(number) is int and isinstance(name, str | int) for number, name in names.items()
    )
    if not sound:
        raise InputError(f"{file}: 'names' is neither a list of names nor names by number; correct it")
    return {number: str(name) for number, name in names.items()}


def _from_folders(root: Path, split: str) -> _Layout:
    names_file = next(
        (path for path in (root / "classes.txt", root / "labels" / "classes.txt") if path.is_file()), None
    )
    names = None if names_file is None else dict(enumerate(line for _, line in text_lines(names_file)))
    names_file = names_file or root
    folders = {name: folder for name in ("train", "val", "valid", "test") if (folder := _split_folder(root, name))}
    wanted = "valid" if split == "val" and "val" not in folders else split
    if wanted in folders:
        return _Layout([folders[wanted]], root, names, names_file)
    if folders:
        raise NoSplit(f"{root} has only {', '.join(folders)}, no '{split}': choose another split")
    folder = root / "images" if (root / "images").is_dir() else root
    return _Layout([folder], root, names, names_file, unsplit=True)


def _split_folder(root: Path, name: str) -> Path | None:
    return next((place for place in (root / "images" / name, root / name / "images") if place.is_dir()), None)


def _pictures(source: Path, base: Path) -> Iterator[Path]:
    """The pictures of a folder, or of a list."""
    if source.is_dir():
        yield from sorted(path for path in source.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
        return
    if source.suffix.lower() in PICTURE_SUFFIXES:
        yield source
        return
    for where, line in text_lines(source):
        places = [folder / name for name in (line, line.replace("\\", "/")) for folder in (source.parent, base)]
        found = next((place for place in places if os.path.isfile(place)), None)
        if found is None:
            raise InputError(f"{where}: the picture {line} is missing; correct the list, or fetch the picture")
        yield found


def _label_file(picture: Path) -> Path:
    """labels/... for images/...; beside the picture where no folder above is called images."""
    parts = list(picture.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _refuse_lonely_labels(layout: _Layout, expected: set[Path]) -> None:
    for source in layout.sources:
        folder = _label_file(source / "any.jpg").parent
        if not source.is_dir() or folder == source or not folder.is_dir():
            continue
        for file in sorted(folder.rglob("*.txt")):
            if file not in expected and file.name != "classes.txt":
                raise InputError(f"{file} has no picture in {source}: fetch the picture, or remove the file")


def _persons(layout: _Layout, wanted: str | None, labels: Sequence[Path]) -> set[int]:
    number = None if wanted is None else person_number(wanted)
    if layout.names is not None:
        if number is not None and wanted not in layout.names.values() and number in layout.names:
            return {number}
        found = person_names(layout.names.values(), wanted, layout.names_file)
        return {number for number, name in layout.names.items() if name in found}
    if number is None:
        used = sorted(
            {line.split()[0] for label in labels if label.is_file() for _, line in text_lines(label)},
            key=lambda c: (len(c), c),
        )
        raise InputError(
            f"{layout.names_file} does not name its classes ({', '.join(used[:30])}): add 'names' in a data.yaml or "
            "classes.txt, or give the number of people with --person NUMBER"
        )
    return {number}


def _read(path: Path, label: Path, persons: set[int], layout: _Layout) -> AnnotatedPicture:
    if not path.is_file():
        raise InputError(f"the picture {path} is missing: check --root")
    size = picture_size(path)
    boxes = []
    for where, line in text_lines(label) if label.is_file() else ():
        kind, *words = line.split()
        number = person_number(kind.removesuffix(".0"))
        if number is None:
            raise InputError(f"{where}: '{kind[:40]}' is no number of a class; correct it")
        if layout.names is not None and number not in layout.names:
            raise InputError(f"{where}: there is no class {number} in {layout.names_file}; correct one of them")
        x, y, width, height = _shares(numbers(words, where), layout.joints, where)
        if number in persons:
            box = ((x - width / 2) * size[0], (y - height / 2) * size[1], width * size[0], height * size[1])
            name = "person" if layout.names is None else layout.names[number]
            boxes.append(AnnotatedBox(box, where, label=name))
    return AnnotatedPicture(path, size, boxes)


def _shares(values: Sequence[float], joints: int, where: str) -> tuple[float, float, float, float]:
    """x y of the middle, width and height, as shares of the picture's."""
    columns = len(values) + 1
    if joints and columns == BOX_COLUMNS + joints:
        values = values[:4]
    elif columns > BOX_COLUMNS and columns % 2 == 1 and len(values) >= 2 * LEAST_OUTLINE:
        left, top, right, bottom = min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
        values = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
    elif columns != BOX_COLUMNS:
        raise InputError(f"{where}: {columns} columns; a line is class, x, y, width, height, or class and an outline")
    x, y, width, height = values
    if width <= 0 or height <= 0:
        raise InputError(f"{where}: the box is {width:g} wide and {height:g} high; correct it or remove it")
    if min(values) < -SPARE or max(values) > 1 + SPARE:
        raise InputError(f"{where}: {max(values, key=abs):g} is no share of the picture, 0 to 1; are these pixels?")
    return x, y, width, height


def _validation(options: Options) -> Options:
    return {"annotations": options["val_annotations"] or options["annotations"], "person": options["person"]}


ENTRY = DatasetEntry(
    open=open_yolo,
    flags=(
        Flag("annotations", "data.yaml (default the one in ROOT)", many=True),
        Flag("val_annotations", "a data.yaml to validate on (default the same)", many=True, use="validation"),
        PERSON_FLAG,
    ),
    validation=_validation,
)
