"""A turned data set: the same people at every angle, samples and columns that agree."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from upright.datasets.coco import CocoPedestrians
from upright.datasets.turned import TurnedPedestrians
from upright.errors import InputError


@pytest.fixture
def people(tmp_path: Path) -> CocoPedestrians:
    """A picture 100 x 60: one with an outline, one without; and a picture without anybody."""
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((60, 100, 3), 90, np.uint8))
    keypoints = [12, 7, 2] + [0, 0, 0] * 15 + [11, 40, 1]
    data = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 60} for i in (1, 2)],
        "annotations": [
            {"id": 1, "image_id": 1, "bbox": [50, 10, 20, 40]},
            {
                "id": 2,
                "image_id": 1,
                "bbox": [10, 5, 20, 40],
                "segmentation": [[10, 5, 30, 5, 10, 45]],
                "keypoints": keypoints,
                "vis_bbox": [10, 5, 20, 10],
            },
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(data))
    return CocoPedestrians(tmp_path, ["a.json"])


def test_a_quarter_by_hand(people: CocoPedestrians) -> None:
    turned = TurnedPedestrians(people, 90)
    a = turned.annotations
    assert turned.sizes.tolist() == a.sizes.tolist() == [[60, 100], [60, 100]]
    assert a.boxes.tolist() == [[10, 50, 40, 20], [15, 10, 40, 20]]
    assert a.height.tolist() == [20, 20]
    assert a.visible.tolist() == [[0, 0, 0, 0], [45, 10, 10, 20]]
    assert a.ignore.tolist() == [True, False]
    assert a.joints[1, 0].tolist() == [53, 12, 2]


@pytest.mark.parametrize("degrees", [0, 30, 90, 200.5])
def test_samples_say_what_the_columns_say(people: CocoPedestrians, degrees: float) -> None:
    turned = TurnedPedestrians(people, degrees)
    sample, a = turned[0], turned.annotations
    assert sample.image.shape[:2] == tuple(a.sizes[0][::-1])
    assert sample.ignore.tolist() == [True, False]
    assert sample.boxes[1] == pytest.approx([*a.boxes[1, :2], *(a.boxes[1, :2] + a.boxes[1, 2:])], abs=1e-4)
    assert (sample.joints == a.joints).all()
    assert len(turned[1].boxes) == 0
    assert len(turned) == 2


def test_no_angle_and_unknown_sizes_are_refused(people: CocoPedestrians) -> None:
    with pytest.raises(InputError, match="finite"):
        TurnedPedestrians(people, float("nan"))
    people.annotations.sizes[:] = 0
    with pytest.raises(InputError, match="width and height"):
        _ = TurnedPedestrians(people, 30).annotations
