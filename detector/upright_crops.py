"""People cut out of a picture and set upright: crops, and sheets of them beside the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from upright.detector.detected import PART_NAMES, Detected
from upright.detector.drawing import DARK, DEGREE, FONT, PALE, draw_detections, put_text, side_by_side, text_size
from upright.detector.pose_drawing import HIDDEN, PART_COLOURS, outline, pose_of

CELL_HEIGHT, CELL_WIDTH, GAP, HEADING = 112, 76, 4, 22
STRIP_HEIGHT = CELL_HEIGHT + GAP
CONTEXT = 1.25  # side of what is shown of a person's surroundings, over the person's own
OUTSIDE = (96, 96, 96)  # what a crop shows beyond the picture
FEWEST_ROWS = 4  # of strips, beside a low picture; a higher one has room for more
FEWEST_STRIPS = 8  # beside a video, in two columns where one has no room for them


def upright_crop(
    image: np.ndarray, quadrilateral: np.ndarray, size: tuple[int, int] = (CELL_HEIGHT, CELL_WIDTH)
) -> np.ndarray:
    """A part of a picture, set upright.

    The quadrilateral is in the middle, not stretched: what it does not fill shows its surroundings.

    Args:
        image: uint8 (H, W, 3), RGB.
        quadrilateral: (4, 2), x y in pixels, top left of the upright part first, then clockwise.
        size: height and width of the crop in pixels.

    Returns:
        uint8 (height, width, 3), RGB; grey outside the picture, and all grey of a quadrilateral without an area.
    """
    height, width = size
    grey = np.full((height, width, 3), OUTSIDE, np.uint8)
    corners = np.asarray(quadrilateral, np.float64)
    if not np.isfinite(corners).all() or abs(corners).max() > 1e6 or abs(_area(corners)) < 1e-3:
        return grey
    top, right, bottom, left = (math.dist(corners[i], corners[(i + 1) % 4]) for i in range(4))
    wide, high = (top + bottom) / 2, (left + right) / 2
    scale = min(width / wide, height / high)  # pixels of the crop for one of the picture
    x, y = wide * scale / 2, high * scale / 2
    middle = np.array((width / 2, height / 2))
    place = middle + np.array(((-x, -y), (x, -y), (x, y), (-x, y)))
    matrix = cv2.getPerspectiveTransform(place.astype(np.float32), corners.astype(np.float32))
    edge = np.array(((0, 0, 1), (width, 0, 1), (width, height, 1), (0, height, 1)), np.float64) @ matrix.T
    if not np.isfinite(edge).all() or (edge[:, 2] <= 0.05).any():  # it bends beyond what can be seen
        return grey
    edge = edge[:, :2] / edge[:, 2:]
    # Only what the crop shows, with a margin for the interpolation, and that made small first where it is large:
    # pixels that a crop would jump over are averaged, and OpenCV warps no picture of more than 32767 pixels a side.
    low = np.clip(np.floor(edge.min(axis=0)) - 2, 0, None).astype(int)
    high_end = np.minimum(np.ceil(edge.max(axis=0)) + 2, image.shape[1::-1]).astype(int)
    if (high_end <= low).any():
        return grey
    region = np.ascontiguousarray(image[low[1] : high_end[1], low[0] : high_end[0]])
    smaller = max(1.0, 1 / scale / 2)
    old = np.array(region.shape[1::-1], np.float64)
    if smaller > 1:
        shape = np.maximum(1, np.rint(old / smaller)).astype(int)
        region = cv2.resize(region, (int(shape[0]), int(shape[1])), interpolation=cv2.INTER_AREA)
    ratio = np.array(region.shape[1::-1]) / old
    finer = 2 if scale < 1 else 1
    # OpenCV counts from the middle of the first pixel, boxes from its edge.
    into = _shifted(-0.5, -0.5) @ np.diag((*ratio, 1.0)) @ _shifted(*-low.astype(float)) @ matrix
    into = into @ np.diag((1 / finer, 1 / finer, 1.0)) @ _shifted(0.5, 0.5)
    crop = cv2.warpPerspective(
        region,
        into,
        (width * finer, height * finer),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=OUTSIDE,
    )
    return crop if finer == 1 else cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)


def person_strips(image: np.ndarray, found: Detected, labels: Sequence[str]) -> list[np.ndarray]:
    """One strip a person: as in the picture, then upright the whole person, head, torso and legs.

    Args:
        image: uint8 (H, W, 3), RGB.
        found: with its pose.
        labels: n texts, written on the first cell above the lean.

    Returns:
        n strips uint8 (h, w, 3), RGB, all of one size; parts that are probably hidden are dim.
    """
    lean, whole, parts, seen = pose_of(found)
    strips = []
    for i, label in enumerate(labels):
        crops = [upright_crop(image, whole[i])]
        _frame(crops[0], PALE)
        for quadrilateral, colour, share in zip(parts[i], PART_COLOURS, seen[i], strict=True):
            crop = upright_crop(image, quadrilateral)
            if share < HIDDEN:
                crop = cv2.addWeighted(crop, 0.35, np.full_like(crop, DARK), 0.65, 0)
            _frame(crop, colour)
            crops.append(crop)
        cells = [context_cell(image, found.boxes[i], whole[i], parts[i], [label, f"{lean[i]:+.0f}{DEGREE}"]), *crops]
        gap = np.full((CELL_HEIGHT, GAP, 3), DARK, np.uint8)
        strips.append(np.concatenate([piece for cell in cells for piece in (gap, cell)] + [gap], axis=1))
    return strips


def crop_sheet(strips: Sequence[np.ndarray], columns: int = 1, rows: int | None = None) -> np.ndarray:
    """Strips of `person_strips`, from one or several pictures, under a heading.

    Args:
        strips: uint8 (h, w, 3), of one size; there may be none.
        columns: of the sheet, filled one after the other.
        rows: of the sheet; by default as many as are needed. What does not fit is left out.

    Returns:
        uint8 (H, W, 3), RGB; its size depends on the two numbers alone where `rows` is given.
    """
    rows = max(1, math.ceil(len(strips) / columns)) if rows is None else rows
    heading = _heading()
    width = heading.shape[1]
    sheet = np.full((HEADING + rows * STRIP_HEIGHT, columns * width, 3), DARK, np.uint8)
    for column in range(columns):
        sheet[:HEADING, column * width : (column + 1) * width] = heading
    for i, strip in enumerate(strips[: rows * columns]):
        column, row = divmod(i, rows)
        top = HEADING + row * STRIP_HEIGHT
        sheet[top : top + CELL_HEIGHT, column * width : column * width + strip.shape[1]] = strip
    return sheet


def crops_panel(image: np.ndarray, found: Detected, fixed: bool) -> np.ndarray:
    """A picture with numbered people and, beside it, each of them upright.

    Args:
        image: uint8 (H, W, 3), RGB.
        found: with its pose.
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
    sheet = crop_sheet(person_strips(image, shown, names), columns, rows if fixed or columns > 1 else None)
    labels = [""] * len(found.scores)
    for number, row in enumerate(order, 1):
        labels[row] = str(number)
    return side_by_side(draw_detections(image, found.boxes, found.scores, labels), sheet)


