"""Small data sets of several formats, for the tests of their readers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

WIDTH, HEIGHT = 100, 80


def picture(path: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def yolo(root: Path) -> None:
    """Two pictures to train on, one to validate on; class 1 is a person."""
    for name in ("train/a", "train/b", "val/c"):
        picture(root / "images" / f"{name}.png")
    text(root / "data.yaml", "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: car\n  1: Person\n")
    text(root / "labels/train/a.txt", "1 0.5 0.5 0.2 0.5\n0 0.5 0.5 0.1 0.1\n1 0.1 0.2 0.4 0.2 0.4 0.6 0.1 0.6\n")
    text(root / "labels/train/b.txt", "")
    text(root / "labels/val/c.txt", "1 0.25 0.5 0.1 0.5\n")


def voc(root: Path) -> None:
    """A person in the corner, a difficult one, a dog; and a picture of no objects."""
    objects = "".join(
        f"<object><name>{name}</name>{more}<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax>"
        f"<ymax>{y2}</ymax></bndbox></object>\n"
        for name, more, x1, y1, x2, y2 in (
            ("person", "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>", 1, 1, 10, 40),
            ("person", "<difficult>1</difficult>", 21, 11, 40, 60),
            ("dog", "", 50, 50, 60, 60),
        )
    )
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    for name, content in (("a", objects), ("b", "")):
        picture(root / "JPEGImages" / f"{name}.jpg")
        text(
            root / "Annotations" / f"{name}.xml",
            f"<annotation>\n<filename>{name}.jpg</filename>\n{size}\n{content}</annotation>",
        )
    text(root / "ImageSets/Main/train.txt", "a\n")
    text(root / "ImageSets/Main/val.txt", "a 1\nb -1\n")


def crowdhuman(root: Path) -> None:
    """Somebody half seen, a mask, and somebody to be ignored."""
    for name in ("1,a", "2,b"):
        picture(root / "Images" / f"{name}.jpg")
    person = {"tag": "person", "fbox": [-10, 5, 40, 60], "vbox": [0, 5, 20, 60], "extra": {"occ": 1}}
    mask = {"tag": "mask", "fbox": [50, 5, 10, 30], "vbox": [50, 5, 10, 30], "extra": {"ignore": 1}}
    ignored = {"tag": "person", "fbox": [70, 5, 10, 30], "vbox": [70, 5, 10, 30], "extra": {"ignore": 1}}
    rows = [{"ID": "1,a", "gtboxes": [person, mask, ignored]}, {"ID": "2,b", "gtboxes": []}]
    text(root / "annotation_val.odgt", "".join(json.dumps(row) + "\n" for row in rows))


def motchallenge(root: Path) -> None:
    """Three frames: a pedestrian at a fifth, one who does not count and a reflection, then a car; nobody last."""
    folder = root / "train" / "MOT17-02-FRCNN"
    text(
        folder / "seqinfo.ini",
        f"[Sequence]\nname=MOT17-02-FRCNN\nimDir=img1\nseqLength=3\nimWidth={WIDTH}\nimHeight={HEIGHT}\nimExt=.jpg\n",
    )
    for number in (1, 2, 3):
        picture(folder / "img1" / f"{number:06d}.jpg")
    text(
        folder / "gt/gt.txt",
        "1,1,11,6,10,30,1,1,0.2\n2,1,12,6,10,30,0,1,1\n2,2,41,6,10,30,1,12,1\n2,3,61,6,30,30,1,3,1\n",
    )


def kitti(root: Path) -> None:
    """A pedestrian, one whose occlusion is unknown, somebody sitting, what nobody cares for, a cyclist."""
    picture(root / "training/image_2/000000.png")
    rest = "1.7 0.5 0.6 1 2 9 0.1"
    text(
        root / "training/label_2/000000.txt",
        f"Pedestrian 0.00 1 0.1 10.5 20.0 30.5 70.0 {rest}\n"
        f"Pedestrian 0.00 3 0.1 40 20 50 70 {rest}\n"
        f"Person_sitting 0.00 0 0.1 50 20 60 70 {rest}\n"
        f"DontCare -1 -1 -10 60 20 70 70 -1 -1 -1 -1000 -1000 -1000 -10\n"
        f"Cyclist 0.00 0 0.1 70 20 80 70 {rest}\n",
    )


def eurocity(root: Path) -> None:
    """A pedestrian half hidden, a rider on a bicycle, a depiction, and a group of bicycles."""
    picture(root / "day/img/val/rome/x_1.png")
    children = [
        {"identity": "pedestrian", "x0": 10, "y0": 5, "x1": 30, "y1": 65, "tags": ["occluded>40", "truncated>10"]},
        {"identity": "rider", "x0": 40, "y0": 5, "x1": 50, "y1": 65, "tags": [], "children": [{"identity": "bicycle"}]},
        {"identity": "pedestrian", "x0": 60, "y0": 5, "x1": 70, "y1": 65, "tags": ["depiction"]},
        {"identity": "bicycle-group", "x0": 80, "y0": 5, "x1": 90, "y1": 65},
    ]
    content = {"imagewidth": WIDTH, "imageheight": HEIGHT, "identity": "frame", "children": children}
    text(root / "day/labels/val/rome/x_1.json", json.dumps(content))


@pytest.fixture(scope="session")
def layouts() -> dict[str, Callable[[Path], None]]:
    """What makes each data set in a folder, by its name; all pictures are 100 x 80."""
    return {
        "yolo": yolo,
        "voc": voc,
        "crowdhuman": crowdhuman,
        "motchallenge": motchallenge,
        "kitti": kitti,
        "eurocity": eurocity,
    }
