"""Annotated copies of pictures and videos, and people upright beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from upright.detector.drawing import draw_detections
from upright.detector.events import Event, Fallen, Line, Zone
from upright.detector.pose_drawing import draw_poses
from upright.detector.recording import FrameRecord
from upright.detector.sources import Frame, Source, crops_name
from upright.detector.upright_crops import crops_panel
from upright.detector.video_reader import VideoFormat
from upright.detector.video_writer import VideoWriter, write_picture
from upright.detector.watch_drawing import draw_watched
from upright.errors import InputError


class AnnotatedCopies:
    """An output that draws what was found into the picture and writes it where the source says.

    Args:
        pose: draw how people stand, too; and
        crops: write pictures of people upright beside the annotated copies: both for detections with a pose.
        watched: lines and zones that are drawn with their counts.
    """

    def __init__(self, pose: bool = False, crops: bool = False, watched: Sequence[Line | Zone | Fallen] = ()) -> None:
        self._pose = pose
        self._crops = crops
        self._watched = watched
        self._videos: dict[Path, VideoWriter] = {}
        self._finished: list[Path] = []

    def begin(self, source: Source) -> None:
        self._videos, self._finished = {}, []

    def add(self, record: FrameRecord) -> None:
        """Draw and write a frame."""
        frame, found = record.frame, record.found
        labels = None if found.track is None else track_labels(found.track, found.scores)
        if self._pose:
            drawn = draw_poses(frame.image, found, labels)
        else:
            drawn = draw_detections(frame.image, found.boxes, found.scores, labels)
        if frame.number is not None:
            draw_watched(drawn, self._watched, record.counts)
        self._write(frame, frame.source.output, drawn, frame.video)
        if self._crops:
            panel = crops_panel(frame.image, found, fixed=frame.number is not None)
            beside = None if frame.video is None else frame.video.beside()
            self._write(frame, crops_name(frame.source.output), panel, beside)

    def _write(self, frame: Frame, path: Path, image: np.ndarray, like: VideoFormat | None) -> None:
        if frame.fps is None:
            write_picture(path, image)
            self._finished.append(path)
            return
        if path not in self._videos:
            self._videos[path] = VideoWriter(path, frame.fps, image.shape[1::-1], like)
        try:
            self._videos[path].write(image, frame.seconds)
        except InputError:  # it is gone; another that belongs to this source may be kept
            del self._videos[path]
            raise

    def finish(self, events: tuple[Event, ...]) -> None:
        """The videos get their names."""
        while self._videos:
            video = self._videos.pop(next(iter(self._videos)))
            try:
                video.close()
            except BaseException:
                video.discard()
                raise
            self._finished.append(video.path)

    def discard(self) -> None:
        for video in self._videos.values():
            video.discard()
        for path in self._finished:
            path.unlink(missing_ok=True)
        self._videos, self._finished = {}, []

    def close(self) -> None:
        pass


def track_labels(track: np.ndarray, scores: np.ndarray) -> list[str]:
    """Number and score of each person, the score alone of one without a number."""
    return [
        f"{number}: {score:.2f}" if number > 0 else f"{score:.2f}" for number, score in zip(track, scores, strict=True)
    ]
