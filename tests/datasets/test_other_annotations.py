"""What the readers of other people's formats have in common: values worked out by hand, faults by file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from upright.datasets.annotated import AnnotatedPictures
from upright.datasets.entry import NoSplit
from upright.datasets.registry import open_dataset
from upright.errors import InputError

# By data set: a split, names, boxes, which are ignored, visible ratios, which picture each is in.
Expected = tuple[str, list[str], list[list[float]], list[bool], list[float], list[int]]
EXPECTED: dict[str, Expected] = {
    "yolo": (
        "train",
        ["images/train/a.png", "images/train/b.png"],
        [[40, 20, 20, 40], [10, 16, 30, 32]],
        [False, False],
        [1, 1],
        [0, 0],
    ),
    "voc": ("train", ["JPEGImages/a.jpg"], [[0, 0, 10, 40], [20, 10, 20, 50]], [False, True], [1, 1], [0, 0]),
    "crowdhuman": (
        "val",
        ["Images/1,a.jpg", "Images/2,b.jpg"],
        [[-10, 5, 40, 60], [50, 5, 10, 30], [70, 5, 10, 30]],
        [False, True, True],
        [0.5, 1, 1],
        [0, 0, 0],
    ),
    "motchallenge": (
        "train",
        [f"train/MOT17-02-FRCNN/img1/00000{number}.jpg" for number in (1, 2, 3)],
        [[10, 5, 10, 30], [11, 5, 10, 30], [40, 5, 10, 30]],
        [False, True, True],
        [0.2, 1, 1],
        [0, 1, 1],
    ),
    "kitti": (
        "train",
        ["training/image_2/000000.png"],
        [[10.5, 20, 20, 50], [40, 20, 10, 50], [50, 20, 10, 50], [60, 20, 10, 50]],
        [False, True, True, True],
        [1, 1, 1, 1],
        [0, 0, 0, 0],
    ),
    "eurocity": (
        "val",
        ["day/img/val/rome/x_1.png"],
        [[10, 5, 20, 60], [40, 5, 10, 60], [60, 5, 10, 60]],
        [False, True, True],
        [0.4, 1, 1],
        [0, 0, 0],
    ),
}


Layouts = dict[str, Callable[[Path], None]]


def opened(name: str, root: Path) -> AnnotatedPictures:
    data = open_dataset(name, root, EXPECTED[name][0])
    assert isinstance(data, AnnotatedPictures)
    return data


@pytest.mark.parametrize("name", EXPECTED)
def test_each_format_gives_the_values_of_its_files(name: str, tmp_path: Path, layouts: Layouts) -> None:
    _, names, boxes, ignored, ratios, index = EXPECTED[name]
    layouts[name](tmp_path)
    data = opened(name, tmp_path)
    columns = data.annotations
    assert columns.file_names == names
    assert columns.image_ids == list(range(1, len(names) + 1))
    assert columns.sizes.tolist() == [[100, 80]] * len(names)
    assert columns.boxes == pytest.approx(np.array(boxes, float), abs=1e-12)
    assert columns.ignore.tolist() == ignored
    assert columns.visible_ratio.tolist() == ratios
    assert columns.image_index.tolist() == index
    samples = [data[i] for i in range(len(data))]
    assert [len(sample.boxes) for sample in samples] == np.bincount(index, minlength=len(names)).tolist()
    assert samples[0].image.shape == (80, 100, 3)


def test_crowdhumans_visible_part_is_clipped_with_the_box(tmp_path: Path, layouts: Layouts) -> None:
    layouts["crowdhuman"](tmp_path)
    sample = opened("crowdhuman", tmp_path)[0]
    assert sample.boxes[0].tolist() == [0, 5, 30, 65]
    assert sample.visible[0].tolist() == [0, 5, 20, 65]


@pytest.mark.parametrize(
    ("name", "split"), [("yolo", "test"), ("voc", "test"), ("crowdhuman", "train"), ("eurocity", "train")]
)
def test_a_split_that_is_not_there_is_told_apart_from_other_faults(
    name: str, split: str, tmp_path: Path, layouts: Layouts
) -> None:
    layouts[name](tmp_path)
    with pytest.raises(NoSplit):
        open_dataset(name, tmp_path, split)


def replaced(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        file = root / path
        content = file.read_text()
        assert old in content
        file.write_text(content.replace(old, new, 1))

    return change


def removed(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


LABEL, XML, ODGT = "labels/train/a.txt", "Annotations/a.xml", "annotation_val.odgt"
MOT = "train/MOT17-02-FRCNN"
KITTI, ECP = "training/label_2/000000.txt", "day/labels/val/rome/x_1.json"


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("yolo", replaced(LABEL, "0 0.5", "7 0.5"), r"a\.txt, line 2: there is no class 7"),
        ("yolo", replaced(LABEL, "0.2 0.5", "nan 0.5"), r"a\.txt, line 1: 'nan' is no finite number"),
        ("yolo", replaced(LABEL, "0.2 0.5", "-0.2 0.5"), r"a\.txt, line 1: the box is -0\.2 wide"),
        ("yolo", replaced(LABEL, "1 0.5 0.5", "1 50 50"), r"a\.txt, line 1: 50 is no share"),
        ("yolo", replaced(LABEL, "0.2 0.5\n", "0.2 0.5 0.9\n"), r"a\.txt, line 1: 6 columns"),
        ("yolo", replaced(LABEL, "1 0.5", "x 0.5"), r"a\.txt, line 1: 'x' is no number"),
        ("yolo", replaced("data.yaml", "Person", "dog"), r"data\.yaml has the classes car, dog, none is a person"),
        ("yolo", replaced("data.yaml", "names:", "names: ["), r"data\.yaml, line \d+: no YAML"),
        ("yolo", replaced("data.yaml", "images/train", "images/none"), r"data\.yaml names images/none"),
        ("yolo", removed("images/train/b.png"), r"b\.txt has no picture"),
        ("voc", replaced(XML, "</annotation>", ""), r"a\.xml, line \d+: no whole XML"),
        (
            "voc",
            replaced(XML, "<annotation>", '<!DOCTYPE a [<!ENTITY b "c">]><annotation>'),
            r"line 1: a document type",
        ),
        ("voc", replaced(XML, "<xmax>10<", "<xmax>nan<"), r"a\.xml, line 4: 'nan' is no finite"),
        ("voc", replaced(XML, "<xmax>10<", "<xmax>-10<"), r"a\.xml, line 4: the box at 0, 0 is -10 wide"),
        ("voc", replaced(XML, "<xmin>1</xmin><ymin>", "<ymin>"), r"a\.xml, line 4: <bndbox> has no xmin"),
        ("voc", replaced(XML, "<width>100<", "<width>1e300<"), r"a\.xml, line 3: 1e\+300 x 80 is no size"),
        ("voc", removed("JPEGImages/a.jpg"), r"a\.jpg is missing"),
        ("voc", removed(XML), r"train\.txt, line 1: there is no"),
        ("crowdhuman", replaced(ODGT, '"gtboxes"', "gtboxes"), r"odgt, line 1: no JSON"),
        ("crowdhuman", replaced(ODGT, "[-10, 5", "[NaN, 5"), r"odgt, line 1: a number of the box is not finite"),
        ("crowdhuman", replaced(ODGT, "40, 60]", "40, -60]"), r"odgt, line 1: the box at .* -60 high"),
        ("crowdhuman", replaced(ODGT, "40, 60]", "40]"), r"odgt, line 1: a fbox is not four numbers"),
        ("crowdhuman", replaced(ODGT, '"mask"', '"dog"'), r"odgt, line 1: an entry of gtboxes has a tag other"),
        ("crowdhuman", removed("Images/2,b.jpg"), r"2,b\.jpg is missing"),
        ("motchallenge", replaced(f"{MOT}/gt/gt.txt", "2,1,12", "9,1,12"), r"gt\.txt, line 2: frame 9 is not one of 1"),
        ("motchallenge", replaced(f"{MOT}/gt/gt.txt", "10,30,1", "10,x,1"), r"gt\.txt, line 1: 'x' is no finite"),
        ("motchallenge", replaced(f"{MOT}/gt/gt.txt", "10,30,1", "10,-3,1"), r"gt\.txt, line 1: the box .* -3 high"),
        ("motchallenge", replaced(f"{MOT}/gt/gt.txt", "1,1,0.2", "1"), r"gt\.txt, line 1: 7 columns"),
        ("motchallenge", replaced(f"{MOT}/gt/gt.txt", ",1,12,1", ",1,99,1"), r"gt\.txt, line 3: 99 is no class"),
        ("motchallenge", replaced(f"{MOT}/seqinfo.ini", "seqLength=3", ""), r"seqinfo\.ini needs \[Sequence\]"),
        (
            "motchallenge",
            replaced(f"{MOT}/seqinfo.ini", "seqLength=3", "seqLength=999999999"),
            r"000004\.jpg is missing",
        ),
        ("motchallenge", removed(f"{MOT}/gt/gt.txt"), "has no gt/gt.txt"),
        # Names that no file can have.
        ("motchallenge", replaced(f"{MOT}/seqinfo.ini", "img1", "9" * 300), r"9/000001\.jpg is missing"),
        ("crowdhuman", replaced(ODGT, "2,b", "9" * 300), r"9\.jpg is missing"),
        ("voc", replaced("ImageSets/Main/train.txt", "a", "9" * 300), r"train\.txt, line 1: there is no"),
        ("yolo", replaced("data.yaml", "images/train", "x" * 300), r"data\.yaml names x+, which is not there"),
        ("kitti", replaced(KITTI, "Cyclist", "Unicorn"), r"000000\.txt, line 5: 'Unicorn' is no class"),
        ("kitti", replaced(KITTI, "30.5", "inf"), r"000000\.txt, line 1: 'inf' is no finite"),
        ("kitti", replaced(KITTI, "30.5", "3.5"), r"000000\.txt, line 1: the box at 10\.5, 20 is -7 wide"),
        ("kitti", replaced(KITTI, "30.5", ""), r"000000\.txt, line 1: 14 columns"),
        ("kitti", removed("training/image_2/000000.png"), r"000000\.jpg is missing"),
        ("eurocity", replaced(ECP, '"x1": 30', '"x1": NaN'), r"x_1\.json, child 1: x1 is no finite"),
        ("eurocity", replaced(ECP, '"x1": 30', '"x1": 3'), r"x_1\.json, child 1: the box at 10, 5 is -7 wide"),
        ("eurocity", replaced(ECP, "children", "child"), r"x_1\.json has no 'children'"),
        ("eurocity", replaced(ECP, '"imagewidth"', "imagewidth"), r"x_1\.json is no JSON"),
        ("eurocity", removed("day/img/val/rome/x_1.png"), r"x_1\.jpg is missing"),
    ],
)
def test_a_fault_is_one_line_that_names_file_and_line(
    name: str, change: Callable[[Path], None], words: str, tmp_path: Path, layouts: Layouts
) -> None:
    layouts[name](tmp_path)
    change(tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        opened(name, tmp_path)
    assert "\n" not in str(caught.value)


FILES = {
    "yolo": LABEL,
    "voc": XML,
    "crowdhuman": ODGT,
    "motchallenge": f"{MOT}/gt/gt.txt",
    "kitti": KITTI,
    "eurocity": ECP,
}


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), piece=st.binary(max_size=12), taken=st.integers(0, 40))
def test_a_damaged_file_is_read_or_refused(
    name: str, place: float, piece: bytes, taken: int, tmp_path_factory: pytest.TempPathFactory, layouts: Layouts
) -> None:
    root = tmp_path_factory.mktemp("damaged")
    layouts[name](root)
    file = root / FILES[name]
    whole = file.read_bytes()
    start = int(place * len(whole))
    file.write_bytes(whole[:start] + piece + whole[start + taken :])
    message = None
    try:
        boxes = opened(name, root).annotations.boxes
    except InputError as error:
        message, boxes = str(error), np.zeros((0, 4))
    assert message is None or str(root) in message
    assert np.isfinite(boxes).all()
