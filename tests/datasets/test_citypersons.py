"""CityPersons as it lies on the disk: both forms of annotations, small folders and the real files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from upright.datasets.citypersons import CityPersons, write_citypersons
from upright.datasets.synthetic import SyntheticPedestrians
from upright.errors import InputError

SHARED = Path(__file__).parents[2] / "../shared/data/citypersons"
needs_files = pytest.mark.skipif(not SHARED.exists(), reason=f"{SHARED} is missing")

ROWS = [
    [1, 10, 5, 20, 60, 24000, 12, 5, 10, 60],
    [0, 1, 1, 8, 8, 0, 1, 1, 8, 8],
    [2, 30, 5, 20, 40, 25000, 30, 5, 20, 20],
    [3, 40, 5, 9, 9, 24001, 40, 5, 9, 9],
    [4, 50, 5, 9, 9, 24002, 50, 5, 9, 9],
    [5, 60, 5, 30, 30, 24, 0, 0, 0, 0],
]
NAMES = ["a_000000_000001_leftImg8bit.png", "a_000000_000002_leftImg8bit.png", "b_000000_000001_leftImg8bit.png"]


def mat(path, pictures, key="anno_val_aligned"):
    """`pictures`: city, name, rows."""
    cells = np.empty((1, len(pictures)), dtype=object)
    for i, (city, name, rows) in enumerate(pictures):
        cells[0, i] = {"cityname": city, "im_name": name, "bbs": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {key: cells})


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "citypersons"
    empty = np.zeros((0, 10), np.uint8)
    left = np.array([[1, -8, 4, 40, 70, 24000, 0, 4, 32, 70]], np.int16)
    mat(
        folder / "anno_val.mat",
        [("a", NAMES[0], np.array(ROWS, np.uint16)), ("a", NAMES[1], empty), ("b", NAMES[2], left)],
    )
    for i, name in enumerate(NAMES):
        path = folder / "leftImg8bit/val" / name[0] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((90, 120, 3), (30 * i, 100, 200), np.uint8))
    return folder


def as_json(root, folder):
    """The same annotations in the later distribution."""
    labels = ["ignore", "pedestrian", "rider", "sitting person", "person (other)", "person group"]
    left = [[1, -8, 4, 40, 70, 24000, 0, 4, 32, 70]]
    for name, rows in zip(NAMES, (ROWS, [], left), strict=True):
        objects = [
            {"label": labels[row[0]], "bbox": row[1:5], "instanceId": row[5], "bboxVis": row[6:10]} for row in rows
        ]
        path = folder / "gtBboxCityPersons/val" / name[0] / name.replace("leftImg8bit.png", "gtBboxCityPersons.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"imgWidth": 120, "imgHeight": 90, "objects": objects}))
    (root / "anno_val.mat").unlink()


@pytest.mark.parametrize("form", ["mat", "json"])
def test_annotations_keep_the_numbers_of_the_file(root, form):
    if form == "json":
        as_json(root, root)
    a = CityPersons(root, "val").annotations
    assert a.image_ids == [1, 2, 3]
    assert a.file_names == NAMES
    assert a.image_index.tolist() == [0] * 6 + [2]
    assert a.boxes[[0, 6]].tolist() == [[10, 5, 20, 60], [-8, 4, 40, 70]]
    assert a.visible[0].tolist() == [12, 5, 10, 60]
    assert a.ignore.tolist() == [False, True, True, True, True, True, False]
    assert a.height.tolist() == [60, 8, 40, 9, 9, 30, 70]
    assert a.visible_ratio.tolist() == [0.5, 1, 0.5, 1, 1, 0, 0.8]
    assert a.category.tolist() == [1] * 7
    assert a.attributes["class"].tolist()[1:3] == ["ignore", "rider"]
    assert a.sizes.tolist() == [[120, 90] if form == "json" else [0, 0]] * 3


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.float64])
def test_unsigned_numbers_do_not_wrap(tmp_path, kind):
    rows = np.array([[1, 200, 100, 100, 250, 0, 250, 200, 50, 125]]).astype(kind)
    mat(tmp_path / "anno_val.mat", [("a", NAMES[0], rows)])
    a = CityPersons(tmp_path, "val").annotations
    assert (a.boxes[0, :2] + a.boxes[0, 2:]).tolist() == [300, 350]
    assert a.visible_ratio.tolist() == [0.25]


def test_riders_count_only_where_asked_for(root):
    assert CityPersons(root, "val", riders=True).annotations.ignore.tolist() == [False, True, False] + [True] * 3 + [
        False
    ]


def test_samples_have_the_picture_and_clipped_boxes(root):
    dataset = CityPersons(root, "val")
    first, second, third = (dataset[i] for i in range(3))
    assert np.array_equal(third.image[0, 0], [200, 100, 60])
    assert (third.id, third.path) == (3, str(root / "leftImg8bit/val/b" / NAMES[2]))
    assert first.boxes[0].tolist() == [10, 5, 30, 65]
    assert first.visible[0].tolist() == [12, 5, 22, 65]
    assert first.visible[5].tolist() == first.boxes[5].tolist()  # a group has no visible box
    assert first.ignore.tolist() == [False] + [True] * 5
    assert second.boxes.shape == second.visible.shape == (0, 4)
    assert third.boxes.tolist() == [[0, 4, 32, 74]]
    assert third.visible_ratio.dtype == np.float32


def test_annotations_are_found_where_the_option_says(root, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / "anno_val.mat").rename(elsewhere / "anno_val.mat")
    for given in (elsewhere, elsewhere / "anno_val.mat", "../elsewhere"):
        assert len(CityPersons(root, "val", annotations=given)) == 3
    (elsewhere / "anno_val.mat").rename(root / "anno_val.mat")
    as_json(root, elsewhere)
    for given in (elsewhere, elsewhere / "gtBboxCityPersons"):
        assert len(CityPersons(root, "val", annotations=given)) == 3


def test_annotations_without_pictures_serve_and_say_what_is_missing(root):
    dataset_root = root / "leftImg8bit"
    for path in sorted(dataset_root.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    dataset = CityPersons(root, "val")
    assert len(dataset.annotations.boxes) == 7
    with pytest.raises(InputError, match=r"annotations of a_000000_000001.* is missing"):
        dataset[0]


def test_pictures_without_annotations_say_what_is_missing(root):
    (root / "anno_val.mat").unlink()
    with pytest.raises(InputError, match=r"has pictures but no annotations: anno_val\.mat or gtBboxCityPersons/val"):
        CityPersons(root, "val")
    with pytest.raises(InputError, match="has no annotations of CityPersons"):
        CityPersons(root, "train")


def test_foreign_files_give_one_clear_line(root):
    path = root / "anno_val.mat"
    good = [("a", NAMES[0], np.array(ROWS))]
    whole = path.read_bytes()
    for content in (b"", b"hello", bytes(3000), whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"anno_val\.mat is not a MATLAB file") as error:
            CityPersons(root, "val")
        assert "\n" not in str(error.value)
    mat(path, good, key="anno_train_aligned")
    with pytest.raises(InputError, match="holds anno_train_aligned, not anno_val_aligned"):
        CityPersons(root, "val")
    savemat(path, {"anno_val_aligned": np.zeros((1, 3))})
    with pytest.raises(InputError, match="picture 1: no cityname"):
        CityPersons(root, "val")
    mat(path, [*good, ("a", NAMES[1], np.ones((2, 5)))])
    with pytest.raises(InputError, match="picture 2: a row of bbs has not 10"):
        CityPersons(root, "val")
    mat(path, [("a", NAMES[0], np.array([ROWS[0], [7, *ROWS[0][1:]]]))])
    with pytest.raises(InputError, match="row 2 has no class"):
        CityPersons(root, "val")
    mat(path, [("a", NAMES[0], np.array([[1, 5, 5, 0, 9, 0, 0, 0, 0, 0]]))])
    with pytest.raises(InputError, match="row 1 has no class from 0 to 5 or no area"):
        CityPersons(root, "val")
    with pytest.raises(InputError, match="no split 'test'"):
        CityPersons(root, "test")
    with pytest.raises(InputError, match="neither in"):
        CityPersons(root, "val", annotations="nowhere.mat")


@pytest.mark.parametrize(
    "content",
    [
        *("", "{}", "[]"),
        '{"imgWidth": 1, "imgHeight": 1, "objects": [{"label": "horse", "bbox": [], "bboxVis": []}]}',
        '{"imgWidth": 1000000000000000000000000000000, "imgHeight": 1, "objects": []}',
        '{"imgWidth": -1, "imgHeight": 1, "objects": []}',
    ],
)
def test_foreign_json_gives_one_clear_line(root, content):
    as_json(root, root)
    path = root / "gtBboxCityPersons/val/a/a_000000_000002_gtBboxCityPersons.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"a_000000_000002.* is not an annotation file of CityPersons") as error:
        CityPersons(root, "val")
    assert "\n" not in str(error.value)


def test_what_is_written_is_read_from_both_forms(tmp_path):
    pictures = SyntheticPedestrians("val", length=3, size=(160, 120), seed=1)
    write_citypersons(pictures, tmp_path, "val")
    first = CityPersons(tmp_path, "val")
    (tmp_path / "anno_val.mat").rename(tmp_path / "away.mat")
    second = CityPersons(tmp_path, "val")
    for i in range(3):
        for found in (first[i], second[i]):
            assert np.array_equal(found.image, pictures[i].image)
            assert np.abs(found.boxes - pictures[i].boxes).max() <= 0.5
            assert np.array_equal(found.ignore, pictures[i].ignore)
            assert np.allclose(found.visible_ratio[~found.ignore], pictures[i].visible_ratio[~found.ignore], atol=0.2)
    for name in ("boxes", "visible", "visible_ratio", "ignore", "image_index"):
        assert np.array_equal(getattr(first.annotations, name), getattr(second.annotations, name)), name
    with pytest.raises(InputError, match="no split 'test'"):
        write_citypersons(pictures, tmp_path, "test")


@needs_files
def test_val_equals_the_ground_truth_of_the_official_evaluation():
    truth = json.loads((SHARED / "val_gt.json").read_text())
    a, rows = CityPersons(SHARED, "val").annotations, truth["annotations"]
    assert a.image_ids == [image["id"] for image in truth["images"]] == list(range(1, 501))
    assert a.file_names == [image["im_name"] for image in truth["images"]]
    assert [a.image_ids[i] for i in a.image_index] == [row["image_id"] for row in rows]
    for name, key in {
        "boxes": "bbox",
        "visible": "vis_bbox",
        "height": "height",
        "visible_ratio": "vis_ratio",
        "ignore": "ignore",
        "category": "category_id",
    }.items():
        assert np.array_equal(getattr(a, name), np.array([row[key] for row in rows])), name


@needs_files
def test_train_has_the_counts_of_the_published_file():
    a = CityPersons(SHARED, "train").annotations
    assert (len(a.image_ids), len(a.boxes), int((~a.ignore).sum())) == (2975, 27770, 16526)
    assert len(a.image_ids) - len(np.unique(a.image_index[~a.ignore])) == 672
    assert int((a.visible[:, 2:] == 0).all(axis=1).sum()) == 1347
    assert np.isfinite(a.visible_ratio).all()
