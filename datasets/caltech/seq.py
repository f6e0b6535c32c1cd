"""Norpix .seq video, the format of Caltech's frames: JPEG pictures one behind the other.

    header, 1024 bytes (8192 from version 5 on), little-endian
        0  uint32  0xFEED                        548  uint32  width, height, bits a pixel, bits a channel,
        4  "Norpix seq", UTF-16, 24 bytes                     bytes of an unpacked picture, image format,
       28  int32   version, header size                       frames, 0, bytes of an unpacked frame
       36  description, UTF-16, 512 bytes        584  float64 frames a second
    frame
        uint32 n; n - 4 bytes of JPEG; uint32 seconds, uint16 milliseconds; 2 or 10 bytes of padding

Some recorders put zeros behind a JPEG, which n counts or does not, and pad frames otherwise. The frames differ in
length, so that where one begins is known only from the one before. One pass finds them all; the index it makes is kept
(`cache.py`), and any frame is then one read and one decoding away.

    from upright.datasets.caltech.seq import SeqReader
    with SeqReader("set06/V000.seq") as video:
        picture = video[29]
"""

from __future__ import annotations

import mmap
import struct
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import cv2
import numpy as np

from upright.datasets.caltech import cache
from upright.errors import InputError
from upright.output import whole_file

HEADER_SIZE = 1024
HEADER_SIZES = (HEADER_SIZE, 8192)
MAGIC = 0xFEED
NAME = "Norpix seq".encode("utf-16-le")
JPEG_FORMATS = (102, 201)  # grey, colour
START, END = b"\xff\xd8", b"\xff\xd9"
TIMESTAMP = struct.Struct("<IH")
# After the timestamp come 2 bytes of padding in recordings of the first Caltech cameras, 10 in all others.
TRAILERS = (TIMESTAMP.size + 2, TIMESTAMP.size + 10)
OTHER_TRAILERS = range(TIMESTAMP.size, 33)  # looked at where neither of these leads to a frame
JPEG_PADDING = 8  # zeros behind a JPEG, at most


class SeqReader:
    """The frames of a .seq file, by number counted from 0.

    A file that ends early, or is damaged from some byte on, gives the frames before that and says so in one line
    on stderr. May be handed to other processes: each opens the file for itself.

    Args:
        path: the .seq file.
        cache_dir: where the index is kept; None keeps none.

    Attributes:
        width, height: of the pictures, in pixels.
        fps: frames a second, as the header says.
        announced: the header's number of frames, or that of the file where the header has none.

    Raises:
        InputError: not a .seq file, one that is not made of JPEG pictures, or one without a single whole frame.
    """

    def __init__(self, path: str | Path, cache_dir: Path | None = None) -> None:
        self.path = Path(path)
        self._view: mmap.mmap | None = None
        header = read_header(self.path)
        self.width, self.height, self.fps = header.width, header.height, header.fps
        self._header_size = header.size
        self._starts, self._sizes = self._index(header.frames, cache_dir)
        self.announced = header.frames or len(self)
        if len(self) == 0:
            raise InputError(f"{self.path} holds no whole frame: it was cut off; download it again")
        if len(self) < self.announced:
            print(
                f"warning: {self.path} is cut off or damaged: {len(self)} of its {self.announced} frames are whole",
                file=sys.stderr,
            )

    def __len__(self) -> int:
        """The number of whole frames."""
        return len(self._starts)

    def __getitem__(self, index: int) -> np.ndarray:
        """Frame `index` as uint8 (H, W, 3), RGB."""
        # A copy: a view that an error holds on to would keep the file from being closed.
        data = np.frombuffer(self.jpeg(index), np.uint8)
        try:
            image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        except cv2.error:  # of a size that OpenCV refuses
            image = None
        if image is None:
            raise InputError(f"frame {index} of {self.path} is not a readable JPEG: download the file again")
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def jpeg(self, index: int) -> bytes:
        """The bytes of frame `index` as they stand in the file: a whole JPEG picture."""
        size, start = self._span(index)
        return self._bytes()[start : start + size]

    def seconds(self, index: int) -> float:
        """The time stamp of frame `index`; 0 where the file ends before it."""
        _, start = self._span(index)
        length = int.from_bytes(self._bytes()[start - 4 : start], "little")  # with the zeros behind the JPEG
        stamp = self._bytes()[start - 4 + length : start - 4 + length + TIMESTAMP.size]
        if len(stamp) < TIMESTAMP.size:
            return 0.0
        whole, thousandths = TIMESTAMP.unpack(stamp)
        return whole + thousandths / 1000

    def close(self) -> None:
        """Let go of the file; a later read opens it again."""
        if self._view is not None:
            self._view.close()
            self._view = None

    def __enter__(self) -> SeqReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_view": None}

    def _span(self, index: int) -> tuple[int, int]:
        """Size and start of a frame's JPEG, in bytes."""
        if not 0 <= index < len(self):
            raise InputError(
                f"frame {index} of {self.path} was asked for, but its {len(self)} whole frames have the numbers "
                f"0 to {len(self) - 1}: the file is cut off, or the annotations belong to another video"
            )
        return int(self._sizes[index]), int(self._starts[index])

    def _bytes(self) -> mmap.mmap:
        if self._view is None:
            with self.path.open("rb") as file:
                self._view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._view

    def _index(self, announced: int, cache_dir: Path | None) -> tuple[np.ndarray, np.ndarray]:
        if cache_dir is None:
            return index_frames(self._bytes(), announced, self._header_size)
        place = cache_dir / f"{self.path.parent.name}_{self.path.stem}_seq.npz"
        key = cache.file_key([self.path])
        stored = cache.load(place, key)
        if stored is None:
            starts, sizes = index_frames(self._bytes(), announced, self._header_size)
            stored = {"starts": starts, "sizes": sizes}
            cache.save(place, key, stored)
        return stored["starts"], stored["sizes"]


