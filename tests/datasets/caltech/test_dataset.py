"""Caltech as it lies on the disk: small folders written here, and the real annotations where they are at hand."""

import pickle
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from upright.datasets.caltech import CaltechPedestrians
from upright.datasets.caltech.annotations import find_videos, original_columns
from upright.datasets.caltech.bbgt import FrameAnnotation, write_bbgt
from upright.datasets.caltech.seq import SeqReader, SeqWriter
from upright.datasets.caltech.vbb import VideoAnnotation, write_vbb
from upright.errors import InputError

ARCHIVE = Path(__file__).parents[3] / "../shared/data/caltech/annotations.tar.gz"
needs_archive = pytest.mark.skipif(not ARCHIVE.exists(), reason=f"{ARCHIVE} is missing")
WIDTH, HEIGHT = 64, 48


def picture(number):
    """A plain picture whose colour tells its frame."""
    return np.full((HEIGHT, WIDTH, 3), (40 + 2 * number, 120, 200 - 2 * number), np.uint8)


def video(path, frames):
    with SeqWriter(path, WIDTH, HEIGHT, quality=95) as writer:
        for number in range(frames):
            writer.add(picture(number))


def annotate(path, frames, rows):
    """`rows`: frame counted from 1, label, pos, posv."""
    write_vbb(
        path,
        VideoAnnotation(
            frames=frames,
            frame=np.array([row[0] for row in rows], np.int64),
            object_id=np.arange(1, len(rows) + 1),
            label=np.array([row[1] for row in rows], dtype=str),
            pos=np.array([row[2] for row in rows], np.float64).reshape(-1, 4),
            posv=np.array([row[3] for row in rows], np.float64).reshape(-1, 4),
            occluded=np.array([any(row[3]) for row in rows], bool),
        ),
    )


NONE = (0, 0, 0, 0)
ROWS = [
    (10, "person", (1, 1, 10.5, 20), NONE),
    (10, "people", (21, 2, 10, 20), NONE),
    (10, "person-fa", (31, 2, 10, 20), NONE),
    (20, "person?", (1, 1, 10, 20), NONE),
    (20, "person", (5, 3, 10, 20), (5, 3, 10, 13)),
    (20, "ignore", (40, 3, 10, 20), NONE),
    (25, "person", (5, 3, 10, 20), NONE),
]


@pytest.fixture
def root(tmp_path):
    """Two videos of set 06, with 35 and 9 frames, and one of set 00."""
    folder = tmp_path / "caltech"
    for name, frames, rows in (("set06/V000", 35, ROWS), ("set06/V001", 9, []), ("set00/V004", 35, ROWS)):
        video(folder / f"{name}.seq", frames)
        annotate(folder / f"annotations/{name}.vbb", frames, rows)
    return folder


def test_every_nth_frame_counted_from_one_is_named_from_zero(root):
    dataset = CaltechPedestrians(root, "test", every=10)
    assert dataset.annotations.image_ids == ["set06_V000_I00009", "set06_V000_I00019", "set06_V000_I00029"]
    assert dataset.annotations.file_names[0] == "set06_V000_I00009.jpg"
    assert len(dataset) == 3
    assert len(CaltechPedestrians(root, "test")) == 1  # every 30th; the short video gives no picture
    assert len(CaltechPedestrians(root, "test", every=9)) == 4


def test_annotations_keep_the_numbers_of_the_file(root):
    shutil.rmtree(root / "set06")
    a = CaltechPedestrians(root, "test", every=10).annotations
    assert a.image_index.tolist() == [0, 0, 1, 1, 1]
    assert a.attributes["label"].tolist() == ["person", "people", "person?", "person", "ignore"]
    assert a.ignore.tolist() == [False, True, True, False, True]
    assert a.boxes[[0, 3]].tolist() == [[1, 1, 10.5, 20], [5, 3, 10, 20]]
    assert a.boxes.dtype == a.visible_ratio.dtype == a.height.dtype == np.float64
    assert a.visible[3].tolist() == [5, 3, 10, 13]
    assert a.visible_ratio.tolist() == [np.inf, np.inf, np.inf, 130 / 200, np.inf]
    assert a.attributes["unhidden"].tolist() == [True, True, True, False, True]
    assert a.height.tolist() == [20] * 5
    assert a.category.tolist() == [1] * 5


