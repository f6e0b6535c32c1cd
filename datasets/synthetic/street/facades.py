"""House fronts, drawn flat once a process from fixed seeds; a scene picks some, tints them and hangs them in place."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from upright.datasets.synthetic.drawing import textures
from upright.datasets.synthetic.drawing.canvas import Colour
from upright.datasets.synthetic.drawing.palette import pick, shaded

COUNT = 40
PER_METRE = 32
WIDTH, HEIGHT = 12.0, 16.0  # metres

_WALLS = (
    *((176, 158, 132), (196, 182, 158), (208, 200, 184), (150, 140, 128), (128, 124, 120), (110, 106, 104)),
    *((142, 86, 66), (120, 70, 56), (160, 108, 84), (184, 150, 108), (206, 176, 128), (170, 176, 178)),
    *((222, 214, 200), (96, 92, 88), (188, 146, 124), (150, 160, 150)),
)
_SIGNS = ((170, 40, 40), (30, 70, 130), (30, 100, 70), (220, 180, 60), (40, 40, 44), (236, 236, 230), (190, 90, 40))

Rectangle = tuple[int, int, int, int]


def _metres(value: float) -> int:
    return round(value * PER_METRE)


def _fill(image: np.ndarray, at: Rectangle, colour: Colour) -> None:
    x1, y1, x2, y2 = at
    cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), colour, -1)


@cache
def facade(number: int) -> np.ndarray:
    """House front `number` (0 to COUNT - 1), 12 m wide and 16 m tall, ground at the bottom. uint8 (512, 384, 3)."""
    rng = np.random.Generator(np.random.PCG64(1000 + number))
    height, width = _metres(HEIGHT), _metres(WIDTH)
    wall = pick(rng, _WALLS)
    image: np.ndarray = np.empty((height, width, 3), np.uint8)
    image[:] = wall
    kind = str(rng.choice(("plaster", "brick", "stone", "glass"), p=(0.4, 0.28, 0.17, 0.15)))
    _surface(rng, image, wall, kind)
    ground_floor = _metres(rng.uniform(3.4, 4.4))
    floor = _metres(rng.uniform(2.8, 3.5))
    frame = pick(rng, ((230, 230, 226), (60, 54, 50), (120, 84, 60), (200, 196, 186), (40, 44, 48)))
    if kind == "glass":
        _curtain_wall(rng, image, height - ground_floor, frame)
    else:
        _windows(rng, image, height - ground_floor, floor, wall, frame)
    _ground_floor(rng, image, height - ground_floor, wall, frame)
    cornice = shaded(wall, 1.15)
    _fill(image, (0, height - ground_floor - 5, width, height - ground_floor), cornice)
    _fill(image, (0, height - ground_floor, width, height - ground_floor + 3), shaded(wall, 0.6))
    offset = (int(rng.integers(1024)), int(rng.integers(1024)))
    stains = textures.cut(textures.fractal(), offset, height, width)
    image = cv2.addWeighted(image, 1.0, cv2.merge((stains,) * 3), 0.25, -32)
    fine = textures.cut(textures.grain(), offset, height, width)
    return cv2.addWeighted(image, 1.0, cv2.merge((fine,) * 3), 0.16, -0.16 * 128)


def _surface(rng: np.random.Generator, image: np.ndarray, wall: Colour, kind: str) -> None:
    height, width = image.shape[:2]
    if kind == "brick":
        course = 4
        tones = rng.integers(-16, 17, (height // course + 1, width // 10 + 2))
        field = cv2.resize(tones.astype(np.int16), (width, height), interpolation=cv2.INTER_NEAREST)
        image[:] = np.clip(image.astype(np.int16) + field[..., None], 0, 255).astype(np.uint8)
        image[::course] = shaded(wall, 1.18)
    elif kind == "stone":
        block_h, block_w = int(rng.integers(12, 22)), int(rng.integers(26, 50))
        for row, y in enumerate(range(0, height, block_h)):
            for x in range(-(row % 2) * block_w // 2, width, block_w):
                _fill(image, (x, y, x + block_w, y + block_h), shaded(wall, float(rng.uniform(0.93, 1.06))))
            cv2.line(image, (0, y), (width, y), shaded(wall, 0.78), 1)


def _glass(rng: np.random.Generator, image: np.ndarray, at: Rectangle, base: Colour) -> None:
    """A pane that mirrors the sky above and the street below, some with curtains or light behind."""
    x1, y1, x2, y2 = at
    y1, x1 = max(0, y1), max(0, x1)
    if x2 <= x1 or y2 <= y1:
        return
    share = np.linspace(1.5 if rng.uniform() < 0.5 else 1.1, 0.55, y2 - y1)[:, None, None]
    image[y1:y2, x1:x2] = np.clip(share * base, 0, 255)
    chance = rng.uniform()
    if chance < 0.3:
        curtain = pick(rng, ((200, 196, 186), (170, 160, 140), (224, 222, 216)))
        if chance < 0.15:
            _fill(image, (x1, y1, x2, y1 + int((y2 - y1) * rng.uniform(0.25, 0.9))), curtain)
        else:
            fold = max(2, (x2 - x1) // 4)
            _fill(image, (x1, y1, x1 + fold, y2), curtain)
            _fill(image, (x2 - fold, y1, x2, y2), curtain)
    elif chance < 0.42:
        cv2.line(image, (x1, y2 - 1), (x2 - 1, y1), shaded(base, 1.9), 1 + (x2 - x1) // 10)


def _windows(
    rng: np.random.Generator,
    image: np.ndarray,
    base: int,
    floor: int,
    wall: Colour,
    frame: Colour,
) -> None:
    width = image.shape[1]
    bays = int(rng.integers(3, 7))
    pitch = width / bays
    wide, tall = int(pitch * rng.uniform(0.36, 0.66)), int(floor * rng.uniform(0.48, 0.72))
    glass = pick(rng, ((70, 80, 92), (52, 58, 66), (92, 104, 118), (44, 46, 48)))
    bars, lintel = int(rng.integers(0, 3)), rng.uniform() < 0.5
    balcony = rng.uniform() < 0.25
    for y in range(base - int(floor * 0.25), floor // 2, -floor):
        for bay in range(bays):
            x = int((bay + 0.5) * pitch - wide / 2)
            top = y - tall
            _fill(image, (x - 3, top - 3, x + wide + 3, y + 3), frame if not lintel else shaded(wall, 1.2))
            _fill(image, (x - 1, top - 1, x + wide + 1, y + 1), frame)
            _glass(rng, image, (x, top, x + wide, y), glass)
            for bar in range(1, bars + 1):
                at = x + bar * wide // (bars + 1)
                cv2.line(image, (at, top), (at, y), frame, 1)
            if bars == 1:
                cv2.line(image, (x, top + tall // 3), (x + wide, top + tall // 3), frame, 1)
            _fill(image, (x - 4, y + 1, x + wide + 4, y + 4), shaded(wall, 1.25))
            _fill(image, (x - 3, y + 4, x + wide + 3, y + 6), shaded(wall, 0.62))
            _fill(image, (x, top, x + wide, top + 2), shaded(glass, 0.5))
            if balcony and bay % 2 == 0:
                _fill(image, (x - 8, y + 2, x + wide + 8, y + 6), shaded(wall, 0.8))
                for rail in range(x - 8, x + wide + 9, 4):
                    cv2.line(image, (rail, y - 26), (rail, y + 2), (50, 50, 52), 1)
                cv2.line(image, (x - 8, y - 26), (x + wide + 8, y - 26), (50, 50, 52), 2)


def _curtain_wall(rng: np.random.Generator, image: np.ndarray, base: int, frame: Colour) -> None:
    width = image.shape[1]
    across, down = int(rng.integers(22, 60)), int(rng.integers(36, 100))
    glass = pick(rng, ((84, 100, 116), (60, 72, 84), (110, 126, 138), (70, 84, 84)))
    for y in range(base - 8, -down, -down):
        for x in range(0, width, across):
            pane = shaded(glass, float(rng.uniform(0.75, 1.25)))
            _glass(rng, image, (x, max(0, y - down), min(width, x + across), y), pane)
        cv2.line(image, (0, y), (width, y), frame, 3)
    for x in range(0, width, across):
        cv2.line(image, (x, 0), (x, base), frame, 2)


def _ground_floor(
    rng: np.random.Generator,
    image: np.ndarray,
    top: int,
    wall: Colour,
    frame: Colour,
) -> None:
    """Shops with signs and awnings, or a plain house with a door."""
    height, width = image.shape[:2]
    if rng.uniform() < 0.3:
        _plain_ground_floor(rng, image, top, wall, frame)
        return
    shops = int(rng.integers(1, 4))
    for shop in range(shops):
        x1, x2 = width * shop // shops + 8, width * (shop + 1) // shops - 8
        sign = pick(rng, _SIGNS)
        band = _metres(rng.uniform(0.5, 0.9))
        surround = pick(rng, ((60, 56, 54), (110, 100, 90), (210, 206, 198), (80, 60, 44), (40, 60, 56)))
        _fill(image, (x1, top + 10, x2, height), surround)
        _show(rng, image, (x1 + 5, top + 10 + band, x2 - 5, height - _metres(0.35)))
        door = x1 + 6 + int(rng.integers(0, max(1, x2 - x1 - 46)))
        _fill(image, (door, top + 14 + band, door + 34, height), frame)
        _glass(rng, image, (door + 4, top + 20 + band, door + 30, height - 12), (64, 66, 68))
        _fill(image, (x1, top + 10, x2, top + 10 + band), sign)
        _lettering(rng, image, (x1 + 10, top + 10, x2 - 10, top + 10 + band), sign)
        if rng.uniform() < 0.4:
            _awning(rng, image, (x1, top + 12 + band, x2, top + 12 + band + _metres(rng.uniform(0.6, 1.1))))
    _fill(image, (0, height - 6, width, height), shaded(wall, 0.6))


def _plain_ground_floor(
    rng: np.random.Generator,
    image: np.ndarray,
    top: int,
    wall: Colour,
    frame: Colour,
) -> None:
    height, width = image.shape[:2]
    _fill(image, (0, height - _metres(rng.uniform(0.4, 1.0)), width, height), shaded(wall, 0.72))
    bays = int(rng.integers(3, 6))
    door_bay = int(rng.integers(bays))
    pitch = width / bays
    for bay in range(bays):
        x = int((bay + 0.5) * pitch)
        if bay == door_bay:
            door = pick(rng, ((70, 46, 34), (40, 60, 50), (60, 60, 64), (110, 40, 40), (140, 110, 80)))
            _fill(image, (x - 24, height - _metres(2.7), x + 24, height), shaded(wall, 1.2))
            _fill(image, (x - 18, height - _metres(2.45), x + 18, height), door)
            cv2.line(image, (x, height - _metres(2.4)), (x, height), shaded(door, 0.6), 1)
            for panel in (0.5, 1.5):
                y = height - _metres(panel)
                cv2.rectangle(image, (x - 14, y - 22), (x - 4, y), shaded(door, 0.7), 1)
                cv2.rectangle(image, (x + 4, y - 22), (x + 14, y), shaded(door, 0.7), 1)
        else:
            half, low = int(pitch * 0.26), height - _metres(1.0)
            _fill(image, (x - half - 3, top + 27, x + half + 3, low + 3), frame)
            _glass(rng, image, (x - half, top + 30, x + half, low), (66, 72, 80))
            _fill(image, (x - half - 5, low + 2, x + half + 5, low + 5), shaded(wall, 1.2))


def _show(rng: np.random.Generator, image: np.ndarray, at: Rectangle) -> None:
    """A shop window: dim inside, some lamps, shelves and goods."""
    x1, y1, x2, y2 = at
    if x2 - x1 < 8 or y2 - y1 < 8:
        return
    inside = pick(rng, ((56, 52, 48), (86, 80, 72), (120, 110, 92), (44, 48, 54)))
    _glass(rng, image, at, inside)
    for _ in range(int(rng.integers(6, 22))):
        w, h = int(rng.integers(3, 22)), int(rng.integers(4, 34))
        x = int(rng.integers(x1, max(x1 + 1, x2 - w)))
        y = int(rng.integers((y1 + y2) // 2, max((y1 + y2) // 2 + 1, y2 - h // 2)))
        tone = shaded(pick(rng, (*_SIGNS, inside, inside), 30), 0.7)
        _fill(image, (x, y, min(x2, x + w), min(y2, y + h)), tone)
    for _ in range(int(rng.integers(0, 6))):
        centre = (int(rng.integers(x1, x2)), int(rng.integers(y1, y1 + max(1, (y2 - y1) // 3))))
        cv2.circle(image, centre, int(rng.integers(1, 4)), (250, 240, 210), -1)
    for part in range(1, int(rng.integers(2, 5))):
        x = x1 + part * (x2 - x1) // 4
        cv2.line(image, (x, y1), (x, y2), (48, 46, 44), 2)


def _lettering(rng: np.random.Generator, image: np.ndarray, at: Rectangle, sign: Colour) -> None:
    """Something like letters."""
    x1, y1, x2, y2 = at
    ink = (240, 238, 230) if sum(sign) < 380 else (40, 36, 34)
    tall = max(4, (y2 - y1) // 2)
    x, end, y = x1 + int(rng.integers(0, 30)), x2 - int(rng.integers(0, 40)), (y1 + y2 - tall) // 2
    while x < end - tall:
        wide = int(tall * rng.uniform(0.4, 0.8))
        if rng.uniform() < 0.85:
            _fill(image, (x, y, x + max(2, tall // 5), y + tall), ink)
            for _ in range(int(rng.integers(1, 4))):
                row = y + int(rng.integers(0, tall - 1))
                cv2.line(image, (x, row), (x + wide - 2, row), ink, max(1, tall // 8))
            if rng.uniform() < 0.5:
                _fill(image, (x + wide - max(2, tall // 5), y, x + wide, y + tall), ink)
        x += wide + 3


def _awning(rng: np.random.Generator, image: np.ndarray, at: Rectangle) -> None:
    x1, y1, x2, y2 = at
    one, other = pick(rng, _SIGNS), pick(rng, ((230, 226, 216), (60, 60, 62), *_SIGNS))
    stripes = int(rng.choice((1, 8, 14)))
    for k in range(stripes):
        a, b = x1 + (x2 - x1) * k // stripes, x1 + (x2 - x1) * (k + 1) // stripes
        _fill(image, (a, y1, b, y2), one if k % 2 == 0 else other)
        _fill(image, (a, y2 - 7, b, y2), shaded(one if k % 2 == 0 else other, 0.8))
    # What lies under the awning is in its shadow.
    below = image[y2 : y2 + 24, x1:x2]
    image[y2 : y2 + 24, x1:x2] = (below * np.linspace(0.5, 1, len(below))[:, None, None]).astype(np.uint8)