@dataclass(frozen=True)
class SeqHeader:
    """What the first 1024 bytes of a .seq file say; `frames` is 0 in a file that was never closed, `size` is bytes."""

    width: int
    height: int
    fps: float
    frames: int
    size: int


def read_header(path: Path) -> SeqHeader:
    """The header of a .seq file, without a look at its frames."""
    try:
        with path.open("rb") as file:
            data = file.read(HEADER_SIZE)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the path") from None
    if len(data) < HEADER_SIZE:
        raise InputError(f"{path} is cut off within its header: download it again")
    if struct.unpack_from("<I", data)[0] != MAGIC or data[4 : 4 + len(NAME)] != NAME:
        raise InputError(f"{path} is not a Norpix .seq video (it does not begin with 'Norpix seq'): download it again")
    width, height, _, _, _, image_format, frames = struct.unpack_from("<7I", data, 548)
    if image_format not in JPEG_FORMATS:
        raise InputError(
            f"{path} holds pictures of format {image_format}, not JPEG (102 or 201): write it again with "
            f"upright.datasets.caltech.seq.SeqWriter"
        )
    size = struct.unpack_from("<I", data, 32)[0]
    return SeqHeader(width, height, struct.unpack_from("<d", data, 584)[0], frames, size)


def index_frames(
    data: mmap.mmap | bytes, announced: int = 0, header_size: int = HEADER_SIZE
) -> tuple[np.ndarray, np.ndarray]:
    """Find the whole frames of a .seq file.

    Args:
        data: the bytes of the file.
        announced: stop after so many frames; 0 goes on to the end of the file.
        header_size: what the header says of itself; the usual sizes are tried where no frame begins there.

    Returns:
        starts: int64 (n,), where each JPEG begins.
        sizes: int64 (n,), its bytes.
    """
    starts: list[int] = []
    sizes: list[int] = []
    place = next((p for p in (header_size, *HEADER_SIZES) if _frame_begins(data, p)), HEADER_SIZE)
    trailer = TRAILERS[0]
    while not announced or len(starts) < announced:
        start, end = _frame_at(data, place)
        if end == 0:
            break
        starts.append(start)
        sizes.append(end - start)
        end = place + int.from_bytes(data[place:start], "little")
        # As long as the one before, where that fits. Behind the last frame there is none to tell by.
        likely = (trailer, *TRAILERS, *OTHER_TRAILERS)
        trailer = next((t for t in likely if _frame_begins(data, end + t)), trailer)
        place = end + trailer
    return np.array(starts, np.int64), np.array(sizes, np.int64)