def test_samples_have_the_frame_and_boxes_from_zero_inside_it(root):
    dataset = CaltechPedestrians(root, "test", every=10)
    for index, frame in enumerate((9, 19, 29)):
        sample = dataset[index]
        assert np.abs(sample.image.astype(int) - picture(frame)).max() <= 3
        assert sample.id == dataset.annotations.image_ids[index]
        assert sample.path == str(root / "set06/V000.seq")
    first, second = dataset[0], dataset[1]
    assert first.boxes.tolist() == [[0, 0, 10.5, 20], [20, 1, 30, 21]]
    assert first.visible.tolist() == first.boxes.tolist()
    assert second.visible[1].tolist() == [4, 2, 14, 15]
    assert second.visible_ratio.tolist() == [1, np.float32(0.65), 1]
    assert second.ignore.tolist() == [True, False, True]
    assert second.attributes["label"].tolist() == ["person?", "person", "ignore"]
    assert dataset[2].boxes.shape == (0, 4)


def test_boxes_beyond_the_picture_are_clipped_or_left_out_of_samples_alone(root):
    rows = [(10, "person", (-4, 40, 10, 20), NONE), (10, "person", (100, 1, 10, 20), NONE)]
    annotate(root / "annotations/set06/V000.vbb", 35, rows)
    dataset = CaltechPedestrians(root, "test", every=10)
    assert dataset.annotations.boxes[:, 0].tolist() == [-4, 100]
    sample = dataset[0]
    assert sample.boxes.tolist() == [[0, 39, 5, 48]]
    assert [len(values) for values in (sample.visible, sample.ignore, sample.attributes["label"])] == [1, 1, 1]


@pytest.mark.parametrize(
    "layout",
    [
        "images/set06_V000_I{:05d}.png",
        "images/set06/V000/I{:05d}.png",
        "test/images/set06_V000_I{:05d}.png",
        "images/set06_V000_{}.png",
        "set06/V000/images/I{:05d}.png",
    ],
)
def test_extracted_pictures_are_found_in_every_known_layout(root, layout):
    (root / "set06/V000.seq").unlink()
    for frame in (9, 19, 29):
        path = root / layout.format(frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture(frame)[..., ::-1])
    dataset = CaltechPedestrians(root, "test", every=10)
    for index, frame in ((2, 29), (0, 9), (1, 19)):
        assert np.array_equal(dataset[index].image, picture(frame))
        assert dataset[index].path == str(root / layout.format(frame))


def test_splits_take_the_sets_of_the_literature(tmp_path):
    for part in range(11):
        annotate(tmp_path / f"annotations/set{part:02d}/V000.vbb", 30, [])

    def sets(*arguments, **options):
        ids = CaltechPedestrians(tmp_path, *arguments, **options).annotations.image_ids
        return [int(name[3:5]) for name in ids]

    assert sets("train") == [0, 1, 2, 3, 4, 5]
    assert sets("val") == [5]
    assert sets("test") == [6, 7, 8, 9, 10]
    assert sets("train", sets=range(5)) == [0, 1, 2, 3, 4]
    assert sets("test", sets=[7, 6]) == [6, 7]


def test_missing_test_sets_are_told_and_asked_for_ones_must_be_there(root, capsys):
    CaltechPedestrians(root, "test")
    assert "no annotations of sets 07, 08, 09, 10" in capsys.readouterr().err
    CaltechPedestrians(root, "test", sets=[6])
    CaltechPedestrians(root, "train")
    assert capsys.readouterr().err == ""
    with pytest.raises(InputError, match="no annotations of sets 07, only of sets 00, 06"):
        CaltechPedestrians(root, "test", sets=[6, 7])


def test_parsed_annotations_are_kept_until_a_file_changes(root, monkeypatch):
    first = CaltechPedestrians(root, "test", every=10).annotations
    with monkeypatch.context() as patch:
        patch.setattr("upright.datasets.caltech.dataset.original_columns", lambda *_: pytest.fail("parsed again"))
        again = CaltechPedestrians(root, "test", every=10).annotations
    for name in ("boxes", "visible", "visible_ratio", "ignore", "image_index"):
        assert np.array_equal(getattr(first, name), getattr(again, name)), name
    assert again.image_ids == first.image_ids
    assert again.attributes["label"].tolist() == first.attributes["label"].tolist()
    annotate(root / "annotations/set06/V000.vbb", 35, ROWS[:1])
    assert len(CaltechPedestrians(root, "test", every=10).annotations.boxes) == 1


