"""Reading a picture strictly: whole, or with a word about what is odd, or an error; each says which file it is."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path

import cv2
import numpy as np

from upright.datasets.native_messages import with_messages
from upright.errors import InputError, InputWarning

# What can be read; also what a folder of pictures is searched for.
PICTURE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".jp2", ".avif", ".gif", ".heic", ".heif", ".hif"),
}
EXIF_ORIENTATION = 0x0112
JPEG_START = b"\xff\xd8"
JPEG_END = b"\xff\xd9"
JPEG_SCAN = 0xDA
PNG_START = b"\x89PNG"
PNG_END = b"IEND\xaeB`\x82"
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
DAMAGE = re.compile(r"^(Corrupt JPEG data|Premature end of JPEG|Inconsistent progression)")  # libjpeg's own words


def spread_pictures(folder: str | Path, count: int) -> list[Path]:
    """Pictures of a folder and the folders in it, spread evenly over their names.

    Args:
        folder: where they are.
        count: how many at most.

    Raises:
        InputError: there is no such folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: give one with pictures")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise InputError(f"{folder} holds no picture: give a folder with {count}, if you can")
    used = min(count, len(found))
    return [found[i * len(found) // used] for i in range(used)]


def read_picture(path: str | Path, notes: list[str] | None = None) -> np.ndarray:
    """A picture as uint8 (H, W, 3), RGB, turned as its EXIF orientation says.

    Args:
        path: the file.
        notes: gets one line where the picture is used though something about it is odd; by default such a line is
            an `InputWarning`.

    Raises:
        InputError: the file is missing, unreadable, empty, cut off or no picture.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the picture {path} ({error.strerror}): check the path") from None
    return decode_picture(data, path, notes)


def decode_picture(data: bytes, name: str | Path, notes: list[str] | None = None) -> np.ndarray:
    """As `read_picture`, from the bytes of the file called `name`."""
    if not data:
        raise InputError(f"the picture {name} is empty: fetch or export it again")
    without_end = data.startswith(JPEG_START) and cut_off(data) and not cut_off(data + JPEG_END)
    if cut_off(data) and not without_end:
        raise InputError(f"the picture {name} is cut off: fetch or export it again")
    if is_heic(data[:32]) or _is_avif(data[:32]):
        return _by_pillow(data, name)
    image, messages = _decode(data + JPEG_END if without_end else data, name, cv2.IMREAD_COLOR)
    damage = [message for message in messages if DAMAGE.search(message)]
    if without_end and (damage or image is None):
        raise InputError(f"the picture {name} is cut off: fetch or export it again")
    if image is None:
        raise InputError(_why_not(data, name, messages))
    if without_end:
        _note(f"the picture {name} lacks its last two bytes and is whole otherwise; it is used", notes)
    elif damage:
        _note(f"the picture {name} is damaged ({damage[0]}) and used as it is: fetch or export it again", notes)
    if _may_have_sixteen_bits(data):
        image = _stretched(data, image, name, notes)
    if _holds_more(data):
        _note(f"{name} holds several pictures, of which the first is used: export the others one by one", notes)
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


def is_heic(start: bytes) -> bool:
    """Whether a file that starts so (32 bytes will do) is a HEIC picture: FFmpeg takes one tile of it for a film."""
    return start[4:8] == b"ftyp" and start[8:12] in HEIC_BRANDS and b"avi" not in start[8:32]


def _is_avif(start: bytes) -> bool:
    return start[4:8] == b"ftyp" and any(brand in start[8:] for brand in (b"avif", b"avis"))


def _by_pillow(data: bytes, name: str | Path) -> np.ndarray:
    """AVIF, of which OpenCV leaves out the turn, and HEIC, which it does not know."""
    from PIL import Image, ImageOps

    kind = "HEIC" if is_heic(data[:32]) else "AVIF"
    if kind == "HEIC":
        try:
            import pillow_heif
        except ModuleNotFoundError:
            raise InputError(
                f"the picture {name} is HEIC: install Upright with its extra 'heif' (pip install pillow-heif will do), "
                "or export it as JPEG"
            ) from None
        pillow_heif.register_heif_opener()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on many pixels
            picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
            return np.array(picture.convert("RGB"))
    # Damaged data make the libraries fail in many ways.
    except Exception as error:
        raise InputError(f"the {kind} picture {name} cannot be decoded ({error}): fetch or export it again") from None


def _decode(data: bytes, name: str | Path, flags: int) -> tuple[np.ndarray | None, list[str]]:
    try:
        return with_messages(lambda: cv2.imdecode(np.frombuffer(data, np.uint8), flags))
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in str(error):
            limit = "2^30 pixels, or 2^20 a side"
            raise InputError(
                f"the picture {name} is larger than OpenCV reads ({limit}): make it smaller or cut it into parts"
            ) from None
        raise InputError(f"cannot decode the picture {name} ({error.err or error.code}): export it again") from None


def _why_not(data: bytes, name: str | Path, messages: list[str]) -> str:
    """Why OpenCV gave no picture."""
    raw, _ = _decode(data, name, cv2.IMREAD_UNCHANGED)
    if raw is not None and raw.dtype != np.uint8:
        return (
            f"the picture {name} holds {raw.dtype} numbers, of which nobody knows which is white: "
            "export it with 8 or 16 bits a colour"
        )
    errors = [message.removeprefix("libpng error: ") for message in messages if "libpng error" in message]
    if errors:
        return f"the picture {name} is damaged ({errors[-1]}): fetch or export it again"
    return f"cannot decode the picture {name}: it is damaged or of a format that OpenCV does not read"


def _may_have_sixteen_bits(data: bytes) -> bool:
    if data.startswith(PNG_START):
        return data[24:25] == b"\x10"  # IHDR's bit depth
    return data.startswith((b"II*\0", b"MM\0*", b"P5", b"P6", b"\0\0\0\x0cjP"))  # TIFF, PGM, PPM, JPEG 2000


def _stretched(data: bytes, image: np.ndarray, name: str | Path, notes: list[str] | None) -> np.ndarray:
    """`image`, or, where a sensor's 9 to 14 bits lie at the dark end of 16, their upper 8 bits."""
    deep, _ = _decode(data, name, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if deep is None or deep.dtype != np.uint16:
        return image
    bits = int(deep.max()).bit_length()
    bits += bits % 2  # sensors have 10, 12 or 14
    if not 9 <= bits <= 14:
        return image
    _note(f"the picture {name} holds {bits} bits in 16 and would be all but black; it is brightened to 8 bits", notes)
    return (deep >> (bits - 8)).astype(np.uint8)


def _holds_more(data: bytes) -> bool:
    """Whether a file holds a second picture: pages, or the frames of an animation."""
    if data.startswith((b"GIF8", b"II*\0", b"MM\0*")):
        try:
            return with_messages(lambda: cv2.imdecodemulti(np.frombuffer(data, np.uint8), 0, range=(1, 2)))[0][0]
        except cv2.error:
            return False
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return data.count(b"ANMF") > 1
    return data.startswith(PNG_START) and b"acTL" in data[:4096]  # stands before the picture's data


def _note(text: str, notes: list[str] | None) -> None:
    if notes is None:
        warnings.warn(text, InputWarning, stacklevel=3)
    else:
        notes.append(text)


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