def _frame_begins(data: mmap.mmap | bytes, place: int) -> bool:
    """Whether a length and the first bytes of a JPEG stand at `place`."""
    return data[place + 4 : place + 6] == START


def _frame_at(data: mmap.mmap | bytes, place: int) -> tuple[int, int]:
    """Start and end of the JPEG of the frame at `place`; (0, 0) where no whole one is there."""
    head = data[place : place + 6]
    if len(head) < 6 or head[4:] != START:
        return 0, 0
    end = place + int.from_bytes(head[:4], "little")
    if end > len(data):
        return 0, 0
    tail = data[max(place + 4, end - JPEG_PADDING - len(END)) : end]
    jpeg = tail.rstrip(b"\0")
    if not jpeg.endswith(END):
        return 0, 0
    return place + 4, end - (len(tail) - len(jpeg))


class SeqWriter:
    """Write a .seq file that this project, and MATLAB's seqIo, can read.

    To be used in a `with` block: the file stands under its own name after a block that ended well, and otherwise
    nothing is left of it.

    Args:
        path: the file to write.
        width, height: of the pictures, in pixels.
        fps: frames a second.
        quality: of the JPEG pictures, 0 to 100.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, path: str | Path, width: int, height: int, fps: float = 30.0, quality: int = 90) -> None:
        self.path = Path(path)
        self.width, self.height, self.fps, self.quality = width, height, fps, quality
        self._frames = 0
        self._block = ExitStack()
        self._file: BinaryIO

    def add(self, image: np.ndarray) -> None:
        """Add a picture, uint8 (H, W, 3), RGB."""
        if image.shape != (self.height, self.width, 3) or image.dtype != np.uint8:
            raise ValueError(f"a picture of {self.path} is uint8 {self.height} x {self.width} x 3, not {image.shape}")
        parameters = [cv2.IMWRITE_JPEG_QUALITY, self.quality]
        self.add_jpeg(cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), parameters)[1].tobytes())

    def add_jpeg(self, data: bytes) -> None:
        """Add a picture that is a JPEG file already, without coding it again."""
        if not (data.startswith(START) and data.endswith(END)):
            raise InputError(f"picture {self._frames} given to {self.path} is not a whole JPEG file")
        seconds, thousandths = divmod(round(self._frames / self.fps * 1000), 1000)
        self._file.write((len(data) + 4).to_bytes(4, "little") + data)
        self._file.write(TIMESTAMP.pack(seconds, thousandths) + bytes(TRAILERS[-1] - TIMESTAMP.size))
        self._frames += 1

    def __enter__(self) -> SeqWriter:
        with ExitStack() as block:
            temporary = block.enter_context(whole_file(self.path))
            self._file = block.enter_context(temporary.open("wb"))
            self._file.write(bytes(HEADER_SIZE))
            block.push(self._finish)
            self._block = block.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._block.__exit__(kind, error, trace)

    def _finish(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The header, which knows the number of frames, where the block ended well."""
        if kind is None:
            self._file.seek(0)
            self._file.write(self._header())

    def _header(self) -> bytes:
        unpacked = self.width * self.height * 3
        stamped = unpacked + TIMESTAMP.size
        numbers = [self.width, self.height, 24, 8, unpacked, 201, self._frames, 0, stamped + 512 - stamped % 512]
        header = struct.pack("<I", MAGIC) + NAME.ljust(24, b"\0") + struct.pack("<2i", 3, HEADER_SIZE)
        header += "written by Upright".encode("utf-16-le").ljust(512, b"\0")
        header += struct.pack("<9Id", *numbers, self.fps)
        return header.ljust(HEADER_SIZE, b"\0")
