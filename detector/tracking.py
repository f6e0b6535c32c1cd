"""The same person from frame to frame: OC-SORT (Cao et al., CVPR 2023) of the package `trackers`.

`trackers` is an extra; it is imported when a tracker is made. Of its trackers OC-SORT kept the most identities on
rendered video (docs/video.md), ByteTrack the next.
"""

from __future__ import annotations

import numpy as np

from upright.detector.detected import Detected

HELD = 2.0  # seconds that somebody may be out of sight and keep the number
UNTRACKED = -1


class PersonTracker:
    """Numbers for the people of one video, held while they are out of sight for up to `HELD` seconds.

    The first detection of somebody has no number yet: it may be a false alarm.

    Motion is predicted over the seconds that passed, not over frames, so variable rates, dropped frames and
    `--every N` change nothing in how long somebody is held. Boxes are matched by overlap: where frames lie so far
    apart that nobody overlaps with what was predicted, tracks break, and beyond `HELD` seconds they always do.

    Args:
        fps: frames a second that are nominal for the video; the noise of the motion is scaled by it.

    Raises:
        ModuleNotFoundError: `trackers` is not installed.
    """

    def __init__(self, fps: float = 25.0) -> None:
        from trackers import OCSORTTracker

        self._fps = fps
        self._last: float | None = None
        self._tracker = OCSORTTracker(
            lost_track_buffer=round(30 * HELD),  # in thirtieths of a second
            frame_rate=fps,
            minimum_consecutive_frames=2,
            minimum_iou_threshold=0.2,
            high_conf_det_threshold=0.0,  # all that is given counts
        )

    def update(self, found: Detected, seconds: float | None) -> np.ndarray:
        """The tracks of the people in the next frame.

        Args:
            found: those that count, n of them.
            seconds: time of the frame. One that is missing or not after the last counts as one nominal frame later.

        Returns:
            int64 (n,), from 1, `UNTRACKED` where there is none.
        """
        import supervision as sv

        if self._last is not None and (seconds is None or not seconds > self._last):
            seconds = self._last + 1 / self._fps
        self._last = seconds = seconds or 0.0
        boxes = found.boxes.astype(np.float64).reshape(-1, 4)
        self._tracker.update(sv.Detections(xyxy=boxes, confidence=found.scores.astype(np.float64)), timestamp=seconds)
        # Not what `update` returns: it leaves out who is seen again for the first time after a gap.
        tracks = np.full(len(boxes), UNTRACKED, np.int64)
        for track in self._tracker.tracks:
            if track.tracker_id >= 0 and track.time_since_update == 0:
                rows = np.flatnonzero((boxes == track.last_observation).all(axis=1) & (tracks == UNTRACKED))
                tracks[rows[:1]] = track.tracker_id + 1
        return tracks
