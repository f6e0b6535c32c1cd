"""Pascal VOC's XML (M. Everingham et al., IJCV 2010): a file a picture, with the corners of each object.

    ROOT/JPEGImages/NAME.jpg, ROOT/Annotations/NAME.xml, ROOT/ImageSets/Main/{train,val,test}.txt

or pictures and .xml files in one folder. Corners are pixels that belong to the object, counted from 1. Objects marked
`difficult` are ignore regions; those of other classes are background.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from upright.datasets.annotated import (
    LARGEST,
    AnnotatedBox,
    AnnotatedPicture,
    AnnotatedPictures,
    collected,
    find_picture,
    named_file,
    numbers,
    text_lines,
)
from upright.datasets.entry import PERSON_FLAG, DatasetEntry, Flag, NoSplit, validated_on_files
from upright.datasets.persons import person_names
from upright.errors import InputError

EDGES = ("xmin", "ymin", "xmax", "ymax")
LINE = "line"  # attribute of each element: the line that it begins in


@dataclass(frozen=True)
class _Annotation:
    """What an .xml file says: the picture's own name for itself, its size or zeros, its objects of any class."""

    path: Path
    file_name: str
    size: tuple[int, int]
    objects: list[AnnotatedBox]


def open_voc(
    root: Path, split: str, *, annotations: Sequence[str | Path] = (), person: str | None = None
) -> AnnotatedPictures:
    """As the registry opens it; `annotations` are lists of pictures' names in place of those in ImageSets/Main.

    Raises:
        InputError: a list, a file or a picture that is missing or damaged; no class is a person.
    """
    folder = root / "Annotations" if (root / "Annotations").is_dir() else root
    files, unsplit = _files(root, folder, split, annotations)
    read = [_read(path) for path in files]
    names = {thing.label for annotation in read for thing in annotation.objects}
    counted = person_names(names, person, folder) if names else set()
    pictures = root / "JPEGImages" if (root / "JPEGImages").is_dir() else root
    found = [
        AnnotatedPicture(
            _picture(pictures, annotation),
            annotation.size,
            [thing for thing in annotation.objects if thing.label in counted],
        )
        for annotation in read
    ]
    return collected(root, found, unsplit=unsplit)


def _files(root: Path, folder: Path, split: str, annotations: Sequence[str | Path]) -> tuple[list[Path], bool]:
    """The .xml files of a split, and whether they are all there are."""
    lists = [named_file(root, name) for name in annotations]
    sets = root / "ImageSets" / "Main"
    if not lists and sets.is_dir():
        lists = [sets / f"{split}.txt"]
        if not lists[0].is_file():
            raise NoSplit(f"{sets} has no {split}.txt: make it, or choose another split")
    if not lists:
        files = sorted(folder.glob("*.xml"))
        if not files:
            raise InputError(f"{folder} holds no .xml files: check --root")
        return files, True
    files = []
    for path in lists:
        for where, line in text_lines(path):
            words = line.split()
            # A list of one class says -1 behind the pictures that have none of it.
            if words[1:] == ["-1"]:
                continue
            file = folder / f"{words[0].removesuffix('.xml')}.xml"
            if not os.path.isfile(file):
                raise InputError(f"{where}: there is no {file}; correct the list, or fetch the file")
            files.append(file)
    return files, False


def _picture(folder: Path, annotation: _Annotation) -> Path:
    """The picture of the file's own name; the one that the file names, where that is called otherwise."""
    usual = find_picture(folder, annotation.path.stem)
    named = folder / Path(annotation.file_name.replace("\\", "/")).name
    return named if not os.path.isfile(usual) and annotation.file_name and os.path.isfile(named) else usual


def _read(path: Path) -> _Annotation:
    tree = parse_xml(path)
    if tree.tag != "annotation":
        raise InputError(f"{path}, line {tree.get(LINE)}: <{tree.tag}> is no annotation of Pascal VOC")
    size = tree.find("size")
    width, height = (0, 0) if size is None else (_number(size, name, path, missing=0) for name in ("width", "height"))
    if size is not None and not (0 <= width <= LARGEST and 0 <= height <= LARGEST):
        raise InputError(f"{path}, line {size.get(LINE)}: {width:g} x {height:g} is no size of a picture; correct it")
    return _Annotation(
        path=path,
        file_name=(tree.findtext("filename") or "").strip(),
        size=(int(width), int(height)),
        objects=[_object(element, path) for element in tree.findall("object")],
    )


def _object(element: Element, path: Path) -> AnnotatedBox:
    where = f"{path}, line {element.get(LINE)}"
    name, box = (element.findtext("name") or "").strip(), element.find("bndbox")
    if not name or box is None:
        raise InputError(f"{where}: an object without {'a name' if not name else 'a bndbox'}; add it")
    left, top, right, bottom = (_number(box, edge, path) for edge in EDGES)
    return AnnotatedBox(
        box=(left - 1, top - 1, right - left + 1, bottom - top + 1),
        where=where,
        ignore=_number(element, "difficult", path, missing=0) != 0,
        label=name,
    )


def _number(element: Element, name: str, path: Path, *, missing: float | None = None) -> float:
    child = element.find(name)
    words = "" if child is None else (child.text or "").strip()
    if child is None or not words:
        if missing is not None:
            return missing
        raise InputError(f"{path}, line {element.get(LINE)}: <{element.tag}> has no {name}; add it")
    return numbers([words], f"{path}, line {child.get(LINE)}")[0]


def parse_xml(path: Path) -> Element:
    """The root element of an XML file; each element's attribute `line` is where it begins, others are dropped.

    Raises:
        InputError: it cannot be read, is half, or declares a document type, whose entities could fill the memory.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        builder.start(tag, {LINE: str(parser.CurrentLineNumber)})

    def refuse(*_: object) -> None:
        raise InputError(
            f"{path}, line {parser.CurrentLineNumber}: a document type is declared, which annotations do not need; "
            "remove <!DOCTYPE ...>"
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(path.read_bytes(), True)
        return builder.close()
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}): check the path") from None
    except (expat.ExpatError, LookupError, ValueError) as error:
        line = parser.CurrentLineNumber
        raise InputError(f"{path}, line {line}: no whole XML ({error}); fetch or export it again") from None


ENTRY = DatasetEntry(
    open=open_voc,
    flags=(
        Flag("annotations", "lists of pictures (default ImageSets/Main/SPLIT.txt)", many=True),
        Flag("val_annotations", "lists to validate on (default ImageSets/Main/val.txt)", many=True, use="validation"),
        PERSON_FLAG,
    ),
    validation=validated_on_files,
)
