"""Pictures are read whole, the right way up and in RGB, or not at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from upright.datasets.pictures import decode_picture, read_picture
from upright.errors import InputError


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