def context_cell(
    image: np.ndarray,
    box: np.ndarray,
    whole: np.ndarray,
    parts: np.ndarray,
    labels: Sequence[str],
    side: int = CELL_HEIGHT,
) -> np.ndarray:
    """A person and the surroundings as they are in the picture, with the outlines of what is cut out.

    Args:
        image: uint8 (H, W, 3), RGB.
        box: (4,), x1 y1 x2 y2 in pixels.
        whole: (4, 2), and
        parts: (3, 4, 2), quadrilaterals in pixels.
        labels: lines of text, written into the corner.
        side: of the cell, in pixels.

    Returns:
        uint8 (side, side, 3), RGB.
    """
    box = np.asarray(box, np.float64)
    lines = [(whole, PALE), *zip(parts, PART_COLOURS, strict=True)]
    points = np.concatenate([box.reshape(2, 2), whole]) if np.isfinite(whole).all() else box.reshape(2, 2)
    # The quadrilateral may reach beyond the box; one that is far off does not make the person a dot.
    half = (box[2:] - box[:2]).max() / 2
    centre = (box[:2] + box[2:]) / 2
    half = max(half, min(float(abs(points - centre).max()), 1.5 * half), 0.5) * CONTEXT
    square = centre + half * np.array(((-1, -1), (1, -1), (1, 1), (-1, 1)))
    cell = np.ascontiguousarray(upright_crop(image, square, (side, side)))
    for quadrilateral, colour in lines:
        outline(cell, (quadrilateral - square[0]) * side / (2 * half), colour, 1)
    for i, text in enumerate(labels):
        (wide, text_height), below = text_size(text, 0.36, 1)
        high = text_height + below + 1
        cv2.rectangle(cell, (0, i * high), (wide + 4, (i + 1) * high), DARK, cv2.FILLED)
        put_text(cell, text, (2, i * high + text_height + 1), 0.36, PALE)
    return cell


def _heading() -> np.ndarray:
    width = 2 * GAP + CELL_HEIGHT + (1 + len(PART_NAMES)) * (CELL_WIDTH + GAP)
    heading = np.full((HEADING, width, 3), DARK, np.uint8)
    cv2.putText(heading, "in the picture", (GAP, 15), FONT, 0.4, PALE, 1, cv2.LINE_AA)
    for j, (name, colour) in enumerate(zip(("upright", *PART_NAMES), (PALE, *PART_COLOURS), strict=True)):
        left = 2 * GAP + CELL_HEIGHT + j * (CELL_WIDTH + GAP)
        cv2.putText(heading, name, (left, 15), FONT, 0.4, colour, 1, cv2.LINE_AA)
    return heading


def _frame(cell: np.ndarray, colour: tuple[int, int, int]) -> None:
    cv2.rectangle(cell, (0, 0), (cell.shape[1] - 1, cell.shape[0] - 1), colour, 2)


def _area(corners: np.ndarray) -> float:
    """Of a quadrilateral (4, 2), positive where it goes clockwise."""
    across, along = corners[2] - corners[0], corners[3] - corners[1]
    return float(across[0] * along[1] - across[1] * along[0]) / 2


def _shifted(x: float, y: float) -> np.ndarray:
    return np.array(((1.0, 0.0, x), (0.0, 1.0, y), (0.0, 0.0, 1.0)))
