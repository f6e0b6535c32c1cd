"""Files of detections: what is read, what is refused, and that nothing is lost on the way."""

import json

import numpy as np
import pytest

from upright.datasets.sample import Annotations
from upright.detector.evaluation import Detections, read_detections, write_detections
from upright.detector.evaluation.caltech_results import caltech_frames, write_caltech_detections
from upright.errors import InputError


def pictures(ids, names=None):
    return Annotations(
        image_ids=list(ids),
        file_names=list(names or [f"{image_id}.png" for image_id in ids]),
        sizes=np.tile(np.array([[640, 480]]), (len(ids), 1)),
        image_index=np.zeros(0, np.int64),
        boxes=np.zeros((0, 4)),
        visible=np.zeros((0, 4)),
        ignore=np.zeros(0, bool),
        height=np.zeros(0),
        visible_ratio=np.zeros(0),
        category=np.zeros(0, np.int64),
    )


def result(image_id=7, bbox=(1, 2, 3.5, 4), score=0.5, category_id=1):
    return {"image_id": image_id, "category_id": category_id, "bbox": list(bbox), "score": score}


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


CALTECH = pictures(["set06_V000_I00029", "set06_V000_I00059", "set07_V001_I00029"])
TENTHS = 0.1 + 0.2  # 0.30000000000000004


def test_reads_a_bare_list_and_the_project_s_object_alike(tmp_path):
    results = [result(9), result(7, score=TENTHS), result(9, bbox=(0, 0, 1, 1))]
    for content in (results, {"images": [], "detections": results, "settings": {}}):
        found = read_detections(write(tmp_path / "d.json", content), pictures([7, 9]))
        assert found.image_index.tolist() == [1, 0, 1]
        assert found.scores.tolist() == [0.5, TENTHS, 0.5]
        assert found.boxes.tolist() == [[1, 2, 3.5, 4], [1, 2, 3.5, 4], [0, 0, 1, 1]]
        assert (found.image_index.dtype, found.boxes.dtype, found.scores.dtype) == (np.int64, np.float64, np.float64)


def test_other_categories_are_passed_over(tmp_path):
    path = write(tmp_path / "d.json", [result(category_id=2), result(score=0.25), result(category_id=18)])
    assert read_detections(path, pictures([7])).scores.tolist() == [0.25]


def test_an_empty_list_is_no_error(tmp_path):
    for content in ([], {"detections": []}):
        found = read_detections(write(tmp_path / "d.json", content), pictures([7]))
        assert len(found) == 0
        assert found.boxes.shape == (0, 4)


def test_pictures_may_have_names_as_ids(tmp_path):
    found = read_detections(write(tmp_path / "d.json", [result("set07_V001_I00029")]), CALTECH)
    assert found.image_index.tolist() == [2]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "is empty"),
        ('[{"image_id": 7', "is not valid JSON"),
        ("3", "are not a list"),
        ({"images": [], "annotations": []}, "looks like ground truth"),
        ({"results": []}, "holds no detections"),
        ([3], "detection 0 is not an object"),
        ([result(), {"image_id": 7}], "detection 1 has no category_id"),
        ([result(), result(8)], "detection 1 has image_id 8, which is not a picture"),
        ([result("7")], 'has image_id "7"'),
        ([result([7])], r"has image_id \[7\]"),
        ([result(None)], "has image_id null"),
        ([result(score=float("nan"))], "has score NaN"),
        ([result(score=float("inf"))], "has score Infinity"),
        ([result(score="0.5")], 'has score "0.5"'),
        ([result(score=None)], "has score null"),
        ([result(score=True)], "has score true"),
        ([result(category_id=None)], "has category_id null"),
        ([result(), result(bbox=(1, 2, 3))], r"detection 1 has bbox \[1, 2, 3\], which is not"),
        ([result(bbox=(1, 2, 3, 4, 5))], "which is not"),
        ([result(bbox=(1, float("nan"), 3, 4))], "which is not"),
        ([result(bbox=("1", 2, 3, 4))], "which is not"),
        ([result() | {"bbox": 5}], "has bbox 5"),
        ([result(bbox=(9, 9, -3, 4))], "of negative size"),
    ],
)
def test_a_faulty_file_is_named_with_its_first_fault_in_one_line(tmp_path, content, fault):
    path = write(tmp_path / "d.json", content)
    with pytest.raises(InputError, match=fault) as error:
        read_detections(path, pictures([7]))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_or_binary_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.json: no such file"):
        read_detections(tmp_path / "nowhere.json", pictures([7]))
    (tmp_path / "d.json").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InputError, match="cannot be read"):
        read_detections(tmp_path / "d.json", pictures([7]))


def random_detections(count, images):
    rng = np.random.default_rng(4)
    return Detections(rng.integers(0, images, count), rng.uniform(0, 300, (count, 4)), rng.random(count))


def assert_equal(found, expected):
    assert found.image_index.tolist() == expected.image_index.tolist()
    assert found.boxes.tolist() == expected.boxes.tolist()
    assert found.scores.tolist() == expected.scores.tolist()


def test_what_is_written_comes_back_to_the_last_bit(tmp_path):
    found = random_detections(50, 3)
    path = tmp_path / "new/folder/d.json"
    write_detections(path, CALTECH, found, {"weights": "w.safetensors"})
    assert_equal(read_detections(path, CALTECH), found)
    content = json.loads(path.read_text())
    assert content["settings"] == {"weights": "w.safetensors"}
    assert content["images"][0] == {
        "id": "set06_V000_I00029", "file_name": "set06_V000_I00029.png", "width": 640, "height": 480,
    }  # fmt: skip
    assert len(content["images"]) == 3
    assert [entry.name for entry in path.parent.iterdir()] == ["d.json"]


