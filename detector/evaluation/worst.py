"""A sheet of what a detector gets most wrong: the surest false positives and the people missed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from upright.datasets.sample import Annotations
from upright.detector.evaluation.detections import Detections
from upright.detector.evaluation.matching import DROPPED, FALSE_POSITIVE
from upright.detector.evaluation.miss_rate import Comparison
from upright.detector.evaluation.protocols import find_protocol
from upright.errors import InputError
from upright.output import whole_file

_TILE = 168, 224  # width and height of a crop on the sheet, pixels
_CAPTION = 34
_HEADING = 40
_GAP = 10
_COLUMNS = 8
_FALSE = (214, 40, 40)
_PERSON = (46, 160, 67)
_IGNORED = (120, 120, 120)
_MISSED = (30, 100, 220)
_INK = (40, 40, 40)


@dataclass(frozen=True)
class Mistake:
    """A false positive or a person who was missed.

    Attributes:
        row: row of the picture in the annotations.
        box: float64 (4,), x y w h.
        score: of the false positive, or of the detection that found the person in the end; None if none did.
    """

    row: int
    box: np.ndarray
    score: float | None


def worst_mistakes(
    annotations: Annotations,
    detections: Detections,
    count: int,
    protocol: str = "citypersons",
    subset: str = "Reasonable",
) -> tuple[list[Mistake], list[Mistake]]:
    """The false positives and misses that cost most, at most `count` of each.

    A false positive costs the more, the higher its score: it shifts every point of the curve behind it. Of the
    people those cost most that no detection found, tallest first, then those that only a low score found.

    Returns:
        false positives by falling score; misses, the costliest first.
    """
    rules = find_protocol(protocol)
    rule = rules.choose([subset])[subset]
    comparison = Comparison.of(annotations, detections, rules)
    truths = comparison.truths
    evaluated = truths.evaluated(rules, rule)
    _, (found,) = comparison.match([(rule, evaluated)])

    false = np.flatnonzero(found == FALSE_POSITIVE)
    false = false[np.argsort(-comparison.scores[false], kind="stable")][:count]
    false_positives = [
        Mistake(int(detections.image_index[row]), detections.boxes[row], float(detections.scores[row]))
        for row in comparison.row[false]
    ]

    score = np.full(len(evaluated), -np.inf)
    true = np.flatnonzero((found != FALSE_POSITIVE) & (found != DROPPED))
    score[found[true]] = comparison.scores[true]
    missed = np.flatnonzero(evaluated)
    missed = missed[np.lexsort((-truths.height[missed], score[missed]))][:count]
    misses = [
        Mistake(
            int(annotations.image_index[truths.row[index]]),
            truths.boxes[index],
            float(score[index]) if np.isfinite(score[index]) else None,
        )
        for index in missed
    ]
    return false_positives, misses


def draw_worst(
    path: str | os.PathLike[str],
    annotations: Annotations,
    detections: Detections,
    count: int,
    *,
    picture: Callable[[int], np.ndarray | None],
    protocol: str = "citypersons",
    subset: str = "Reasonable",
) -> None:
    """Draw `worst_mistakes` as one sheet, each with its surroundings.

    Args:
        path: the picture file; it is replaced whole or not at all.
        picture: gives picture i of the annotations, uint8 (H, W, 3) RGB, or None where there is none: then the
            boxes stand on grey.

    Raises:
        InputError: OpenCV cannot write that format, or nothing can be written there.
    """
    path = Path(path)
    if not path.suffix or not cv2.haveImageWriter(str(path)):
        raise InputError(f"{path}: not a picture format; end the name in .png or .jpg")
    false_positives, misses = worst_mistakes(annotations, detections, count, protocol, subset)
    width = _GAP + _COLUMNS * (_TILE[0] + _GAP)
    rows = []
    for heading, mistakes, colour in (
        ("Surest false positives: red (annotated people green, ignored regions grey)", false_positives, _FALSE),
        ("Costliest misses: blue", misses, _MISSED),
    ):
        rows.append(_heading(heading if mistakes else f"{heading}: none", width))
        tiles = [_tile(mistake, colour, annotations, picture) for mistake in mistakes]
        rows.extend(_row(tiles[start : start + _COLUMNS], width) for start in range(0, len(tiles), _COLUMNS))
    sheet = np.concatenate(rows)
    with whole_file(path) as temporary:
        # Written by Python, which says why it cannot be.
        temporary.write_bytes(cv2.imencode(path.suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes())


def _heading(text: str, width: int) -> np.ndarray:
    strip = np.full((_HEADING, width, 3), 255, np.uint8)
    cv2.putText(strip, text, (_GAP, _HEADING - 12), cv2.FONT_HERSHEY_SIMPLEX, 0.6, _INK, 1, cv2.LINE_AA)
    return strip


def _row(tiles: list[np.ndarray], width: int) -> np.ndarray:
    row = np.full((_TILE[1] + _CAPTION + _GAP, width, 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        left = _GAP + index * (_TILE[0] + _GAP)
        row[: len(tile), left : left + _TILE[0]] = tile
    return row


def _tile(
    mistake: Mistake,
    colour: tuple[int, int, int],
    annotations: Annotations,
    picture: Callable[[int], np.ndarray | None],
) -> np.ndarray:
    """A crop around the box, half as large again on each side, with every box that lies in it, and a caption."""
    x, y, w, h = mistake.box
    scale = min(_TILE[0] / (2.0 * max(w, 1)), _TILE[1] / (1.7 * max(h, 1)))
    origin = np.array([x + w / 2 - _TILE[0] / scale / 2, y + h / 2 - _TILE[1] / scale / 2])
    image = picture(mistake.row)
    grey = (200, 200, 200)
    if image is None:
        tile: np.ndarray = np.full((_TILE[1], _TILE[0], 3), grey, np.uint8)
    else:
        # Pixel centres lie at + 0.5.
        shift = (0.5 - origin) * scale - 0.5
        warp = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        tile = cv2.warpAffine(image, warp, _TILE, flags=cv2.INTER_LINEAR, borderValue=grey)

    def draw(box: np.ndarray, colour: tuple[int, int, int], thickness: int) -> None:
        start = np.rint((box[:2] - origin) * scale).astype(int)
        end = np.rint((box[:2] + box[2:] - origin) * scale).astype(int)
        cv2.rectangle(tile, tuple(map(int, start)), tuple(map(int, end)), colour, thickness, cv2.LINE_AA)

    of_picture = annotations.image_index == mistake.row
    for box, ignored in zip(annotations.boxes[of_picture], annotations.ignore[of_picture], strict=True):
        draw(box, _IGNORED if ignored else _PERSON, 1)
    draw(mistake.box, colour, 2)
    caption = np.full((_CAPTION, _TILE[0], 3), 255, np.uint8)
    score = "never found" if mistake.score is None else f"score {mistake.score:.3f}"
    name = Path(str(annotations.file_names[mistake.row])).stem.removesuffix("_leftImg8bit")
    for line, text in enumerate((f"{score}, {h:.0f} px", name[-26:])):
        at = (0, 13 + 15 * line)
        cv2.putText(caption, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.38, _INK, 1, cv2.LINE_AA)
    return np.concatenate([tile, caption])
