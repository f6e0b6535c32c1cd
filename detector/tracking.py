"""The same person from frame to frame: OC-SORT (Cao et al., CVPR 2023) of the package `trackers`.

`trackers` is an extra; it is imported when a tracker is made. Of its trackers OC-SORT kept the most identities on
rendered video (docs/video.md), ByteTrack the next.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from upright.detector.detected import Detected

HELD = 2.0  # seconds that somebody may be out of sight and keep the number
UNTRACKED = -1
HOLDING = 0.7  # of the default threshold: the score from which a detection holds somebody who was sure once
SAME = 0.35  # overlap with a surer box, from which two boxes are taken for one person


class PersonTracker:
    """Numbers for the people of one video, held while they are out of sight for up to `HELD` seconds.

    The first detection of somebody has no number yet: it may be a false alarm. Whoever was found with a score of at
    least `threshold` is held by weaker detections, too (the two thresholds of ByteTrack, Zhang et al., ECCV 2022, and
    of edges before, Canny 1986). A box that overlaps with a surer one by more than `SAME` gets no number, since soft
    suppression leaves several boxes on one person, who would be counted twice.

    Motion is predicted over the seconds that passed, not over frames, so variable rates, dropped frames and
    `--every N` change nothing in how long somebody is held. Boxes are matched by overlap: where frames lie so far
    apart that nobody overlaps with what was predicted, tracks break, and beyond `HELD` seconds they always do.

    Args:
        fps: frames a second that are nominal for the video; the noise of the motion is scaled by it.
        threshold: the score from which a detection counts by itself.
        holding: the score from which one counts that is on the track of somebody who was above the threshold.

    Raises:
        ModuleNotFoundError: `trackers` is not installed.
    """

    def __init__(self, fps: float = 25.0, threshold: float = 0.0, holding: float = 0.0) -> None:
        from trackers import OCSORTTracker

        self._fps = fps
        self._threshold = threshold
        self._holding = min(holding, threshold)
        self._last: float | None = None
        self._numbers: dict[int, int] = {}  # of those who were sure once, by the tracker's own
        self._next = 1
        self._tracker = OCSORTTracker(
            lost_track_buffer=round(30 * HELD),  # in thirtieths of a second
            frame_rate=fps,
            minimum_consecutive_frames=2,
            minimum_iou_threshold=0.1,  # at more, bicycles get lost, and most people at a few frames a second
            high_conf_det_threshold=0.0,  # it would take those below for nothing at all
        )

    def update(self, found: Detected, seconds: float | None) -> Detected:
        """The people in the next frame.

        Args:
            found: all that was found, whatever its score.
            seconds: time of the frame. One that is missing or not after the last counts as one nominal frame later.

        Returns:
            Those that count, with `track`.
        """
        if self._last is not None and (seconds is None or not seconds > self._last):
            seconds = self._last + 1 / self._fps
        self._last = seconds = seconds or 0.0
        found = found.above(self._holding)
        tracks = self._tracks(found, seconds)
        sure = found.scores >= self._threshold
        for track in tracks[sure & (tracks != UNTRACKED)].tolist():
            if track not in self._numbers:
                self._numbers[track] = self._next
                self._next += 1
        numbers = np.array([self._numbers.get(track, UNTRACKED) for track in tracks.tolist()], np.int64)
        held = {track.tracker_id for track in self._tracker.tracks}
        self._numbers = {track: number for track, number in self._numbers.items() if track in held}
        return replace(found, track=numbers).take(np.flatnonzero(sure | (numbers != UNTRACKED)))

    def _tracks(self, found: Detected, seconds: float) -> np.ndarray:
        """The tracker's own numbers, int64 (n,), from 0, `UNTRACKED` where there is none."""
        import supervision as sv

        boxes = found.boxes.astype(np.float64).reshape(-1, 4)
        detections = sv.Detections(xyxy=boxes, confidence=found.scores.astype(np.float64))
        self._tracker.update(detections.with_nms(SAME, class_agnostic=True), timestamp=seconds)
        # Not what `update` returns: it leaves out who is seen again for the first time after a gap.
        tracks = np.full(len(boxes), UNTRACKED, np.int64)
        for track in self._tracker.tracks:
            if track.tracker_id >= 0 and track.time_since_update == 0:
                rows = np.flatnonzero((boxes == track.last_observation).all(axis=1) & (tracks == UNTRACKED))
                tracks[rows[:1]] = track.tracker_id
        return tracks