def test_cache_may_lie_elsewhere(root, tmp_path):
    CaltechPedestrians(root, "test", cache=tmp_path / "kept")[0]
    assert not (root / ".upright_cache").exists()
    assert len(list((tmp_path / "kept").iterdir())) == 2  # the annotations and the index of one video


def cut(path, keep):
    """Cut a .seq file off in the middle of frame `keep`."""
    with SeqReader(path) as reader:
        end = reader._starts[keep] + 20
    path.write_bytes(path.read_bytes()[:end])


def test_training_leaves_out_frames_that_a_cut_off_video_lost(root, capsys):
    cut(root / "set00/V004.seq", keep=15)
    dataset = CaltechPedestrians(root, "train", every=10)
    assert dataset.annotations.image_ids == ["set00_V004_I00009"]
    assert len(dataset.annotations.boxes) == len(dataset[0].boxes) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "15 of its 35 frames" in lines[0]
    assert "2 annotated frames lie beyond the end" in lines[1]


def test_testing_does_not_leave_out_frames(root):
    cut(root / "set06/V000.seq", keep=15)
    dataset = CaltechPedestrians(root, "test", every=10)
    assert len(dataset) == 3
    dataset[0]
    with pytest.raises(InputError, match=r"frame 19 of .*set06/V000\.seq .* 0 to 14"):
        dataset[1]


def test_threads_and_other_processes_may_read_at_once(root, capsys):
    cut(root / "set06/V000.seq", keep=32)
    dataset = pickle.loads(pickle.dumps(CaltechPedestrians(root, "test", every=10, sets=[6])))
    with ThreadPoolExecutor(4) as pool:
        samples = list(pool.map(dataset.__getitem__, [0, 1, 2] * 4))
    assert [sample.id for sample in samples] == dataset.annotations.image_ids * 4
    assert len(capsys.readouterr().err.splitlines()) == 1  # that the video is cut off, once


def test_annotations_without_pictures_say_what_is_missing(root):
    shutil.rmtree(root / "set06")
    with pytest.raises(InputError, match=r"annotations of set06_V000_I00009 but no picture: .*set06/V000\.seq"):
        CaltechPedestrians(root, "test", every=10)[0]


def test_pictures_without_annotations_say_what_is_missing(root):
    (root / "annotations/set06/V001.vbb").unlink()
    with pytest.raises(InputError, match=r"video set06/V001\.seq but no annotations .* annotations/set06/V001\.vbb"):
        CaltechPedestrians(root, "test")
    shutil.rmtree(root / "annotations")
    with pytest.raises(InputError, match="has pictures but no annotations: annotations/set00"):
        CaltechPedestrians(root, "test")
    with pytest.raises(InputError, match="has pictures but no annotations: anno_test_1xnew"):
        CaltechPedestrians(root, "test", annotations="new")


def test_wrong_arguments_give_one_clear_line(root, tmp_path):
    (tmp_path / "empty").mkdir()
    for words, arguments, options in (
        ("no split 'trainval'", (root, "trainval"), {}),
        ("every 0", (root, "test"), {"every": 0}),
        ("has 36 frames", (root, "test"), {"every": 36}),
        ("has no annotations of Caltech", (tmp_path / "empty", "test"), {}),
        ("neither 'original' nor 'new'", (root, "test"), {"annotations": "old"}),
    ):
        with pytest.raises(InputError, match=words) as error:
            CaltechPedestrians(*arguments, **options)
        assert "\n" not in str(error.value)


def text_file(path, rows=(("person", (1, 1, 10, 20), 0, NONE, 0),)):
    write_bbgt(
        path,
        FrameAnnotation(
            label=np.array([row[0] for row in rows], dtype=str),
            pos=np.array([row[1] for row in rows], np.float64).reshape(-1, 4),
            posv=np.array([row[3] for row in rows], np.float64).reshape(-1, 4),
            occluded=np.array([row[2] for row in rows], bool),
            ignore=np.array([row[4] for row in rows], bool),
        ),
    )


