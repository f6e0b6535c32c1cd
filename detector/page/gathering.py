"""What the page shows of a video, gathered frame by frame in bounded memory."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from upright.detector.detected import Detected
from upright.detector.page.people_over_time import PeopleOverTime

if TYPE_CHECKING:
    from upright.detector.recording import Event, FrameRecord

HEAT_COLUMNS = 96
STILL_WIDTH = 640  # pixels of the picture under the heat map
CONTEXT_SIDE = 96  # pixels of a person with the surroundings
CROP_SIZE = (64, 128)  # width and height of a person set upright
BETTER = 0.01  # by as much a score has to be better before a track's pictures are cut anew
FORGOTTEN_AFTER = 60.0  # seconds without a sight of it, after which a track may make room
MOST_EVENTS = 5000
MOST_BOXES = 400_000  # of all sources of a page: some 7 MB in the file
MOST_TRACKS = 600  # of all sources of a page: some 5 MB in the file
PART = 65535  # parts of the picture's sides, in which places are written


def jpeg_uri(image: np.ndarray, quality: int = 75) -> str:
    """A picture uint8 (H, W, 3), RGB, as a data address."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def smaller(image: np.ndarray, width: int, height: int | None = None) -> np.ndarray:
    """A picture shrunk to fit into a width (and a height); one that fits stays as it is."""
    scale = min(1.0, width / image.shape[1], 1.0 if height is None else height / image.shape[0])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return image if scale == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def packed(values: bytes | bytearray) -> str:
    return base64.b64encode(values).decode("ascii")


def corners_of(box: np.ndarray) -> np.ndarray:
    """The corners (4, 2) of a box (4,), top left first, then clockwise."""
    x1, y1, x2, y2 = box
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])


def feet(found: Detected) -> np.ndarray:
    """Where people stand, (n, 2) in pixels: the middle of the lower side of the whole person, or of the box."""
    if found.whole is not None:
        return found.whole[:, 2:].mean(axis=1)
    return np.stack([found.boxes[:, [0, 2]].mean(axis=1), found.boxes[:, 3]], axis=1)


def upright_crop(image: np.ndarray, corners: np.ndarray, size: tuple[int, int] = CROP_SIZE) -> np.ndarray:
    """A quadrilateral of a picture, turned upright and not distorted more than its own corners are.

    Args:
        image: uint8 (H, W, 3), RGB.
        corners: (4, 2), top left of the upright person first, then clockwise.
        size: width and height of the crop at most.

    Returns:
        uint8 (h, w, 3), RGB; grey outside the picture.
    """
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    wide, high = max(1.0, sides[[0, 2]].mean()), max(1.0, sides[[1, 3]].mean())
    scale = min(size[0] / wide, size[1] / high)
    width, height = max(1, round(wide * scale)), max(1, round(high * scale))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    finer = min(8, max(1, int(1 / scale)))  # a large person is read finer and averaged
    transform = cv2.getPerspectiveTransform(corners.astype(np.float32), target * finer)
    crop = cv2.warpPerspective(image, transform, (width * finer, height * finer), borderValue=(96, 96, 96))
    return crop if finer == 1 else cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)


