"""The .seq reader and writer, on files written here byte by byte."""

import os
import pickle
import struct

import cv2
import numpy as np
import pytest

from upright.datasets.caltech.seq import HEADER_SIZE, SeqReader, SeqWriter, index_frames
from upright.errors import InputError


def pictures(count, height=24, width=32):
    """Smooth pictures that differ from each other and survive JPEG."""
    y, x = np.mgrid[:height, :width]
    return [
        np.stack([x * 7 + 10 * i, y * 9, np.full_like(x, 20 * i)], axis=-1).clip(0, 255).astype(np.uint8)
        for i in range(count)
    ]


def write(path, frames, **settings):
    height, width = frames[0].shape[:2]
    with SeqWriter(path, width, height, **settings) as writer:
        for frame in frames:
            writer.add(frame)
    return path


def plain_file(jpegs, padding, announced=None, magic=0xFEED, image_format=201):
    """A .seq file put together from the format's description, without the writer under test."""
    header = struct.pack("<I", magic) + "Norpix seq\0\0".encode("utf-16-le") + struct.pack("<ii", 3, 1024)
    header += bytes(512)
    count = len(jpegs) if announced is None else announced
    header += struct.pack("<9I", 32, 24, 24, 8, 2304, image_format, count, 0, 2560) + struct.pack("<d", 30.0)
    data = header.ljust(1024, b"\0")
    for i, jpeg in enumerate(jpegs):
        data += struct.pack("<I", len(jpeg) + 4) + jpeg + struct.pack("<IH", i, 5) + bytes(padding)
    return data


def jpegs(count):
    return [cv2.imencode(".jpg", picture[..., ::-1])[1].tobytes() for picture in pictures(count)]


def test_frames_come_back_as_written_in_any_order(tmp_path):
    frames = pictures(5)
    with SeqReader(write(tmp_path / "V000.seq", frames, quality=95)) as video:
        assert (len(video), video.width, video.height, video.fps) == (5, 32, 24, 30.0)
        for i in (4, 0, 3, 3, 1):
            assert np.abs(video[i].astype(int) - frames[i]).mean() < 4  # what JPEG leaves of smooth colours
        assert video.seconds(3) == 0.1


def test_jpeg_bytes_are_used_as_they_are(tmp_path):
    encoded = jpegs(3)
    with SeqWriter(tmp_path / "a.seq", 32, 24) as writer:
        for data in encoded:
            writer.add_jpeg(data)
    video = SeqReader(tmp_path / "a.seq")
    assert [video.jpeg(i) for i in range(3)] == encoded
    assert np.array_equal(video[2][..., ::-1], cv2.imdecode(np.frombuffer(encoded[2], np.uint8), 1))


@pytest.mark.parametrize("padding", [2, 10])
@pytest.mark.parametrize("announced", [None, 0])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_both_paddings_and_unclosed_headers_are_read(tmp_path, padding, announced, count):
    (tmp_path / "a.seq").write_bytes(plain_file(jpegs(count), padding, announced))
    video = SeqReader(tmp_path / "a.seq")
    assert [video.jpeg(i) for i in range(len(video))] == jpegs(count)
    assert [video.seconds(i) for i in range(count)] == [i + 0.005 for i in range(count)]


def test_a_header_of_8192_bytes_and_pads_behind_the_pictures_are_read(tmp_path):
    """Version 5 of the recorder; zeros that n counts, or not, on every other picture; whatever the header says."""
    encoded = jpegs(4)
    for stated in (8192, 1024):
        for counted in (True, False):
            header = bytearray(plain_file([], 10, announced=4).ljust(8192, b"\0"))
            struct.pack_into("<ii", header, 28, 5, stated)
            data = bytes(header)
            for i, jpeg in enumerate(encoded):
                pad = bytes(i % 2)
                data += struct.pack("<I", len(jpeg) + 4 + len(pad) * counted) + jpeg + pad
                data += struct.pack("<IH", i, 5) + bytes(6)
            (tmp_path / "a.seq").write_bytes(data)
            with SeqReader(tmp_path / "a.seq") as video:
                assert [video.jpeg(i) for i in range(len(video))] == encoded
                assert not counted or [video.seconds(i) for i in range(4)] == [i + 0.005 for i in range(4)]


def test_writer_writes_the_documented_bytes(tmp_path):
    with SeqWriter(tmp_path / "a.seq", 32, 24, fps=30.0) as writer:
        for data in jpegs(2):
            writer.add_jpeg(data)
    written, expected = (tmp_path / "a.seq").read_bytes(), plain_file(jpegs(2), 10)
    assert len(written) == len(expected)
    assert written[:36] == expected[:36]
    assert written[548:1024] == expected[548:1024]
    assert written[1024 : 1024 + 4 + len(jpegs(2)[0])] == expected[1024 : 1024 + 4 + len(jpegs(2)[0])]


@pytest.mark.parametrize("padding", [2, 10])
def test_every_cut_gives_exactly_the_whole_frames(padding):
    encoded = jpegs(3)
    data = plain_file(encoded, padding)
    ends = np.cumsum([len(jpeg) + 10 + padding for jpeg in encoded]) + HEADER_SIZE - 6 - padding
    around = {int(edge) + step for edge in ends for step in range(-4, 24)}
    for cut in sorted(c for c in around | set(range(HEADER_SIZE, HEADER_SIZE + 9)) if c <= len(data)):
        starts, sizes = index_frames(data[:cut], announced=3)
        assert len(starts) == int((ends <= cut).sum()), cut
        assert [data[s : s + n] for s, n in zip(starts, sizes, strict=True)] == encoded[: len(starts)]