def test_new_annotations_are_read_from_their_text_files(root):
    rows = [
        ("person", (1, 1, 10, 20), 0, NONE, 0),
        ("person", (5, 3, 10, 20), 1, (5, 3, 10, 13), 0),
        ("person", (5, 3, 10, 20), 1, (5, 3, 10, 20), 0),
        ("person", (5, 3, 10, 20), 0, NONE, 1),
        ("people", (5, 3, 10, 20), 0, NONE, 0),
        ("person-fa", (5, 3, 10, 20), 0, NONE, 0),
    ]
    text_file(root / "anno_test_1xnew/set06_V000_I00029.jpg.txt", rows)
    dataset = CaltechPedestrians(root, "test", annotations="new")
    a = dataset.annotations
    assert a.image_ids == ["set06_V000_I00029"]
    assert a.ignore.tolist() == [False, False, False, True, True]
    assert a.visible_ratio.tolist() == [1, 0.65, 0, 1, 1]
    assert a.attributes["unhidden"].tolist() == [True, False, False, True, True]
    sample = dataset[0]
    assert np.abs(sample.image.astype(int) - picture(29)).max() <= 3
    assert sample.visible[:3].tolist() == [[0, 0, 10, 20], [4, 2, 14, 15], [4, 2, 14, 22]]


def test_new_training_annotations_come_from_the_folder_that_has_the_frames(root):
    text_file(root / "anno_train_1xnew/set00_V004_I00029.txt")
    for frame in (2, 5, 8, 29):
        text_file(root / f"anno_train10x_alignedby_RotatedFilters/set00_V004_I{frame:05d}.txt", [])
    once = CaltechPedestrians(root, "train", annotations="new")
    assert (once.annotations.image_ids, len(once.annotations.boxes)) == (["set00_V004_I00029"], 1)
    tenfold = CaltechPedestrians(root, "train", annotations="new", every=3)
    assert (len(tenfold), len(tenfold.annotations.boxes)) == (4, 0)
    anywhere = CaltechPedestrians(root, "train", annotations="anno_train_1xnew")
    assert len(anywhere) == 1


def test_wrong_frame_numbers_of_text_files_are_told(root):
    folder = root / "anno_test_1xnew"
    text_file(folder / "set06_V000_I00030.txt")
    with pytest.raises(InputError, match="frame 30 is I00029; there is set06_V000_I00030"):
        CaltechPedestrians(root, "test", annotations="new")
    text_file(folder / "set06_V000_I00029.txt")
    text_file(folder / "set06_V000_I00089.txt")
    with pytest.raises(InputError, match="lacks set06_V000_I00059"):
        CaltechPedestrians(root, "test", annotations="new")


@needs_archive
def test_the_real_test_sets_have_the_counts_of_the_benchmark(tmp_path):
    with tarfile.open(ARCHIVE) as archive:
        wanted = [m for m in archive if m.name.endswith(".vbb") and int(m.name.split("/set")[1][:2]) > 5]
        archive.extractall(tmp_path, members=wanted, filter="data")
    a = CaltechPedestrians(tmp_path, "test").annotations
    label, ratio = a.attributes["label"], a.visible_ratio
    assert (len(a.image_ids), len(a.boxes)) == (4024, 5051)
    assert {name: int((label == name).sum()) for name in np.unique(label)} == {
        "person": 4401,
        "people": 484,
        "person?": 166,
    }
    x, y, w, h = a.boxes.T
    inside = (label == "person") & (x >= 5) & (y >= 5) & (x + w <= 635) & (y + h <= 475)
    assert int((inside & (h >= 50) & (ratio >= 0.65)).sum()) == 1014
    assert int((inside & (h >= 20) & (ratio >= 0.2)).sum()) == 3292
    assert int((inside & (h >= 50) & (ratio >= 0.2) & (ratio <= 0.65)).sum()) == 273


@needs_archive
def test_cached_and_parsed_annotations_agree_on_a_real_video(tmp_path):
    with tarfile.open(ARCHIVE) as archive:
        archive.extract("annotations/set07/V011.vbb", tmp_path, filter="data")
    for _ in range(2):
        a = CaltechPedestrians(tmp_path, "test").annotations
        columns = original_columns(find_videos(tmp_path), 30)
        assert np.array_equal(a.boxes, columns["boxes"])
        assert np.array_equal(a.visible_ratio, columns["visible_ratio"])
