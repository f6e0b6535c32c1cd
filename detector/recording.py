"""What inference leaves behind: annotated pictures and videos, their canonical crops, `detections.json`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from upright.detector.detected import Detected, boxes_xywh
from upright.detector.drawing import STRIP_HEIGHT, crop_sheet, draw_detections, person_strips, side_by_side
from upright.detector.sources import Frame, crops_name
from upright.detector.spatial_transformer import Transformation
from upright.detector.video import VideoWriter, write_picture
from upright.output import whole_file

FEWEST_ROWS = 4  # of strips, beside a low picture; a higher one has room for more
FEWEST_STRIPS = 8  # beside a video, in two columns where one has no room for them


class Recorder:
    """The stage behind the model: draws and writes each frame, and keeps what `detections.json` will hold.

    Of a source that was not read to its end nothing remains.

    Args:
        threshold: detections below this score are neither drawn nor kept.
        transformation: of the model's theta, to draw canonical crops; None draws none.

    Attributes:
        images, detections: the entries of `detections.json`, of the sources read to their end.
        written: the annotated files.
    """

    def __init__(self, threshold: float, transformation: Transformation | None = None) -> None:
        self.images: list[dict[str, Any]] = []
        self.detections: list[dict[str, Any]] = []
        self.written: list[Path] = []
        self._threshold = threshold
        self._transformation = transformation
        self._entries: list[tuple[dict[str, Any], np.ndarray, np.ndarray]] = []
        self._videos: dict[Path, VideoWriter] = {}
        self._finished: list[Path] = []

    def add(self, frame: Frame, found: Detected) -> None:
        """Draw and write a frame."""
        found = found.above(self._threshold)
        height, width = frame.image.shape[:2]
        entry = {"file_name": str(frame.source.path), "width": width, "height": height}
        if frame.number is not None:
            entry |= {"frame": frame.number, "seconds": frame.seconds}
        self._entries.append((entry, found.boxes, found.scores))
        self._write(frame, frame.source.output, draw_detections(frame.image, found.boxes, found.scores))
        if self._transformation is not None:
            panel = crops_panel(frame.image, found, self._transformation, fixed=frame.number is not None)
            self._write(frame, crops_name(frame.source.output), panel)

    def _write(self, frame: Frame, path: Path, image: np.ndarray) -> None:
        if frame.fps is None:
            write_picture(path, image)
            self._finished.append(path)
            return
        if path not in self._videos:
            self._videos[path] = VideoWriter(path, frame.fps, image.shape[1::-1])
        self._videos[path].write(image)

    def finish(self) -> None:
        """The source was read to its end: its videos get their names, its detections are kept."""
        for video in self._videos.values():
            video.close()
            self._finished.append(video.path)
        self.written += self._finished
        self._videos, self._finished = {}, []
        for entry, boxes, scores in self._entries:
            number = len(self.images) + 1
            self.images.append({"id": number, **entry})
            for box, score in zip(boxes_xywh(boxes).tolist(), scores.tolist(), strict=True):
                self.detections.append({"image_id": number, "category_id": 1, "bbox": box, "score": score})
        self._entries = []

    def discard(self) -> None:
        """Forget a source that was not read to its end."""
        for video in self._videos.values():
            video.discard()
        for path in self._finished:
            path.unlink(missing_ok=True)
        self._videos, self._finished, self._entries = {}, [], []

    def write(self, path: str | Path, settings: dict[str, Any]) -> None:
        """Write `detections.json`, whole or not at all.

        Raises:
            InputError: the file cannot be written.
        """
        content = {"images": self.images, "detections": self.detections, "settings": settings}
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")


def crops_panel(image: np.ndarray, found: Detected, transformation: Transformation, fixed: bool) -> np.ndarray:
    """A picture with numbered boxes and, beside it, each person's region and canonical crops.

    Args:
        image: uint8 (H, W, 3), RGB.
        found: with `proposals` and `theta`.
        transformation: that theta belongs to.
        fixed: as many strips whatever was found, for video: those of the surest, whose boxes alone have numbers.

    Returns:
        uint8 (h, w, 3), RGB, both sides even.
    """
    rows, count = max(FEWEST_ROWS, image.shape[0] // STRIP_HEIGHT), len(found.scores)
    if fixed:
        columns = 1 if rows >= FEWEST_STRIPS else 2
        count = min(count, rows * columns)
    else:
        rows = max(rows, math.ceil(math.sqrt(3 * count)))  # a strip is long: about a square of them
        columns = max(1, math.ceil(count / rows))
    # From left to right: in a video they change places least that way.
    order = np.argsort(found.boxes[:count, 0], kind="stable")
    shown = found.take(order)
    names = [f"{number} {score:.2f}" for number, score in enumerate(shown.scores, 1)]
    proposals, theta = shown.regions()
    strips = person_strips(image, proposals, theta, transformation, names)
    sheet = crop_sheet(strips, theta.shape[1], columns, rows if fixed or columns > 1 else None)
    labels = [""] * len(found.scores)
    for number, row in enumerate(order, 1):
        labels[row] = str(number)
    return side_by_side(draw_detections(image, found.boxes, found.scores, labels), sheet)
