"""What the page shows of a video, gathered frame by frame in bounded memory."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from upright.detector.detected import Detected
from upright.detector.page.people_over_time import PeopleOverTime
from upright.detector.upright_crops import upright_crop

if TYPE_CHECKING:
    from upright.detector.recording import Event, FrameRecord

HEAT_COLUMNS = 96
STILL_WIDTH = 640  # pixels of the picture under the heat map
CONTEXT_SIDE = 96  # pixels of a person with the surroundings
CONTEXT = 1.25  # side of it, over the person's own
CROP_SIZE = (112, 64)  # height and width of a person set upright
BETTER = 0.01  # by as much a score has to be better before a track's pictures are cut anew
FORGOTTEN_AFTER = 60.0  # seconds without a sight of it, after which a track may make room: it never comes back
MOST_EVENTS = 5000
MOST_BOXES = 400_000  # and frames, of all sources of a page: some 7 MB in the file
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
    points = np.stack([found.boxes[:, [0, 2]].mean(axis=1), found.boxes[:, 3]], axis=1)
    if found.whole is None:
        return points
    known = np.isfinite(found.whole).all(axis=(1, 2))
    return np.where(known[:, None], found.whole[:, 2:].mean(axis=1), points)


def with_surroundings(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A square around a box, uint8 (CONTEXT_SIDE, CONTEXT_SIDE, 3), RGB; grey outside the picture."""
    centre, half = (box[:2] + box[2:]) / 2, CONTEXT / 2 * max(*(box[2:] - box[:2]), 1.0)
    return upright_crop(image, corners_of(np.concatenate([centre - half, centre + half])), (CONTEXT_SIDE, CONTEXT_SIDE))


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

    def add(self, seconds: float, image: np.ndarray, found: Detected) -> None:
        if found.track is None:
            return
        for row, number in enumerate(found.track.tolist()):
            if number < 1:
                continue
            if number not in self._tracks:
                self.total += 1
                self._tracks[number] = Track(number, seconds, seconds)
            track = self._tracks[number]
            track.last = seconds
            track.frames += 1
            if found.scores[row] >= track.score + BETTER:
                self._take_view(track, image, found, row)
        if len(self._tracks) > 2 * self._most:
            self._drop(seconds - FORGOTTEN_AFTER)

    def _take_view(self, track: Track, image: np.ndarray, found: Detected, row: int) -> None:
        corners = corners_of(found.boxes[row])
        if found.whole is not None and np.isfinite(found.whole[row]).all():
            corners = found.whole[row]
        lean = np.nan if found.lean is None else float(found.lean[row])
        track.score = round(float(found.scores[row]), 3)
        track.lean = round(lean, 1) if np.isfinite(lean) else None
        track.surroundings = jpeg_uri(with_surroundings(image, found.boxes[row]))
        track.crop = jpeg_uri(upright_crop(image, corners, CROP_SIZE))

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
        most: boxes and frames that are kept; a frame without a box takes room, too.

    Attributes:
        until: seconds from which on they are left out.
        count: boxes and frames that are kept.
    """

    def __init__(self, most: int = MOST_BOXES) -> None:
        self.until: float | None = None
        self.count = 0
        self._most = most
        self._tracked = False
        self._times, self._counts = bytearray(), bytearray()
        self._corners, self._scores, self._tracks = bytearray(), bytearray(), bytearray()

    def add(self, seconds: float, size: tuple[int, int], found: Detected) -> None:
        """Keep a frame's boxes; `size` is its width and height."""
        count = len(found.scores)
        if self.until is not None or self.count + count + 1 > self._most:
            self.until = seconds if self.until is None else self.until
            return
        self.count += count + 1
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
    aspect: float = 1.0  # width of a pixel over its height
    copy_start: float = 0.0  # seconds of the video at which its copy begins
    size: tuple[int, int] = (1, 1)
    events: list[Event] = field(default_factory=list)
    events_total: int = 0
    counts: dict[str, int] = field(default_factory=dict)  # of the last frame
    tracked: bool = False
    still: str = ""
    heat: HeatMap | None = None

    def add(self, record: FrameRecord) -> None:
        image, found = record.frame.image, record.found
        seconds = record.frame.seconds or 0.0
        size = (image.shape[1], image.shape[0])
        if self.heat is None:
            self.size, self.first = size, seconds
            if record.frame.video is not None:
                self.aspect, self.copy_start = float(record.frame.video.aspect), record.frame.video.start
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
            "aspect": self.aspect,
            "copy_start": self.copy_start,
            "width": self.size[0],
            "height": self.size[1],
            "chart": self.over_time.as_json(),
            "boxes": self.boxes.as_json(),
            "still": self.still,
            "heat": self.heat and self.heat.as_json(),
            "tracked": self.tracked,
            "tracks": self.tracks.as_json(),
            "tracks_total": self.tracks.total,
            # Whoever vanished in a zone has left it when last seen, which is known only later.
            "events": [asdict(event) for event in sorted(self.events, key=lambda event: event.seconds)],
            "events_total": self.events_total,
        }