def test_cut_file_says_so_once_in_one_line(tmp_path, capsys):
    data = plain_file(jpegs(4), 10)
    (tmp_path / "V003.seq").write_bytes(data[: len(data) - 40])
    video = SeqReader(tmp_path / "V003.seq")
    for i in range(3):
        assert video[i].shape == (24, 32, 3)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "V003.seq" in lines[0]
    assert "3 of its 4 frames" in lines[0]


def test_hole_in_the_middle_ends_the_file_there(tmp_path, capsys):
    encoded = jpegs(4)
    data = bytearray(plain_file(encoded, 10))
    second = HEADER_SIZE + len(encoded[0]) + 20
    data[second : second + 200] = bytes(200)
    (tmp_path / "a.seq").write_bytes(data)
    assert len(SeqReader(tmp_path / "a.seq")) == 1
    assert "1 of its 4" in capsys.readouterr().err


def test_a_frame_whose_end_was_never_written_ends_the_file_there(tmp_path):
    encoded = jpegs(3)
    data = bytearray(plain_file(encoded, 10))
    end_of_second = HEADER_SIZE + len(encoded[0]) + 20 + 4 + len(encoded[1])
    data[end_of_second - 30 : end_of_second] = bytes(30)
    (tmp_path / "a.seq").write_bytes(data)
    assert len(SeqReader(tmp_path / "a.seq")) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cut off within its header"),
        (bytes(500), "cut off within its header"),
        (bytes(4000), "not a Norpix .seq video"),
        (plain_file([], 10, magic=0xFEEE), "not a Norpix .seq video"),
        (plain_file(jpegs(2), 10, image_format=100), "format 100"),
        (plain_file(jpegs(2), 10)[:1100], "no whole frame"),
        (plain_file([], 10), "no whole frame"),
    ],
)
def test_unreadable_files_give_one_clear_line(tmp_path, content, words):
    path = tmp_path / "V000.seq"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        SeqReader(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file_gives_one_clear_line(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*V001\.seq: No such file"):
        SeqReader(tmp_path / "V001.seq")


@pytest.mark.parametrize("index", [-1, 3, 1000])
def test_wrong_frame_number_names_the_file_and_its_frames(tmp_path, index):
    video = SeqReader(write(tmp_path / "V000.seq", pictures(3)))
    with pytest.raises(InputError, match=rf"frame {index} of .*V000\.seq .* 0 to 2"):
        video[index]


def test_frame_of_broken_bytes_is_an_input_error(tmp_path):
    broken = b"\xff\xd8" + bytes(50) + b"\xff\xd9"
    (tmp_path / "a.seq").write_bytes(plain_file([jpegs(1)[0], broken], 10))
    with pytest.raises(InputError, match="frame 1 of"), SeqReader(tmp_path / "a.seq") as video:
        video[1]


def test_index_is_read_from_the_cache_and_made_anew_where_stale(tmp_path, monkeypatch):
    path, kept = write(tmp_path / "set00" / "V000.seq", pictures(3)), tmp_path / "kept"
    SeqReader(path, kept)
    with monkeypatch.context() as patch:
        patch.setattr("upright.datasets.caltech.seq.index_frames", lambda *_: pytest.fail("read the file again"))
        assert len(SeqReader(path, kept)) == 3
    before = path.stat()
    path.write_bytes(path.read_bytes()[:-100] + bytes(100))  # as long, but the last frame is gone
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert len(SeqReader(path, kept)) == 2
    write(path, pictures(5))
    assert len(SeqReader(path, kept)) == 5
    (entry,) = kept.iterdir()
    for rubbish in (b"", b"rubbish", entry.read_bytes()[:100]):
        entry.write_bytes(rubbish)
        assert len(SeqReader(path, kept)) == 5


def test_reader_without_a_writable_cache_still_reads(tmp_path):
    path = write(tmp_path / "V000.seq", pictures(2))
    (tmp_path / "file").write_bytes(b"")
    assert len(SeqReader(path, tmp_path / "file" / "kept")) == 2


def test_reader_travels_to_another_process(tmp_path):
    video = SeqReader(write(tmp_path / "V000.seq", pictures(2)))
    first = video[0]
    assert np.array_equal(pickle.loads(pickle.dumps(video))[0], first)


def test_nothing_half_written_is_left_after_an_error(tmp_path):
    def interrupted():
        with SeqWriter(tmp_path / "V000.seq", 32, 24) as writer:
            writer.add(pictures(1)[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_writer_refuses_pictures_of_another_size_or_kind(tmp_path):
    with SeqWriter(tmp_path / "V000.seq", 32, 24) as writer:
        with pytest.raises(ValueError, match="24 x 32"):
            writer.add(np.zeros((32, 24, 3), np.uint8))
        with pytest.raises(InputError, match="not a whole JPEG"):
            writer.add_jpeg(b"\x89PNG")


def test_a_video_that_cannot_be_written_is_an_input_error(tmp_path):
    (tmp_path / "set00").write_text("a file where a folder should be")
    with pytest.raises(InputError, match=r"V000\.seq: cannot be written"), SeqWriter(tmp_path / "set00/V000.seq", 8, 8):
        pass