def with_surroundings(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A square around a box, uint8 (CONTEXT_SIDE, CONTEXT_SIDE, 3), RGB; grey outside the picture."""
    centre, side = (box[:2] + box[2:]) / 2, 1.25 * max(*(box[2:] - box[:2]), 1.0)
    square = np.concatenate([centre - side / 2, centre + side / 2])
    return upright_crop(image, corners_of(square), (CONTEXT_SIDE, CONTEXT_SIDE))


@dataclass
class Track:
    """What is told of a track: first and last time in seconds, frames it was seen in, its best view."""

    track: int
    first: float
    last: float
    frames: int = 0
    score: float = -1.0
    lean: float | None = None
    surroundings: str = ""
    crop: str = ""


class TrackList:
    """The tracks of a source; where they become too many, those that were seen in the fewest frames go.

    Args:
        most: tracks that are kept.
    """

    def __init__(self, most: int = MOST_TRACKS) -> None:
        self.total = 0
        self._most = most
        self._tracks: dict[int, Track] = {}
        self._newest = 0

    def add(self, seconds: float, image: np.ndarray, found: Detected) -> None:
        if found.track is None:
            return
        for row, number in enumerate(found.track.tolist()):
            if number < 1:
                continue
            if number > self._newest:  # they are numbered from 1, so a smaller one was dropped before
                self._newest = number
                self.total += 1
                self._tracks[number] = Track(number, seconds, seconds)
            if number not in self._tracks:
                continue
            track = self._tracks[number]
            track.last = seconds
            track.frames += 1
            if found.scores[row] >= track.score + BETTER:
                self._take_view(track, image, found, row)
        if len(self._tracks) > 2 * self._most:
            self._drop(seconds - FORGOTTEN_AFTER)

    def _take_view(self, track: Track, image: np.ndarray, found: Detected, row: int) -> None:
        corners = corners_of(found.boxes[row]) if found.whole is None else found.whole[row]
        track.score = round(float(found.scores[row]), 3)
        track.lean = None if found.lean is None else round(float(found.lean[row]), 1)
        track.surroundings = jpeg_uri(with_surroundings(image, found.boxes[row]))
        track.crop = jpeg_uri(upright_crop(image, corners))

    def _drop(self, before: float) -> None:
        """Leave out the least seen of those that ended before a time."""
        ended = sorted((t for t in self._tracks.values() if t.last < before), key=lambda t: t.frames)
        for track in ended[: len(self._tracks) - self._most]:
            del self._tracks[track.track]

    def as_json(self) -> list[dict[str, Any]]:
        """Those that are kept, in the order of their numbers."""
        kept = sorted(self._tracks.values(), key=lambda track: -track.frames)[: self._most]
        return [asdict(track) for track in sorted(kept, key=lambda track: track.track)]


class BoxList:
    """The boxes of the first frames, as many as there is room for, as columns of numbers.

    Args:
        most: boxes that are kept.
    """

    def __init__(self, most: int = MOST_BOXES) -> None:
        self.until: float | None = None  # seconds from which on they are left out
        self.count = 0
        self._most = most
        self._tracked = False
        self._times, self._counts = bytearray(), bytearray()
        self._corners, self._scores, self._tracks = bytearray(), bytearray(), bytearray()

    def add(self, seconds: float, size: tuple[int, int], found: Detected) -> None:
        """Keep a frame's boxes; `size` is its width and height."""
        count = len(found.scores)
        if self.until is not None or self.count + count > self._most:
            self.until = seconds if self.until is None else self.until
            return
        self.count += count
        self._tracked |= found.track is not None
        tracks = np.zeros(count) if found.track is None else np.maximum(found.track, 0)
        places = np.rint(found.boxes / np.tile(size, 2) * PART)
        self._times += np.array([max(0.0, seconds) * 1000]).round().astype("<u4").tobytes()
        self._counts += np.array([count], "<u2").tobytes()
        self._corners += places.clip(0, PART).astype("<u2").tobytes()
        self._scores += np.rint(found.scores * 100).clip(0, 100).astype("u1").tobytes()
        self._tracks += tracks.astype("<u4").tobytes()

    def as_json(self) -> dict[str, Any]:
        """Little-endian numbers in base 64.

        `times` u32 milliseconds and `counts` u16 a frame; `corners` u16 (n, 4), x1 y1 x2 y2 in 65535ths of width and
        height, `scores` u8 in hundredths and `tracks` u32, 0 for none, a box.
        """
        return {
            "times": packed(self._times),
            "counts": packed(self._counts),
            "corners": packed(self._corners),
            "scores": packed(self._scores),
            "tracks": packed(self._tracks) if self._tracked else None,
            "until": self.until,
        }


class HeatMap:
    """How often people stood where, on a grid as wide as `HEAT_COLUMNS`.

    Args:
        size: width and height of the frames.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        rows = min(4 * HEAT_COLUMNS, max(1, round(HEAT_COLUMNS * size[1] / size[0])))
        self._cells = np.zeros((rows, HEAT_COLUMNS), np.float32)

    def add(self, size: tuple[int, int], found: Detected) -> None:
        """Count a frame of `size`, which may change on the way."""
        rows, columns = self._cells.shape
        cells = np.floor(feet(found) / size * (columns, rows)).astype(int)
        # The lower edge of a box may be the picture's own.
        np.add.at(self._cells, (cells[:, 1].clip(0, rows - 1), cells[:, 0].clip(0, columns - 1)), 1)

    def as_json(self) -> dict[str, Any]:
        """`values` u8 (rows, columns) in base 64: the root of how often, over that of the most, smoothed a little."""
        smooth = cv2.GaussianBlur(self._cells, (0, 0), 1.2)
        values = np.sqrt(smooth / max(float(smooth.max()), 1e-9))
        rows, columns = values.shape
        return {"rows": rows, "columns": columns, "values": packed(np.rint(values * 255).astype("u1").tobytes())}


@dataclass
class VideoPage:
    """All that the page shows of one video or stream.

    Attributes:
        tracks, boxes: bounded as their arguments say.
    """

    tracks: TrackList
    boxes: BoxList
    over_time: PeopleOverTime = field(default_factory=PeopleOverTime)
    frames: int = 0
    people: int = 0
    first: float = 0.0
    last: float = 0.0
    size: tuple[int, int] = (1, 1)
    events: list[Event] = field(default_factory=list)
    events_total: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    tracked: bool = False
    still: str = ""
    heat: HeatMap | None = None

    def add(self, record: FrameRecord) -> None:
        image, found = record.frame.image, record.found
        seconds = record.frame.seconds or 0.0
        size = (image.shape[1], image.shape[0])
        if self.heat is None:
            self.size, self.first = size, seconds
            self.still, self.heat = jpeg_uri(smaller(image, STILL_WIDTH)), HeatMap(size)
        self.frames += 1
        self.people += len(found.scores)
        self.last = max(self.last, seconds)
        self.counts = record.counts
        self.tracked |= found.track is not None
        self.over_time.add(seconds, len(found.scores))
        self.boxes.add(seconds, size, found)
        self.heat.add(size, found)
        self.tracks.add(seconds, image, found)
        self.add_events(record.events)

    def add_events(self, events: tuple[Event, ...]) -> None:
        self.events_total += len(events)
        self.events += events[: max(0, MOST_EVENTS - len(self.events))]

    def as_json(self) -> dict[str, Any]:
        return {
            "frames": self.frames,
            "people": self.people,
            "first": self.first,
            "last": self.last,
            "width": self.size[0],
            "height": self.size[1],
            "counts": self.counts,
            "chart": self.over_time.as_json(),
            "boxes": self.boxes.as_json(),
            "still": self.still,
            "heat": self.heat and self.heat.as_json(),
            "tracked": self.tracked,
            "tracks": self.tracks.as_json(),
            "tracks_total": self.tracks.total,
            "events": [asdict(event) for event in self.events],
            "events_total": self.events_total,
        }
