"""What is special to each of the formats that other people's annotations come in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from upright.datasets.entry import NoSplit
from upright.datasets.registry import open_dataset
from upright.errors import InputError

Layouts = dict[str, Callable[[Path], None]]
MOT = "train/MOT17-02-FRCNN"


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def replace(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def test_a_yolo_folder_needs_no_yaml_but_a_number_for_the_person(layouts: Layouts, tmp_path: Path) -> None:
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), np.zeros((80, 100, 3), np.uint8))
    text(tmp_path / "a.txt", "3 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(InputError, match=r"\(0, 3\).*--person NUMBER"):
        open_dataset("yolo", tmp_path, "train")
    data = open_dataset("yolo", tmp_path, "train", person="3")
    assert data.unsplit
    assert data.annotations.boxes.tolist() == [[25, 20, 50, 40]]
    text(tmp_path / "classes.txt", "person\nx\ny\nman\n")
    assert open_dataset("yolo", tmp_path, "train").annotations.boxes == pytest.approx(np.array([[45, 36, 10, 8]]))
    assert len(open_dataset("yolo", tmp_path, "train", person="MAN").annotations.boxes) == 1


def test_a_yolo_picture_without_labels_is_counted_and_one_without_any_refused(
    layouts: Layouts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layouts["yolo"](tmp_path)
    (tmp_path / "labels/train/b.txt").unlink()
    assert len(open_dataset("yolo", tmp_path, "train")) == 2
    assert "warning: 1 pictures have no file of labels" in capsys.readouterr().err
    (tmp_path / "labels/train/a.txt").unlink()
    with pytest.raises(InputError, match=r"no picture in .* has labels"):
        open_dataset("yolo", tmp_path, "train")


def test_yolo_joints_stand_behind_the_box_where_kpt_shape_says_so(layouts: Layouts, tmp_path: Path) -> None:
    layouts["yolo"](tmp_path)
    replace(tmp_path / "data.yaml", "names:", "kpt_shape: [2, 3]\nnames:")
    text(tmp_path / "labels/val/c.txt", "1 0.25 0.5 0.1 0.5 0.2 0.4 2 0.3 0.6 1\n")
    assert open_dataset("yolo", tmp_path, "val").annotations.boxes == pytest.approx(np.array([[20, 20, 10, 40]]))


def test_a_turned_photo_is_measured_as_it_is_read(layouts: Layouts, tmp_path: Path) -> None:
    from PIL import Image

    layouts["yolo"](tmp_path)
    (tmp_path / "images/val/c.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 80)).save(tmp_path / "images/val/c.jpg", exif=exif)
    data = open_dataset("yolo", tmp_path, "val")
    assert data.annotations.sizes.tolist() == [[80, 100]]
    assert data[0].image.shape == (100, 80, 3)


def test_voc_takes_the_persons_name_from_the_flag(layouts: Layouts, tmp_path: Path) -> None:
    layouts["voc"](tmp_path)
    assert open_dataset("voc", tmp_path, "train", person="Dog").annotations.boxes.tolist() == [[49, 49, 11, 11]]
    with pytest.raises(InputError, match="dog, person, none is called 'cat'"):
        open_dataset("voc", tmp_path, "train", person="cat")


def test_voc_pictures_and_annotations_may_share_a_folder(layouts: Layouts, tmp_path: Path) -> None:
    layouts["voc"](tmp_path / "whole")
    for file in ("JPEGImages/a.jpg", "Annotations/a.xml"):
        (tmp_path / "whole" / file).rename(tmp_path / Path(file).name)
    data = open_dataset("voc", tmp_path, "train")
    assert (data.unsplit, data.annotations.file_names) == (True, ["a.jpg"])


def test_mot_sequences_of_the_same_pictures_are_read_once(
    layouts: Layouts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layouts["motchallenge"](tmp_path)
    (tmp_path / MOT).rename(tmp_path / "train/MOT17-02-DPM")
    layouts["motchallenge"](tmp_path)
    assert len(open_dataset("motchallenge", tmp_path, "train")) == 3
    assert "1 sequences" in capsys.readouterr().err
    assert len(open_dataset("motchallenge", tmp_path, "train", annotations=["MOT17-02-DPM", "MOT17-02-FRCNN"])) == 6


def test_mot_of_2015_has_no_classes(layouts: Layouts, tmp_path: Path) -> None:
    layouts["motchallenge"](tmp_path)
    text(tmp_path / MOT / "gt/gt.txt", "1,1,11,6,10,30,1,-1,-1,-1\n1,2,31,6,10,30,0,17.5,3.1,0\n")
    columns = open_dataset("motchallenge", tmp_path, "train").annotations
    assert (columns.ignore.tolist(), columns.visible_ratio.tolist()) == ([False, True], [1, 1])


def test_a_box_wholly_outside_is_left_out_and_said(
    layouts: Layouts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layouts["kitti"](tmp_path)
    replace(tmp_path / "training/label_2/000000.txt", "10.5 20.0 30.5", "110.5 20.0 130.5")
    assert len(open_dataset("kitti", tmp_path, "train").annotations.boxes) == 3
    assert "000000.txt, line 1" in capsys.readouterr().err


def test_kittis_lists_split_it(layouts: Layouts, tmp_path: Path) -> None:
    layouts["kitti"](tmp_path)
    assert open_dataset("kitti", tmp_path, "val").unsplit
    text(tmp_path / "ImageSets/val.txt", "000000\n")
    assert not open_dataset("kitti", tmp_path, "val").unsplit
    with pytest.raises(NoSplit):
        open_dataset("kitti", tmp_path, "train")


def test_backslashes_in_a_yaml_and_in_its_lists_are_slashes(layouts: Layouts, tmp_path: Path) -> None:
    layouts["yolo"](tmp_path)
    plain = open_dataset("yolo", tmp_path, "train").annotations
    replace(tmp_path / "data.yaml", "images/train", r"images\train")
    assert open_dataset("yolo", tmp_path, "train").annotations.file_names == plain.file_names
    replace(tmp_path / "data.yaml", r"images\train", r"..\list.txt")
    text(tmp_path / "list.txt", "images\\train\\a.png\r\nimages\\train\\b.png\r\n")
    assert open_dataset("yolo", tmp_path, "train").annotations.file_names == plain.file_names
