"""The .vbb reader against files that scipy writes in every shape the format allows."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from upright.datasets.caltech.vbb import VideoAnnotation, read_vbb, write_vbb
from upright.errors import InputError

COLUMNS = ("frame", "object_id", "label", "pos", "posv", "occluded")
ARCHIVE = Path(__file__).parents[3] / "../shared/data/caltech/annotations.tar.gz"
needs_archive = pytest.mark.skipif(not ARCHIVE.exists(), reason=f"{ARCHIVE} is missing")


def cell(objects, fields=("id", "pos", "occl", "lock", "posv")):
    """A cell of objLists that holds the dicts `objects`."""
    row = np.zeros((1, len(objects)), dtype=[(name, object) for name in fields])
    for i, entry in enumerate(objects):
        row[0, i] = tuple(entry[name] for name in fields)
    return row


def entry(number, pos, posv=(0, 0, 0, 0), occl=0):
    return {"id": number, "pos": [list(pos)], "posv": [list(posv)], "occl": occl, "lock": 1, "trnc": 0}


def file_of(path, cells, labels=("person",), drop=(), version=1.4, compress=False, **other):
    lists = np.empty((1, len(cells)), dtype=object)
    for i, content in enumerate(cells):
        lists[0, i] = np.zeros((0, 0)) if content is None else content
    names = np.array([list(labels)], dtype=object)
    content = {"nFrame": len(cells), "objLists": lists, "maxObj": len(labels), "objLbl": names, "log": 0} | other
    for name in drop:
        del content[name]
    savemat(path, {"A": content, "vers": version}, do_compression=compress)
    return path


def plain_read(path, every):
    """The same as `read_vbb`, an object after the other, from what scipy makes of the whole file."""
    content = loadmat(path)["A"][0, 0]
    rows = []
    for number in range(every, content["objLists"].size + 1, every):
        found = content["objLists"].ravel()[number - 1]
        for k in range(found.size):
            one = found.ravel()[k]
            pos = [float(v) for v in one["pos"].ravel()]
            posv = [float(v) for v in one["posv"].ravel()] if "posv" in found.dtype.names else []
            label = content["objLbl"].ravel()[int(one["id"].item()) - 1]
            name = str(label.item()) if label.size else ""
            rows.append((number, int(one["id"].item()), name, pos, posv or [0.0] * 4, bool(one["occl"].item())))
    return rows


def assert_same(annotation, rows):
    for name, expected in zip(COLUMNS, zip(*rows, strict=True) if rows else [()] * 6, strict=True):
        assert getattr(annotation, name).tolist() == list(expected), name


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("every", [1, 2, 3, 5])
def test_frames_count_from_one_and_every_nth_is_kept(tmp_path, every, compress):
    cells = [cell([entry(1, (i, 1, 2, 3))]) if i % 2 == 0 else None for i in range(1, 8)]
    path = file_of(tmp_path / "V000.vbb", cells, compress=compress)
    annotation = read_vbb(path, every)
    assert annotation.frames == 7
    assert annotation.frame.tolist() == [i for i in range(every, 8, every) if i % 2 == 0]
    assert annotation.pos[:, 0].tolist() == annotation.frame.tolist()


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize(
    "fields", [("id", "pos", "posv", "occl", "lock"), ("posv", "lock", "occl", "pos", "id"), ("pos", "id")]
)
def test_fields_go_by_name_in_any_order(tmp_path, fields, every):
    found = cell([entry(2, (5, 6, 7, 8), (5, 6, 3, 4), occl=1), entry(1, (9, 9, 9, 9))], fields)
    annotation = read_vbb(file_of(tmp_path / "a.vbb", [None, found], ["people", "person?"]), every)
    assert annotation.pos.tolist() == [[5, 6, 7, 8], [9, 9, 9, 9]]
    assert annotation.label.tolist() == ["person?", "people"]
    assert annotation.posv[0].tolist() == ([5, 6, 3, 4] if "posv" in fields else [0, 0, 0, 0])
    assert annotation.occluded.tolist() == ["occl" in fields, False]


@pytest.mark.parametrize("version", [0.06, 1.0, 1.1, 1.2, 1.3])
def test_older_versions_lack_fields(tmp_path, version):
    fields = ("id", "pos", "occl", "lock") + (("trnc",) if version in (1.1, 1.2) else ())
    found = cell([entry(1, (1, 2, 3, 4), occl=1)], fields)
    path = file_of(tmp_path / "a.vbb", [found], drop=["log"], version=version, objAr=0.41)
    annotation = read_vbb(path)
    assert (annotation.pos.tolist(), annotation.posv.tolist()) == ([[1, 2, 3, 4]], [[0, 0, 0, 0]])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_numbers_of_every_type_become_float64(tmp_path, kind):
    one = entry(kind(1), (200, 100, 90, 80)) | {"pos": np.array([[200, 100, 90, 80]], kind)}
    annotation = read_vbb(file_of(tmp_path / "a.vbb", [cell([one])]))
    assert annotation.pos.dtype == np.float64
    assert (annotation.pos[0, :2] + annotation.pos[0, 2:]).tolist() == [290, 180]


@pytest.mark.parametrize("posv", [np.zeros((0, 0)), np.zeros((1, 4)), np.zeros((1, 1))])
def test_empty_posv_means_not_occluded(tmp_path, posv):
    annotation = read_vbb(file_of(tmp_path / "a.vbb", [cell([entry(1, (1, 2, 3, 4)) | {"posv": posv}])]))
    assert annotation.posv.tolist() == [[0, 0, 0, 0]]


def test_column_vectors_and_empty_struct_rows_are_read(tmp_path):
    tall = entry(1, (0, 0, 0, 0)) | {"pos": np.array([[1.5], [2], [3], [4]])}
    path = file_of(tmp_path / "a.vbb", [cell([]), cell([tall]), None])
    assert read_vbb(path).pos.tolist() == [[1.5, 2, 3, 4]]


def test_video_without_boxes_or_shorter_than_one_step(tmp_path):
    path = file_of(tmp_path / "a.vbb", [None] * 29, labels=[""])
    for every in (1, 30):
        annotation = read_vbb(path, every)
        assert (annotation.frames, annotation.pos.shape, len(annotation.label)) == (29, (0, 4), 0)


boxes = st.tuples(*[st.floats(-20, 700, width=32)] * 4)
objects = st.builds(entry, st.integers(1, 3), boxes, boxes, st.integers(0, 1))


@settings(deadline=None, max_examples=25)
@given(lists=st.lists(st.lists(objects, max_size=3), min_size=1, max_size=12), every=st.integers(1, 13))
def test_cutting_frames_out_of_the_bytes_changes_nothing(tmp_path_factory, lists, every):
    path = tmp_path_factory.mktemp("vbb") / "a.vbb"
    file_of(path, [cell(found) if found else None for found in lists], ["person", "people", ""])
    annotation = read_vbb(path, every)
    assert annotation.frames == len(lists)
    assert_same(annotation, plain_read(path, every))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("upright.datasets.caltech.vbb._keep_every", lambda *_: None)
        assert_same(read_vbb(path, every), plain_read(path, every))


@settings(deadline=None, max_examples=15)
@given(lists=st.lists(st.lists(objects, max_size=3), min_size=1, max_size=6))
def test_what_is_written_is_read(tmp_path_factory, lists):
    rows = [(i + 1, one) for i, found in enumerate(lists) for one in found]
    names = np.array(["person", "person?", "people"])
    ids = np.array([one["id"] for _, one in rows], np.int64)
    written = VideoAnnotation(
        frames=len(lists),
        frame=np.array([number for number, _ in rows], np.int64),
        object_id=ids,
        label=names[ids - 1],
        pos=np.array([one["pos"][0] for _, one in rows], np.float64).reshape(-1, 4),
        posv=np.array([one["posv"][0] for _, one in rows], np.float64).reshape(-1, 4),
        occluded=np.array([one["occl"] for _, one in rows], bool),
    )
    path = tmp_path_factory.mktemp("vbb") / "set00" / "V000.vbb"
    write_vbb(path, written)
    again = read_vbb(path)
    assert again.frames == written.frames
    for name in COLUMNS:
        assert getattr(again, name).tolist() == getattr(written, name).tolist(), name
    content = loadmat(path)
    assert content["vers"].item() == 1.4
    assert set(content["A"].dtype.names) >= {"maxObj", "objInit", "objStr", "objEnd", "objHide", "altered", "logLen"}


@pytest.mark.parametrize("every", [1, 2])
def test_files_that_contradict_themselves_name_the_fault(tmp_path, every):
    path = tmp_path / "V007.vbb"
    good = cell([entry(1, (1, 2, 3, 4))])
    cases = {
        "nFrame is 9, but objLists has 2": {"cells": [good, good], "nFrame": 9},
        "id 4, but labels for ids 1 to 1": {"cells": [None, cell([entry(4, (1, 2, 3, 4))])]},
        "frame 2: pos has 3 numbers": {"cells": [None, cell([entry(1, (1, 2, 3))])]},
        "is a damaged .vbb": {"cells": [good, good], "nFrame": [2, 2]},
        "V007.vbb is a damaged .vbb": {"cells": [None, cell([entry([1, 1], (1, 2, 3, 4))])]},
        "frame 2: its objects have no id": {"cells": [None, cell([entry(1, (1, 2, 3, 4))], ("pos",))]},
    }
    for words, contents in cases.items():
        file_of(path, **contents)
        with pytest.raises(InputError, match=words) as error:
            read_vbb(path, every)
        assert "V007.vbb" in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("every", [1, 30])
def test_foreign_files_give_one_clear_line(tmp_path, every):
    path = tmp_path / "V000.vbb"
    for content in (b"", b"hello", bytes(4000), b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + bytes(50)):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"V000\.vbb is") as error:
            read_vbb(path, every)
        assert "\n" not in str(error.value)
    savemat(path, {"anno_val_aligned": np.zeros((1, 2))})
    with pytest.raises(InputError, match="no struct A"):
        read_vbb(path, every)
    with pytest.raises(InputError, match="No such file"):
        read_vbb(tmp_path / "V001.vbb", every)


@pytest.mark.parametrize("every", [1, 2])
def test_a_file_cut_off_anywhere_is_an_input_error(tmp_path, every):
    whole = file_of(tmp_path / "a.vbb", [cell([entry(1, (1, 2, 3, 4))])] * 4).read_bytes()
    end_of_struct = 128 + 8 + int.from_bytes(whole[132:136], "little")  # behind it stands `vers`, which nobody needs
    for cut in range(0, end_of_struct, 41):
        (tmp_path / "a.vbb").write_bytes(whole[:cut])
        with pytest.raises(InputError):
            read_vbb(tmp_path / "a.vbb", every)


@needs_archive
@pytest.mark.parametrize("name", ["set06/V000", "set03/V008", "set10/V011"])
def test_real_files_read_as_a_plain_loop_reads_them(tmp_path, name):
    with tarfile.open(ARCHIVE) as archive:
        # The archive is not sorted: extract the one member that is asked for.
        archive.extract(f"annotations/{name}.vbb", tmp_path, filter="data")
    path = tmp_path / f"annotations/{name}.vbb"
    assert_same(read_vbb(path, 30), plain_read(path, 30))