def test_caltech_s_layout_comes_back_to_the_last_bit(tmp_path):
    found = random_detections(50, 3)
    in_order = np.argsort(found.image_index, kind="stable")
    found = Detections(found.image_index[in_order], found.boxes[in_order], found.scores[in_order])
    write_caltech_detections(tmp_path / "res", CALTECH, found)
    assert_equal(read_detections(tmp_path / "res", CALTECH), found)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.txt")) == [
        "res/set06/V000.txt",
        "res/set07/V001.txt",
    ]
    assert (tmp_path / "res/set06/V000.txt").read_text().startswith("30,")


def test_a_video_without_detections_is_written_empty_over_an_older_file(tmp_path):
    write_caltech_detections(tmp_path, CALTECH, random_detections(50, 3))
    write_caltech_detections(tmp_path, CALTECH, random_detections(0, 3))
    assert [path.read_text() for path in tmp_path.rglob("*.txt")] == ["", ""]


def caltech_folder(tmp_path, rows):
    for name, content in (("set06/V000.txt", rows), ("set07/V001.txt", "")):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_rows_come_apart_by_commas_or_spaces_and_other_frames_are_passed_over(tmp_path):
    rows = "\ufeff30,1,2,3,4,0.5\n31,1,2,3,4,0.9\n\n60 5.5 6 7 8 -1.25\n 30, 9, 9, 9, 9, 1e-3\r\n90\t1\t2\t3\t4\t5\n"
    found = read_detections(caltech_folder(tmp_path, rows), CALTECH)
    assert found.image_index.tolist() == [0, 1, 0]
    assert found.boxes.tolist() == [[1, 2, 3, 4], [5.5, 6, 7, 8], [9, 9, 9, 9]]
    assert found.scores.tolist() == [0.5, -1.25, 0.001]


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("30,1,2,3,4\n", "line 1 is not six numbers"),
        ("30;1,5;2;3;4;5\n", r"line 1 is not six numbers .*: '30;1,5;2;3;4;5'"),  # as it stands in the file
        ("30,1,2,3,4,5\n30,1,2,3,4,5,6\n", "line 2 is not six numbers"),
        ("30,1,2,3\n4,5,30,1,2,3,4,5\n", "line 1 is not six numbers"),
        ("30,1,2,3,4,high\n", "line 1 is not six numbers"),
        ("30,1,2,3,4,nan\n", "line 1 is not six numbers"),
        ("0,1,2,3,4,5\n", "line 1 has frame 0; frames are whole numbers, counted from 1"),
        ("30,1,2,3,4,5\n-30,1,2,3,4,5\n", "line 2 has frame -30"),
        ("30.5,1,2,3,4,5\n", "line 1 has frame 30.5"),
        ("30,1,2,-3,4,5\n", "line 1 has a box of negative size"),
    ],
)
def test_a_faulty_row_is_named(tmp_path, rows, fault):
    with pytest.raises(InputError, match=fault) as error:
        read_detections(caltech_folder(tmp_path, rows), CALTECH)
    assert "set06/V000.txt" in str(error.value)


def test_files_that_are_missing_or_empty_are_no_detections(tmp_path, capsys):
    assert len(read_detections(caltech_folder(tmp_path, ""), CALTECH)) == 0
    assert capsys.readouterr().err == ""
    (tmp_path / "set06/V000.txt").unlink()
    assert len(read_detections(tmp_path, CALTECH)) == 0
    error = capsys.readouterr().err
    assert "1 of the 2 evaluated videos have no file" in error
    assert "first set06/V000.txt" in error
    (tmp_path / "set07/V001.txt").unlink()
    assert len(read_detections(tmp_path, CALTECH)) == 0
    assert "no setNN/VNNN.txt of the evaluated videos" in capsys.readouterr().err


def test_frames_counted_from_zero_are_warned_of(tmp_path, capsys):
    assert len(read_detections(caltech_folder(tmp_path, "29,1,2,3,4,5\n59,1,2,3,4,5\n"), CALTECH)) == 0
    error = capsys.readouterr().err
    assert "none of the 2 rows is of an evaluated frame; frames are counted from 1" in error
    assert error.count("\n") == 1


def test_the_folder_above_several_detectors_is_refused_with_the_one_to_give(tmp_path):
    caltech_folder(tmp_path / "ACF", "30,1,2,3,4,5\n")
    with pytest.raises(InputError, match=r"give one detector's folder, .*ACF"):
        read_detections(tmp_path, CALTECH)


def test_a_folder_needs_pictures_named_as_caltech_s(tmp_path):
    with pytest.raises(InputError, match="needs pictures that are named like set06_V000_I00029"):
        read_detections(caltech_folder(tmp_path, ""), pictures([7]))


def test_caltech_s_frames_are_read_from_names_or_ids():
    assert caltech_frames(CALTECH) == [(6, 0, 29), (6, 0, 59), (7, 1, 29)]
    assert caltech_frames(pictures([1], ["images/set10_V011_I01709.jpg"])) == [(10, 11, 1709)]
    assert caltech_frames(pictures(["set10_V011_I01709"], ["a.jpg"])) == [(10, 11, 1709)]
    assert caltech_frames(pictures([1, 2], ["set10_V011_I01709.jpg", "other.jpg"])) is None
