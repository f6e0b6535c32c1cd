"""What inference leaves behind: annotated pictures and videos, people upright beside them, `detections.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from upright.detector.detected import Detected, boxes_xywh
from upright.detector.drawing import draw_detections
from upright.detector.pose_drawing import draw_poses
from upright.detector.pose_entries import Pose, pose_entries
from upright.detector.sources import Frame, crops_name
from upright.detector.upright_crops import crops_panel
from upright.detector.video import VideoWriter, write_picture
from upright.output import whole_file


class Recorder:
    """The stage behind the model: draws and writes each frame, and keeps what `detections.json` will hold.

    Of a source that was not read to its end nothing remains.

    Args:
        threshold: detections below this score are neither drawn nor kept.
        pose: draw how people stand, too; and
        crops: write pictures of people upright beside the annotated copies: both for detections with a pose.

    Attributes:
        images, detections: the entries of `detections.json`, of the sources read to their end.
        written: the annotated files.
    """

    def __init__(self, threshold: float, pose: bool = False, crops: bool = False) -> None:
        self.images: list[dict[str, Any]] = []
        self.detections: list[dict[str, Any]] = []
        self.written: list[Path] = []
        self._threshold = threshold
        self._pose = pose
        self._crops = crops
        self._entries: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
        self._videos: dict[Path, VideoWriter] = {}
        self._finished: list[Path] = []

    def add(self, frame: Frame, found: Detected) -> None:
        """Draw and write a frame."""
        found = found.above(self._threshold)
        height, width = frame.image.shape[:2]
        entry = {"file_name": str(frame.source.path), "width": width, "height": height}
        if frame.number is not None:
            entry |= {"frame": frame.number, "seconds": frame.seconds}
        self._entries.append((entry, detection_entries(found)))
        drawn = (
            draw_poses(frame.image, found) if self._pose else draw_detections(frame.image, found.boxes, found.scores)
        )
        self._write(frame, frame.source.output, drawn)
        if self._crops:
            panel = crops_panel(frame.image, found, fixed=frame.number is not None)
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
        for entry, detections in self._entries:
            number = len(self.images) + 1
            self.images.append({"id": number, **entry})
            self.detections += [{"image_id": number, **one} for one in detections]
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


def detection_entries(found: Detected) -> list[dict[str, Any]]:
    """What `detections.json` says of each detection of a picture, but for which picture it is."""
    poses = pose_entries(Pose.of(found), len(found.scores))
    return [
        {"category_id": 1, "bbox": box, "score": score, **pose}
        for box, score, pose in zip(boxes_xywh(found.boxes).tolist(), found.scores.tolist(), poses, strict=True)
    ]
