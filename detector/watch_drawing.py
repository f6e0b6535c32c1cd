"""Lines and zones with their counts, drawn into the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from upright.detector.drawing import DARK, PALE, line_width, put_text, text_size
from upright.detector.events import Fallen, Line, Zone

LINE_COLOUR, ZONE_COLOUR = (255, 90, 200), (70, 200, 255)
FILLING = 0.15  # how much of its colour lies over a zone


def draw_watched(canvas: np.ndarray, watched: Sequence[Line | Zone | Fallen], counts: Mapping[str, int]) -> None:
    """Draw lines with the crossings so far, zones with the people in them, and how many people are down.

    Args:
        canvas: uint8 (H, W, 3), RGB, which is drawn on.
        watched: what is drawn.
        counts: of `FrameRecord`.
    """
    width = line_width(canvas)
    for one in watched:
        if isinstance(one, Zone):
            corners = np.rint(one.corners).astype(np.int32)
            filled = cv2.fillPoly(canvas.copy(), [corners], ZONE_COLOUR)
            cv2.addWeighted(filled, FILLING, canvas, 1 - FILLING, 0, dst=canvas)
            cv2.polylines(canvas, [corners], True, ZONE_COLOUR, width, cv2.LINE_AA)
            _write(canvas, f"{one.name}: {counts[one.name]}", corners[:, 0].mean(), corners[:, 1].mean())
        elif isinstance(one, Line):
            start, end = np.rint([one.start, one.end]).astype(int).tolist()
            cv2.line(canvas, start, end, LINE_COLOUR, width, cv2.LINE_AA)
            ways = ", ".join(f"{way} {counts[f'{one.name} {way}']}" for way in one.directions)
            _write(canvas, f"{one.name}: {ways}", (start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        elif counts["fallen"]:
            _write(canvas, f"fallen: {counts['fallen']}", canvas.shape[1] / 2, 0)


def _write(canvas: np.ndarray, text: str, x: float, y: float) -> None:
    """A text about a point, inside the picture; left out where it is wider than that."""
    height, width = canvas.shape[:2]
    stroke, size = max(1, line_width(canvas) // 2), max(0.36, min(height, width) / 1100)
    (wide, above), below = text_size(text, size, stroke)
    high = above + below + 2
    left, top = round(x - wide / 2 - 2), round(y - high / 2)
    left, top = max(0, min(left, width - wide - 4)), max(0, min(top, height - high))
    if wide + 4 <= width and high <= height:
        cv2.rectangle(canvas, (left, top), (left + wide + 3, top + high - 1), DARK, cv2.FILLED)
        put_text(canvas, text, (left + 2, top + above + 1), size, PALE, stroke)
