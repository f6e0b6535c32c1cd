"""Pictures for people to look at: boxes with scores, and what the spatial transformers made of each region."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch

from upright.detector.spatial_transformer import Transformation, target_points

DARK = (24, 24, 24)
PALE = (238, 238, 238)
UNSURE, SURE = (255, 150, 0), (90, 255, 130)  # colours of the scores 0 and 1
# Told apart also by people who do not see red and green apart (Okabe and Ito's palette, brightened).
TRANSFORMER_COLOURS = [(86, 180, 255), (255, 170, 30), (240, 120, 190), (40, 210, 150), (245, 230, 70), (230, 100, 40)]

CELL_HEIGHT, CELL_WIDTH, GAP = 96, 64, 4
STRIP_HEIGHT = CELL_HEIGHT + GAP
CONTEXT = 1.3  # side of what is shown of a region's surroundings, over the region's own
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
    height, width = canvas.shape[:2]
    # At least two pixels, and pale text: video keeps colour at half the resolution.
    line = max(2, round(min(height, width) / 300))
    stroke = max(1, line // 2)
    size = max(0.36, min(height, width) / 1100)
    taken: list[tuple[int, int, int, int]] = []
    order = np.argsort(scores, kind="stable")  # the surest is drawn last, on top
    corners = np.rint(boxes).astype(int).reshape(-1, 4)
    for i in order:
        x1, y1, x2, y2 = corners[i]
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), DARK, line + 2)
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), score_colour(scores[i]), line)
    for i in order[::-1]:
        text = f"{scores[i]:.2f}" if labels is None else labels[i]
        (text_width, text_height), below = cv2.getTextSize(text, FONT, size, stroke)
        wide, high = text_width + 4, text_height + below + 2
        x1, y1, x2, y2 = corners[i]
        if not text or y2 - y1 < 2.5 * high or x2 - x1 < 0.4 * wide or wide > width:
            continue
        left = min(max(x1 - line, 0), width - wide)
        for top in (y1 - high - line, y2 + line, y1 + line):  # above, below, inside
            place = (left, top, left + wide, top + high)
            if top >= 0 and place[3] <= height and not any(_overlap(place, other) for other in taken):
                taken.append(place)
                cv2.rectangle(canvas, place[:2], (place[2] - 1, place[3] - 1), DARK, cv2.FILLED)
                origin = (left + 2, top + text_height + 1)
                cv2.putText(canvas, text, origin, FONT, size, PALE, stroke, cv2.LINE_AA)
                break
    return canvas


def score_colour(score: float) -> tuple[int, int, int]:
    """RGB of a score in 0..1, amber to green."""
    share = min(max(float(score), 0.0), 1.0)
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(UNSURE, SURE, strict=True))
    return red, green, blue


def canonical_crops(
    image: np.ndarray,
    proposals: np.ndarray,
    theta: torch.Tensor,
    transformation: Transformation,
    size: tuple[int, int] = (CELL_HEIGHT, CELL_WIDTH),
) -> np.ndarray:
    """What each spatial transformer reads of each region, cut from the picture itself.

    Args:
        image: uint8 (H, W, 3), RGB.
        proposals: (n, 4), x1 y1 x2 y2 in pixels: the regions.
        theta: (n, N, P), of the N transformers in the frame of each region.
        transformation: that theta belongs to.
        size: height and width of a crop in pixels.

    Returns:
        uint8 (n, N, height, width, 3), RGB; grey outside the picture.
    """
    count, transformers = theta.shape[:2]
    crops = np.zeros((count, transformers, *size, 3), np.uint8)
    for i, proposal in enumerate(np.asarray(proposals, np.float64)):
        # A region larger than the crop is sampled finer and averaged, or it would flicker.
        finer = _fineness(max((proposal[3] - proposal[1]) / size[0], (proposal[2] - proposal[0]) / size[1]))
        height, width = size[0] * finer, size[1] * finer
        points = transformation.warp(theta[i].float().cpu(), target_points((height, width)))  # (N, height width, 2)
        pixels = _to_pixels(points.numpy(), proposal).reshape(transformers, height, width, 2)
        for j in range(transformers):
            crop = sample_picture(image, pixels[j])
            crops[i, j] = crop if finer == 1 else cv2.resize(crop, size[::-1], interpolation=cv2.INTER_AREA)
    return crops


def transformer_outlines(
    proposal: np.ndarray, theta: torch.Tensor, transformation: Transformation, points: int = 12
) -> np.ndarray:
    """Where the edge of each transformer's canonical crop lies in the picture.

    Args:
        proposal: (4,), x1 y1 x2 y2 in pixels.
        theta: (N, P).
        transformation: that theta belongs to.
        points: a side of the crop; more than the corners, since a transformation may bend it.

    Returns:
        float64 (N, 4 points, 2), x y in pixels, a closed line each.
    """
    along = torch.arange(points) * 2 / points - 1
    ones = torch.ones(points)
    sides = [(along, -ones), (ones, along), (-along, ones), (-ones, -along)]
    edge = torch.cat([torch.stack(side, dim=1) for side in sides])
    return _to_pixels(transformation.warp(theta.float().cpu(), edge).numpy(), proposal)


def person_strips(
    image: np.ndarray,
    proposals: np.ndarray,
    theta: torch.Tensor,
    transformation: Transformation,
    labels: Sequence[str],
) -> list[np.ndarray]:
    """One strip a person: its region with the outline of each transformer, then the N canonical crops.

    Args:
        image, proposals, theta, transformation: as for `canonical_crops`.
        labels: n texts, written on the regions, each word on a line.

    Returns:
        n strips uint8 (h, w, 3), RGB, all of one size.
    """
    crops = canonical_crops(image, proposals, theta, transformation)
    strips = []
    for proposal, one_theta, row, label in zip(np.asarray(proposals, np.float64), theta, crops, labels, strict=True):
        outlines = transformer_outlines(proposal, one_theta, transformation)
        cells = [_region_cell(image, proposal, outlines, label)]
        for j, crop in enumerate(row):
            cell = crop.copy()
            cv2.rectangle(cell, (0, 0), (CELL_WIDTH - 1, CELL_HEIGHT - 1), transformer_colour(j), 2)
            cells.append(cell)
        gap = np.full((CELL_HEIGHT, GAP, 3), DARK, np.uint8)
        strips.append(np.concatenate([part for cell in cells for part in (gap, cell)] + [gap], axis=1))
    return strips


def transformer_colour(index: int) -> tuple[int, int, int]:
    """RGB in which a transformer's outline and its crop are framed."""
    return TRANSFORMER_COLOURS[index % len(TRANSFORMER_COLOURS)]


