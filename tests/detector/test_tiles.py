"""Tiles cover the picture; what they show of one person is one detection, in the picture's pixels."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from upright.detector.detected import Detected
from upright.detector.settings import Settings
from upright.detector.tiles import OVERLAP, TiledEngine, merged, tile_windows


@pytest.mark.parametrize(
    ("size", "tile"), [((1080, 1920), (480, 864)), ((500, 700), (480, 640)), ((300, 2000), (480, 480))]
)
def test_tiles_cover_the_picture_and_overlap(size, tile):
    height, width = size
    windows = tile_windows(height, width, tile)
    covered = np.zeros(size, int)
    for x1, y1, x2, y2 in windows:
        assert (y2 - y1, x2 - x1) == (min(tile[0], height), min(tile[1], width))
        covered[y1:y2, x1:x2] += 1
    assert covered.min() == 1
    for low, high, extent in ((0, 2, tile[1]), (1, 3, tile[0])):
        places = sorted({(window[low], window[high]) for window in windows})
        for one, following in pairwise(places):
            assert one[1] - following[0] >= OVERLAP * extent - 1


def test_a_picture_that_is_no_larger_has_no_tiles():
    assert tile_windows(480, 864, (480, 864)) == []


class Squares:
    """An engine that finds the bright squares whose side is at least a 40th of the picture's longer side."""

    name, settings = "squares", Settings()

    def detect(self, images):
        found = []
        for image in images:
            _, _, boxes, _ = cv2.connectedComponentsWithStats((image[..., 0] > 128).astype(np.uint8))
            boxes = boxes[1:, :4].astype(float)
            boxes = boxes[boxes[:, 2] >= max(image.shape[:2]) / 40]
            boxes[:, 2:] += boxes[:, :2]
            quadrilaterals = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
            scores = np.linspace(0.9, 0.5, len(boxes))
            parts = np.repeat(quadrilaterals[:, None], 3, axis=1)
            lean, seen = np.zeros(len(boxes)), np.ones((len(boxes), 3))
            found.append(Detected(boxes, scores, lean=lean, whole=quadrilaterals, parts=parts, seen=seen))
        return found


def test_small_ones_are_found_once_and_large_ones_whole():
    image = np.zeros((1000, 1600, 3), np.uint8)
    small = [
        (x, y, x + 20, y + 20) for x, y in [(30, 40), (395, 390), (780, 200), (1550, 950), (800, 800), (1180, 610)]
    ]
    large = (300, 100, 950, 750)
    for x1, y1, x2, y2 in [large, *small]:
        image[y1:y2, x1:x2] = 255
    small = [box for box in small if not (300 <= box[0] < 950 and 100 <= box[1] < 750)]
    assert len(Squares().detect([image])[0].scores) == 1, "the whole picture alone shows the large one"
    (found,) = TiledEngine(Squares(), 400).detect([image])
    assert sorted(map(tuple, found.boxes.astype(int).tolist())) == sorted([large, *small])
    np.testing.assert_array_equal(found.whole[:, 0], found.boxes[:, :2])
    np.testing.assert_array_equal(found.parts[:, 2, 2], found.boxes[:, 2:])
    assert (np.diff(found.scores) <= 0).all()


def test_pictures_keep_their_order_and_their_size_decides():
    engine = TiledEngine(Squares())
    images = [np.zeros((480, 640, 3), np.uint8), np.zeros((1000, 1600, 3), np.uint8)]
    images[1][100:124, 100:124] = 255  # a 36th of a tile, less than a 40th of the picture
    assert [len(found.scores) for found in engine.detect(images)] == [0, 1]


def test_people_who_overlap_in_one_view_are_both_kept():
    boxes = np.array([[0, 0, 10, 30], [2, 0, 12, 30]], float)
    one = Detected(boxes, np.array([0.9, 0.8]))
    assert len(merged([one]).scores) == 2
    both = merged([one, Detected(boxes[:1], np.array([0.95]))])
    assert both.scores.tolist() == [0.95]
