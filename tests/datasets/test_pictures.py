"""Pictures are read whole, the right way up and in RGB, or not at all."""

from __future__ import annotations

import io
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from upright.datasets.pictures import decode_picture, read_picture, spread_pictures
from upright.errors import InputError, InputWarning


def encoded(suffix: str) -> bytes:
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :30] = (255, 0, 0)  # blue, as OpenCV orders channels
    return cv2.imencode(suffix, image)[1].tobytes()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_colours_come_as_rgb(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").write_bytes(encoded(suffix))
    image = read_picture(tmp_path / f"a{suffix}")
    assert image.shape == (40, 60, 3)
    assert image[20, 10, 2] > 240
    assert image[20, 10, 0] < 15


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_a_picture_cut_anywhere_is_refused(suffix: str, share: float) -> None:
    data = encoded(suffix)
    with pytest.raises(InputError, match="street"):
        decode_picture(data[: int(len(data) * share)], "street" + suffix)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture() -> None:
    data = encoded(".jpg")
    thumbnail = encoded(".jpg")
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    with_thumbnail = data[:2] + segment + data[2:]
    assert decode_picture(with_thumbnail, "a.jpg").shape == (40, 60, 3)
    with pytest.raises(InputError, match="cut off"):
        decode_picture(with_thumbnail[:-30], "a.jpg")


@pytest.mark.parametrize("data", [b"hello", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\nIEND\xaeB`\x82"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        decode_picture(data, "a.jpg")


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.png"):
        read_picture(tmp_path / "nowhere.png")


def detailed() -> np.ndarray:
    return cv2.resize(np.random.default_rng(0).integers(0, 256, (15, 20, 3), np.uint8), (200, 150))


def test_pictures_are_spread_over_the_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no picture"):
        spread_pictures(tmp_path, 3)
    (tmp_path / "more").mkdir()
    for name in ("0.png", "1.PNG", "2.jpg", "3.txt", "3.webp", "4.png", "more/5.png"):
        (tmp_path / name).touch()
    assert [path.stem for path in spread_pictures(tmp_path, 3)] == ["0", "2", "4"]
    assert len(spread_pictures(tmp_path, 100)) == 6
    with pytest.raises(InputError, match="nowhere is no folder"):
        spread_pictures(tmp_path / "nowhere", 3)


def test_a_jpeg_without_its_end_is_used_with_a_word() -> None:
    data = cv2.imencode(".jpg", detailed())[1].tobytes()
    notes: list[str] = []
    image = decode_picture(data[:-2], "a.jpg", notes)
    np.testing.assert_array_equal(image, decode_picture(data, "a.jpg"))
    (note,) = notes
    assert "a.jpg" in note
    with pytest.raises(InputError, match="cut off"):
        decode_picture(data[:-20], "a.jpg")


def test_a_jpeg_damaged_in_the_middle_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(cv2.imencode(".jpg", detailed())[1].tobytes())
    start = data.index(b"\xff\xda") + 14
    data[start + 500 : start + 520] = bytes(range(1, 21))
    notes: list[str] = []
    decode_picture(bytes(data), "a.jpg", notes)
    assert len(notes) == 1
    assert "a.jpg is damaged" in notes[0]
    with pytest.warns(InputWarning, match="damaged"):
        decode_picture(bytes(data), "a.jpg")
    assert capfd.readouterr().err == ""


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def test_a_damaged_png_is_refused_with_the_reason(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(cv2.imencode(".png", detailed())[1].tobytes())
    data[len(data) // 2] ^= 16
    with pytest.raises(InputError, match=r"a\.png is damaged \(.*CRC"):
        decode_picture(bytes(data), "a.png")
    assert capfd.readouterr().err == ""


def test_a_harmless_fault_of_a_png_is_not_mentioned(capfd: pytest.CaptureFixture[str]) -> None:
    data = cv2.imencode(".png", detailed())[1].tobytes()
    profile = png_chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(200)))
    notes: list[str] = []
    decode_picture(data[:33] + profile + data[33:], "a.png", notes)
    assert (notes, capfd.readouterr().err) == ([], "")


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize(("bits", "said"), [(10, True), (12, True), (14, True), (16, False)])
def test_a_sensors_bits_in_sixteen_are_brightened(suffix: str, bits: int, said: bool) -> None:
    grey = detailed()[..., 0].astype(np.uint16)
    data = cv2.imencode(suffix, grey << (bits - 8))[1].tobytes()
    notes: list[str] = []
    image = decode_picture(data, "a" + suffix, notes)
    np.testing.assert_array_equal(image[..., 0], grey)
    assert len(notes) == said


def test_a_picture_of_floats_says_that_it_is_one(tmp_path: Path) -> None:
    data = cv2.imencode(".tiff", detailed().astype(np.float32) / 255)[1].tobytes()
    with pytest.raises(InputError, match="float32"):
        decode_picture(data, "a.tif")


def test_a_picture_beyond_opencvs_limit_says_so() -> None:
    header = (40000).to_bytes(4, "big") * 2 + b"\x08\2\0\0\0"
    data = (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b""))
        + png_chunk(b"IEND", b"")
    )
    with pytest.raises(InputError, match=r"a\.png is larger"):
        decode_picture(data, "a.png")


def test_a_picture_that_holds_several_is_said() -> None:
    pages = cv2.imencodemulti(".tiff", [detailed(), detailed()])[1].tobytes()
    notes: list[str] = []
    decode_picture(pages, "a.tiff", notes)
    decode_picture(cv2.imencode(".tiff", detailed())[1].tobytes(), "b.tiff", notes)
    (note,) = notes
    assert "a.tiff" in note


BROKEN_HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def test_heic_that_is_broken_is_called_by_its_name() -> None:
    pytest.importorskip("pillow_heif", reason="the extra 'heif' is not installed")
    with pytest.raises(InputError, match=r"HEIC picture a\.jpg cannot be decoded"):
        decode_picture(BROKEN_HEIC, "a.jpg")


def test_what_reads_heic_is_named_where_it_is_missing(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r"a\.heic is HEIC.*'heif'"):
        decode_picture(BROKEN_HEIC, "a.heic")


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_avif_and_heic_are_read_whole_and_turned(kind: str) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif", reason="the extra 'heif' is not installed").register_heif_opener()
    image = detailed()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    file = io.BytesIO()
    try:
        Image.fromarray(image).save(file, kind, exif=exif.tobytes(), quality=90)
    except (OSError, KeyError) as error:
        pytest.skip(f"{kind} cannot be written here: {error}")
    turned = decode_picture(file.getvalue(), "a")
    assert turned.shape == (image.shape[1], image.shape[0], 3)
    assert np.abs(turned.astype(int) - np.rot90(image, -1)).mean() < 12
    with pytest.raises(InputError, match="cannot be decoded"):
        decode_picture(file.getvalue()[: len(file.getvalue()) // 2], "a")