def crop_sheet(
    strips: Sequence[np.ndarray], transformers: int, columns: int = 1, rows: int | None = None
) -> np.ndarray:
    """Strips of `person_strips`, from one or several pictures, under a heading.

    Args:
        strips: uint8 (h, w, 3), of one size; there may be none.
        transformers: N.
        columns: of the sheet, filled one after the other.
        rows: of the sheet; by default as many as are needed. What does not fit is left out.

    Returns:
        uint8 (H, W, 3), RGB; its size depends on the three numbers alone where `rows` is given.
    """
    rows = max(1, math.ceil(len(strips) / columns)) if rows is None else rows
    heading = _heading(transformers)
    width = heading.shape[1]
    sheet = np.full((heading.shape[0] + rows * STRIP_HEIGHT, columns * width, 3), DARK, np.uint8)
    for column in range(columns):
        sheet[: heading.shape[0], column * width : (column + 1) * width] = heading
    for i, strip in enumerate(strips[: rows * columns]):
        column, row = divmod(i, rows)
        top = heading.shape[0] + row * STRIP_HEIGHT
        sheet[top : top + CELL_HEIGHT, column * width : column * width + strip.shape[1]] = strip
    return sheet


def side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two pictures (h, w, 3) at the top of one, both sides of it even, as video wants them."""
    height, width = max(left.shape[0], right.shape[0]), left.shape[1] + right.shape[1]
    canvas = np.full((height + height % 2, width + width % 2, 3), DARK, np.uint8)
    canvas[: left.shape[0], : left.shape[1]] = left
    canvas[: right.shape[0], left.shape[1] : width] = right
    return canvas


def _heading(transformers: int) -> np.ndarray:
    height, region = 22, CELL_HEIGHT
    heading = np.full((height, 2 * GAP + region + transformers * (CELL_WIDTH + GAP), 3), DARK, np.uint8)
    cv2.putText(heading, "region", (GAP, 15), FONT, 0.4, PALE, 1, cv2.LINE_AA)
    for j in range(transformers):
        left = 2 * GAP + region + j * (CELL_WIDTH + GAP)
        cv2.putText(heading, f"crop {j + 1}", (left, 15), FONT, 0.4, transformer_colour(j), 1, cv2.LINE_AA)
    return heading


def _region_cell(image: np.ndarray, proposal: np.ndarray, outlines: np.ndarray, label: str) -> np.ndarray:
    """The region and its surroundings, not distorted, (CELL_HEIGHT, CELL_HEIGHT, 3)."""
    side = max(proposal[2] - proposal[0], proposal[3] - proposal[1], 1.0) * CONTEXT
    corner = (proposal[:2] + proposal[2:] - side) / 2
    scale = CELL_HEIGHT / side
    finer = _fineness(1 / scale)
    cells = CELL_HEIGHT * finer
    steps = (np.arange(cells) + 0.5) * side / cells
    pixels = np.stack(np.meshgrid(corner[0] + steps, corner[1] + steps), axis=-1)
    cell = sample_picture(image, pixels)
    if finer > 1:
        cell = cv2.resize(cell, (CELL_HEIGHT, CELL_HEIGHT), interpolation=cv2.INTER_AREA)
    cell = np.ascontiguousarray(cell)
    shift = 4  # draw to a sixteenth of a pixel
    box = np.array([[proposal[0], proposal[1]], [proposal[2], proposal[1]], proposal[2:], [proposal[0], proposal[3]]])
    for line, colour in [(box, PALE), *((outline, transformer_colour(j)) for j, outline in enumerate(outlines))]:
        place = np.clip((line - corner) * scale - 0.5, -4 * CELL_HEIGHT, 4 * CELL_HEIGHT)
        place = np.rint(place * 2**shift).astype(np.int32)
        cv2.polylines(cell, [place], True, colour, 1, cv2.LINE_AA, shift)
    for i, text in enumerate(label.split()):
        (text_width, text_height), below = cv2.getTextSize(text, FONT, 0.36, 1)
        high = text_height + below + 1
        cv2.rectangle(cell, (0, i * high), (text_width + 4, (i + 1) * high), DARK, cv2.FILLED)
        cv2.putText(cell, text, (2, i * high + text_height + 1), FONT, 0.36, PALE, 1, cv2.LINE_AA)
    return cell


def sample_picture(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """A picture at any points, bilinear.

    Args:
        image: uint8 (H, W, 3).
        pixels: (h, w, 2), x y; the first pixel reaches from 0 to 1, its centre is at 0.5.

    Returns:
        uint8 (h, w, 3); grey outside the picture.
    """
    maps = (pixels - 0.5).astype(np.float32)
    return cv2.remap(
        image, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(96, 96, 96)
    )


def _fineness(step: float) -> int:
    """Samples a side for each pixel drawn, where neighbouring pixels lie `step` apart in the picture."""
    return min(max(math.ceil(step), 1), 8)


def _to_pixels(points: np.ndarray, proposal: np.ndarray) -> np.ndarray:
    """Pixels (..., 2) of points (..., 2) normalised in a proposal (4,)."""
    proposal = np.asarray(proposal, np.float64)
    return proposal[:2] + (points + 1) / 2 * (proposal[2:] - proposal[:2])


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
