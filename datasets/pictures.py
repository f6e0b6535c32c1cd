"""Reading a picture strictly: whole, or an error that says which file it is."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np

from upright.errors import InputError

# What OpenCV reads; also what a folder of pictures is searched for.
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2"}
EXIF_ORIENTATION = 0x0112
JPEG_START = b"\xff\xd8"
JPEG_END = b"\xff\xd9"
JPEG_SCAN = 0xDA
PNG_START = b"\x89PNG"
PNG_END = b"IEND\xaeB`\x82"


def read_picture(path: str | Path) -> np.ndarray:
    """A picture as uint8 (H, W, 3), RGB, turned as its EXIF orientation says.

    Raises:
        InputError: the file is missing, unreadable, empty, cut off or no picture.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the picture {path} ({error.strerror}): check the path") from None
    return decode_picture(data, path)


def decode_picture(data: bytes, name: str | Path) -> np.ndarray:
    """As `read_picture`, from the bytes of the file called `name`."""
    if not data:
        raise InputError(f"the picture {name} is empty: fetch or export it again")
    if cut_off(data):
        raise InputError(f"the picture {name} is cut off: fetch or export it again")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"cannot decode the picture {name}: it is damaged or of a format that OpenCV does not read")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def picture_size(path: str | Path) -> tuple[int, int]:
    """Width and height of a picture as `read_picture` gives it, from its header where that says it.

    Raises:
        InputError: as `read_picture`.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on large pictures, of which only the header is read
            with Image.open(path) as picture:
                width, height = picture.size
                turned = picture.getexif().get(EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    # A damaged header makes Pillow fail in many ways, and OpenCV reads formats that Pillow does not.
    except Exception:
        height, width = read_picture(path).shape[:2]
        return width, height
    return (height, width) if turned else (width, height)


def cut_off(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end. Decoders fill the rest with grey and only grumble on stderr."""
    if data.startswith(PNG_START):
        return PNG_END not in data
    if not data.startswith(JPEG_START):
        return False
    # Walk over the segments, since a thumbnail inside one of them has an end of its own.
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == JPEG_SCAN:
            return JPEG_END not in data[position:]  # scan data never hold this pair of bytes
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return True
