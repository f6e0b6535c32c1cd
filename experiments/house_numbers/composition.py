"""House numbers composed of handwritten and printed digits on textured boards, in SVHN's format on disk.

Where SVHN cannot be downloaded these take its place: `digit_struct.py` reads both alike. Numbers of 1 to 5 digits,
all in one hand or one font, tilted, slanted, in perspective, on a rising or falling line; letters beside them; light,
blur, noise. Boxes are those of the ink, moved as by an annotator who is in a hurry.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from tqdm import tqdm

from upright.errors import InputError
from upright.experiments.digits.mnist import Digits
from upright.experiments.house_numbers.digit_struct import ANNOTATIONS, HouseNumber, write_annotations

# How often numbers have 1 to 5 digits: about as in SVHN's train, where two are most frequent; 5 are less rare here.
LENGTHS = (0.15, 0.5, 0.25, 0.08, 0.02)
HANDWRITTEN = 0.4
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono-Bold", "DejaVuSerif", "DejaVuSerif-Bold", "STIXGeneralBol")
LETTERS = "ABEHKNRSTVXZ"
# Height of the digits' masks before they are placed, in pixels.
GLYPH = 48


@functools.cache
def printed(letter: str, font: str) -> np.ndarray:
    """A letter's ink (GLYPH, w), 0 to 1."""
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    polygons = TextPath((0, 0), letter, size=100, prop=FontProperties(fname=file)).to_polygons()
    low = np.concatenate(polygons).min(0)
    high = np.concatenate(polygons).max(0)
    # At four times the size, for smooth edges; y points up in a font.
    scale = 4 * GLYPH / (high[1] - low[1])
    outlines = [((p - low) * scale * [1, -1] + [0, 4 * GLYPH]).round().astype(np.int32) for p in polygons]
    ink = np.zeros((4 * GLYPH, math.ceil((high[0] - low[0]) * scale / 4) * 4), np.float32)
    cv2.fillPoly(ink, outlines, 1.0)  # even-odd, so that holes stay open
    return cv2.resize(ink, (ink.shape[1] // 4, GLYPH), interpolation=cv2.INTER_AREA)


def handwritten(picture: np.ndarray) -> np.ndarray:
    """The ink (GLYPH, w), 0 to 1, of one of MNIST's pictures."""
    x, y, width, height = cv2.boundingRect((picture > 60).astype(np.uint8))
    ink: np.ndarray = picture[y : y + height, x : x + width].astype(np.float32) / 255
    ink = cv2.resize(ink, (max(6, round(width * GLYPH / height)), GLYPH), interpolation=cv2.INTER_CUBIC)
    # Sharper edges than 28 pixels gave them.
    return ((ink - 0.5) * 2.5 + 0.5).clip(0, 1)


def texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Relief (height, width, 1) about 1: plaster, brushed metal or boards, or bricks."""
    kind = rng.choice(["plaster", "grain", "bricks"], p=[0.4, 0.3, 0.3])
    coarse = noise(rng, height // 12 + 2, width // 12 + 2)
    relief = 1 + 0.06 * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    if kind == "plaster":
        relief += 0.05 * noise(rng, height, width)
    elif kind == "grain":
        relief += 0.12 * (noise(rng, height, 1) if rng.random() < 0.5 else noise(rng, 1, width))
    else:
        rise = int(rng.integers(7, 14))
        y, x = np.ogrid[:height, :width]
        x = x + y // rise % 2 * rise  # every other row is half a brick further
        shade = 0.08 * noise(rng, height // rise + 1, width // (2 * rise) + 2)
        relief += shade[y // rise, x // (2 * rise)]
        relief += np.float32(rng.choice([-0.25, 0.2])) * ((y % rise == 0) | (x % (2 * rise) == 0))
    return relief[:, :, None]


def noise(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def colours(rng: np.random.Generator) -> np.ndarray:
    """Of the wall, the board and the digits (3, 3), 0 to 255; digits and board differ in brightness by 50 at least."""
    while True:
        chosen = (rng.uniform(15, 240, (3, 1)) + rng.normal(0, 18, (3, 3))).clip(0, 255)
        if abs(chosen[1].mean() - chosen[2].mean()) > 50:
            return chosen.astype(np.float32)


def layout(rng: np.random.Generator, glyphs: list[np.ndarray]) -> list[np.ndarray]:
    """Where digits stand on the board: affine matrices (3, 3) from each glyph's pixels to digit heights.

    The number's middle is at (0, 0). Each digit is a little larger or smaller than its neighbour, higher or lower and
    turned; the line they stand on may rise or fall.
    """
    gap, rise = rng.uniform(0.03, 0.3), float(np.clip(rng.normal(0, 0.15), -0.4, 0.4))
    places, x = [], 0.0
    for glyph in glyphs:
        scale, turn = rng.normal(1, 0.06) / GLYPH, math.radians(rng.normal(0, 4))
        width = glyph.shape[1] * scale
        x += width / 2
        cosine, sine = scale * math.cos(turn), scale * math.sin(turn)
        matrix = np.array([[cosine, -sine, x], [sine, cosine, rise * x + rng.normal(0, 0.04)], [0, 0, 1]])
        places.append(matrix @ moved(-glyph.shape[1] / 2, -glyph.shape[0] / 2))
        x += width / 2 + gap * rng.uniform(0.7, 1.3)
    return [moved(-x / 2, -rise * x / 2) @ place for place in places]


def moved(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def camera(rng: np.random.Generator, size: float) -> np.ndarray:
    """Homography (3, 3) from digit heights on the board to pixels about (0, 0), digits `size` pixels high."""
    turn, slant = math.radians(float(np.clip(rng.normal(0, 18), -40, 40))), rng.normal(0, 0.15)
    turned = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
    slanted = np.array([[rng.uniform(0.75, 1.15), slant, 0], [0, 1, 0], [0, 0, 1]])
    perspective = np.eye(3)
    perspective[2, :2] = rng.normal(0, 0.04, 2).clip(-0.1, 0.1)
    return np.diag([size, size, 1.0]) @ perspective @ turned @ slanted


def hull(glyph: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The convex hull (n, 2) of a glyph's ink where the matrix puts it."""
    points = cv2.convexHull(cv2.findNonZero((glyph > 0.4).astype(np.uint8))).astype(np.float64) + 0.5
    return cv2.perspectiveTransform(points, matrix)[:, 0]


def paint(canvas: np.ndarray, glyph: np.ndarray, matrix: np.ndarray) -> None:
    """Add a glyph's ink to the canvas (H, W), 0 to 1, where the matrix puts it."""
    # Pixel i of OpenCV is at i, its edges at i - 0.5 and i + 0.5.
    matrix = moved(-0.5, -0.5) @ matrix @ moved(0.5, 0.5)
    size = (canvas.shape[1], canvas.shape[0])
    np.maximum(canvas, cv2.warpPerspective(glyph, matrix, size, flags=cv2.INTER_AREA), out=canvas)


def compose(
    rng: np.random.Generator, pictures: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """One house number.

    Args:
        rng: decides everything.
        pictures, labels: handwritten digits, (N, 28, 28) uint8 and (N).

    Returns:
        The picture, uint8 (H, W, 3) RGB; the digits' boxes (n, 4) as left, top, width, height in pixels; the digits.
    """
    count = int(rng.choice(len(LENGTHS), p=LENGTHS)) + 1
    if rng.random() < HANDWRITTEN:
        chosen = rng.integers(0, len(labels), count)
        digits = tuple(int(digit) for digit in labels[chosen])
        glyphs = [handwritten(pictures[index]) for index in chosen]
    else:
        digits = tuple(int(digit) for digit in rng.integers(0, 10, count))
        font = str(rng.choice(FONTS))
        glyphs = [printed(str(digit), font) for digit in digits]
    view = camera(rng, rng.uniform(20, 44))
    places = layout(rng, glyphs)
    hulls = [hull(glyph, view @ place) for glyph, place in zip(glyphs, places, strict=True)]
    low, high = np.concatenate(hulls).min(0), np.concatenate(hulls).max(0)
    # The picture: the number with as much around it as in SVHN, where numbers take a third to half of the width.
    margin = (high - low) * rng.uniform(0.3, 0.8, 2) + 8
    width, height = (np.ceil(high - low + 2 * margin)).astype(int)
    to_picture = moved(*(margin - low)) @ view

    wall, board, ink = colours(rng)
    picture = wall * texture(rng, height, width)
    reach = max(
        abs((place @ [glyph.shape[1] / 2, GLYPH / 2, 1])[0]) for glyph, place in zip(glyphs, places, strict=True)
    )
    across, up = reach + rng.uniform(0.6, 1.6), rng.uniform(0.7, 1.4)
    corners = np.array([[[-across, -up]], [[across, -up]], [[across, up]], [[-across, up]]])
    outline = cv2.perspectiveTransform(corners, to_picture).round().astype(np.int32)
    plate = np.zeros((height, width), np.float32)
    cv2.fillConvexPoly(plate, outline, 1.0, cv2.LINE_AA)
    if rng.random() < 0.7:
        shade = cv2.GaussianBlur(plate, (0, 0), 2)[:, :, None]
        picture = picture * (1 - 0.4 * shade)
        picture = picture + plate[:, :, None] * (board * texture(rng, height, width) - picture)
        if rng.random() < 0.4:
            cv2.polylines(picture, [outline], True, tuple(map(float, ink)), 1, cv2.LINE_AA)
    else:  # digits right on the wall, which then has the board's colour
        picture = picture / np.maximum(wall, 1) * board

    if rng.random() < 0.6:
        add_letters(rng, picture, to_picture, reach + 0.15, ink)
    mask = np.zeros((height, width), np.float32)
    for glyph, place in zip(glyphs, places, strict=True):
        paint(mask, glyph, to_picture @ place)
    shadow = np.roll(cv2.GaussianBlur(mask, (0, 0), 1.2), rng.integers(-2, 3, 2), (0, 1))[:, :, None]
    picture = picture * (1 - np.float32(rng.uniform(0, 0.5)) * shadow)
    picture = picture + mask[:, :, None] * (ink - picture)
    return develop(rng, picture), annotated(rng, hulls, margin - low), digits


def add_letters(
    rng: np.random.Generator, picture: np.ndarray, to_picture: np.ndarray, reach: float, ink: np.ndarray
) -> None:
    """Paint letters beside, above or below a number of -reach to reach; the picture (H, W, 3) changes."""
    font, scale = str(rng.choice(FONTS)), rng.uniform(0.35, 0.9) / GLYPH
    glyphs = [printed(str(letter), font) for letter in rng.choice(list(LETTERS), int(rng.integers(1, 4)))]
    word = np.hstack([np.pad(glyph, ((0, 0), (3, 3))) for glyph in glyphs])
    half = word.shape[1] / 2 * scale
    if rng.random() < 0.5:
        x, y = rng.choice([-1, 1]) * (reach + half + rng.uniform(0, 0.5)), rng.normal(0, 0.3)
    else:
        x, y = rng.uniform(-reach, reach), rng.choice([-1, 1]) * rng.uniform(1.2, 1.7)
    mask = np.zeros(picture.shape[:2], np.float32)
    placed = moved(x, y) @ np.diag([scale, scale, 1]) @ moved(-word.shape[1] / 2, -GLYPH / 2)
    paint(mask, word, to_picture @ placed)
    picture += mask[:, :, None] * (ink - picture)


def develop(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Light from one side, blur, noise: a photograph, uint8, of a painted picture (H, W, 3) of 0 to 255."""
    height, width = picture.shape[:2]
    slope, contrast, brightness, grain = (
        rng.normal(0, 0.25, 2),
        rng.uniform(0.6, 1.1),
        rng.normal(0, 12),
        rng.uniform(2, 10),
    )
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = (1 + slope[0] * x + slope[1] * y).clip(0.4, 1.6).astype(np.float32)
    picture = cv2.GaussianBlur(picture * light[:, :, None], (0, 0), rng.uniform(0.3, 1.3))
    picture = (picture - 128) * np.float32(contrast) + np.float32(128 + brightness)
    picture += np.float32(grain) * noise(rng, *picture.shape)
    return picture.clip(0, 255).round().astype(np.uint8)


def annotated(rng: np.random.Generator, hulls: list[np.ndarray], shift: np.ndarray) -> np.ndarray:
    """Boxes (n, 4), left, top, width, height, about the ink, each side off by some 6 % of the digit's height."""
    boxes = []
    for points in hulls:
        low, high = points.min(0) + shift, points.max(0) + shift
        errors = rng.normal(0, 0.06 * (high[1] - low[1]), 4)
        left, top = np.round(low + errors[:2])
        right, bottom = np.round(high + errors[2:])
        boxes.append([left, top, max(1, right - left), max(1, bottom - top)])
    return np.array(boxes)


def compose_split(folder: Path, count: int, handwriting: Digits, seed: int) -> None:
    """Compose `count` house numbers into a folder, of the handwritten digits and printed ones.

    Pictures are written first and digitStruct.mat last, whole: where it is, the split is.

    Raises:
        InputError: nothing can be written there.
    """
    pictures, labels = handwriting.pictures[:, 0].numpy(), handwriting.labels.numpy()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ANNOTATIONS).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); choose another --made") from None
    numbers = []
    for index in tqdm(range(count), f"{folder.name}, composing", leave=False):
        picture, boxes, digits = compose(np.random.default_rng([seed, index]), pictures, labels)
        number = HouseNumber(f"{index + 1}.png", boxes, digits)
        if not cv2.imwrite(str(folder / number.name), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
            raise InputError(f"{folder / number.name}: cannot be written; choose another --made")
        numbers.append(number)
    write_annotations(folder / ANNOTATIONS, numbers)
