"""Pictures for people to look at: boxes with scores."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

DARK = (24, 24, 24)
PALE = (238, 238, 238)
UNSURE, SURE = (255, 150, 0), (90, 255, 130)  # colours of the scores 0 and 1
DEGREE = "\N{DEGREE SIGN}"
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_detections(
    image: np.ndarray, boxes: np.ndarray, scores: np.ndarray, labels: Sequence[str] | None = None
) -> np.ndarray:
    """A copy of a picture with boxes and their scores.

    A label is left out where it would hide more than it tells: on people that are smaller than it, and where it
    would lie on another label.

    Args:
        image: uint8 (H, W, 3), RGB.
        boxes: (n, 4), x1 y1 x2 y2 in pixels.
        scores: (n,), in 0..1.
        labels: n texts, "" for none; by default the scores with two digits.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    canvas = np.ascontiguousarray(image).copy()
    draw_boxes(canvas, boxes, scores)
    draw_labels(canvas, boxes, scores, [f"{score:.2f}" for score in scores] if labels is None else labels)
    return canvas


def draw_boxes(canvas: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> None:
    """Draw boxes in the colours of their scores on a picture uint8 (H, W, 3), RGB; arguments as `draw_detections`."""
    line = line_width(canvas)
    corners = np.rint(boxes).astype(int).reshape(-1, 4)
    for i in np.argsort(scores, kind="stable"):  # the surest is drawn last, on top
        x1, y1, x2, y2 = corners[i]
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), DARK, line + 2)
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), score_colour(scores[i]), line)


def draw_labels(canvas: np.ndarray, boxes: np.ndarray, scores: np.ndarray, labels: Sequence[str]) -> None:
    """Write texts above, below or inside boxes, the surest first; see `draw_detections`.

    Args:
        canvas: uint8 (H, W, 3), RGB, which is drawn on.
        boxes, scores, labels: as of `draw_detections`; a label may end in a degree sign.
    """
    height, width = canvas.shape[:2]
    line, stroke, size = line_width(canvas), max(1, line_width(canvas) // 2), max(0.36, min(height, width) / 1100)
    taken: list[tuple[int, int, int, int]] = []
    corners = np.rint(boxes).astype(int).reshape(-1, 4)
    for i in np.argsort(scores, kind="stable")[::-1]:
        (text_width, text_height), below = text_size(labels[i], size, stroke)
        wide, high = text_width + 4, text_height + below + 2
        x1, y1, x2, y2 = corners[i]
        # By the longer side as well: people who lie are wide and low.
        if not labels[i] or max(y2 - y1, x2 - x1) < 2.5 * high or x2 - x1 < 0.4 * wide or wide > width:
            continue
        left = min(max(x1 - line, 0), width - wide)
        for top in (y1 - high - line, y2 + line, y1 + line):  # above, below, inside
            place = (left, top, left + wide, top + high)
            if top >= 0 and place[3] <= height and not any(_overlap(place, other) for other in taken):
                taken.append(place)
                cv2.rectangle(canvas, place[:2], (place[2] - 1, place[3] - 1), DARK, cv2.FILLED)
                put_text(canvas, labels[i], (left + 2, top + text_height + 1), size, PALE, stroke)
                break


def line_width(image: np.ndarray) -> int:
    """Of boxes in a picture: at least two pixels, for video keeps colour at half the resolution."""
    return max(2, round(min(image.shape[:2]) / 300))


def text_size(text: str, size: float, stroke: int) -> tuple[tuple[int, int], int]:
    """Width and height above the line of a text of `put_text`, and what hangs below the line, in pixels."""
    (wide, high), below = cv2.getTextSize(text.removesuffix(DEGREE), FONT, size, stroke)
    return (wide + (round(12 * size) if text.endswith(DEGREE) else 0), high), below


def put_text(
    canvas: np.ndarray, text: str, origin: tuple[int, int], size: float, colour: tuple[int, int, int], stroke: int = 1
) -> None:
    """Write a text on a picture; one degree sign may stand at its end, which OpenCV's font lacks."""
    cv2.putText(canvas, text.removesuffix(DEGREE), origin, FONT, size, colour, stroke, cv2.LINE_AA)
    if text.endswith(DEGREE):
        (wide, _), _ = cv2.getTextSize(text.removesuffix(DEGREE), FONT, size, stroke)
        centre = (origin[0] + wide + round(5 * size), origin[1] - round(18 * size))
        cv2.circle(canvas, centre, max(1, round(4 * size)), colour, stroke, cv2.LINE_AA)


def score_colour(score: float) -> tuple[int, int, int]:
    """RGB of a score in 0..1, amber to green."""
    share = min(max(float(score), 0.0), 1.0)
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(UNSURE, SURE, strict=True))
    return red, green, blue


def side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two pictures (h, w, 3) at the top of one, both sides of it even, as video wants them."""
    height, width = max(left.shape[0], right.shape[0]), left.shape[1] + right.shape[1]
    canvas = np.full((height + height % 2, width + width % 2, 3), DARK, np.uint8)
    canvas[: left.shape[0], : left.shape[1]] = left
    canvas[: right.shape[0], left.shape[1] : width] = right
    return canvas


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
