"""A rolled camera: boxes of the turned masks, joints and lean that turn with the picture."""

from __future__ import annotations

import numpy as np
import pytest

from upright.datasets.synthetic.composition import compose
from upright.datasets.synthetic.figure.poses import SELDOM_POSES
from upright.datasets.synthetic.roll import Roll, widened
from upright.datasets.synthetic.scene import Series, box_columns, generator
from upright.datasets.synthetic.street.view import draw_view
from upright.datasets.turning import wrapped

SIZE = (320, 240)
SERIES = Series(1, SIZE, roll=180.0, poses="all")


def test_a_quarter_of_a_turn_moves_pixels_exactly() -> None:
    wide, size = (44, 44), (32, 24)
    roll = Roll(90.0, wide, size)
    image = np.random.default_rng(0).integers(0, 256, (44, 44, 3), dtype=np.uint8)
    turned = np.rot90(image, -1)[10:34, 6:38]
    assert (roll.picture(image) == turned).all()
    owner = image[..., 0].astype(np.int16) - 100
    assert (roll.marks(owner) == np.rot90(owner, -1)[10:34, 6:38]).all()
    mask, left, top = roll.mask(np.ones((5, 3), bool), 20, 30)
    rows, columns = np.nonzero(mask)
    # Columns 20 to 22 and rows 30 to 34 of the wide picture: 44 - 35 - 6 and 20 - 10 of the one that is seen.
    assert (columns.min() + left, columns.max() + left, rows.min() + top, rows.max() + top) == (3, 7, 10, 12)
    assert mask.sum() == 15


def _slow_nearest(image: np.ndarray, roll: Roll, size: tuple[int, int], left: int, top: int) -> np.ndarray:
    """Pixel by pixel: where does the middle of this pixel come from?"""
    back = np.linalg.inv(np.concatenate([roll.matrix, [[0, 0, 1]]]))
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    middle = np.stack([columns + left + 0.5, rows + top + 0.5, np.ones(rows.shape)])
    x, y = np.floor(np.tensordot(back, middle, 1)[:2]).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < image.shape[1]) & (y < image.shape[0])
    return np.where(inside, image[np.clip(y, 0, image.shape[0] - 1), np.clip(x, 0, image.shape[1] - 1)], 0)


@pytest.mark.parametrize("index", [0, 3, 4])
def test_boxes_are_those_of_the_turned_masks(index: int) -> None:
    view, placed, roll = SERIES.describe(index)
    wide_owner, wide_boxes = compose(view, placed)
    _, boxes = compose(view, placed, roll=roll)
    assert boxes.label
    for row, source in enumerate(boxes.source):
        mark = wide_boxes.source.index(source) + 1
        slow = _slow_nearest(wide_owner == mark, roll, SIZE, 0, 0)
        rows, columns = np.nonzero(slow)
        edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert np.abs(np.subtract(boxes.visible[row], edges)).max() <= 1
        assert boxes.seen_area[row] == pytest.approx(slow.sum(), rel=0.03, abs=6)
        # The whole mask turns about a point far away: as large as before, and its middle where the matrix says.
        assert boxes.full_area[row] == pytest.approx(wide_boxes.full_area[mark - 1], rel=0.03, abs=6)
        full = np.array(wide_boxes.full[mark - 1])
        corners = full[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2) @ roll.matrix[:, :2].T + roll.matrix[:, 2]
        assert (np.array(boxes.full[row][:2]) >= corners.min(axis=0) - 1).all()
        assert (np.array(boxes.full[row][2:]) <= corners.max(axis=0) + 1).all()


@pytest.mark.parametrize("index", range(6))
def test_the_rolled_picture_has_the_boxes_that_the_masks_alone_give(index: int) -> None:
    sample = SERIES.render(index)
    columns = box_columns(SERIES.measure(index))
    assert sample.image.shape == (SIZE[1], SIZE[0], 3)
    assert (sample.boxes == np.clip(columns["full"], 0, (*SIZE, *SIZE)).astype(np.float32)).all()
    assert (sample.joints == columns["joints"]).all()
    assert (sample.attributes["lean"] == columns["lean"]).all()
    roll = SERIES.describe(index)[2]
    assert roll is not None
    assert sample.turn == roll.degrees != 0


def test_lean_turns_with_the_camera_and_stays_within_half_a_turn() -> None:
    leans = []
    for index in range(12):
        view, placed, roll = SERIES.describe(index)
        boxes = compose(view, placed, roll=roll)[1]
        upright = [placed[source].skeleton.lean for source in boxes.source]
        assert boxes.lean == pytest.approx([float(wrapped(lean + roll.degrees)) for lean in upright])
        leans += boxes.lean
    assert min(leans) > -180
    assert max(leans) <= 180
    assert np.ptp(leans) > 200


def test_the_lean_is_that_of_the_joints() -> None:
    """Mid-hip to mid-shoulder is nearly pelvis to neck."""
    differences = []
    for index in range(12):
        columns = box_columns(SERIES.measure(index))
        joints = columns["joints"]
        known = (joints[:, [5, 6, 11, 12], 2] > 0).all(axis=1)
        axis = joints[known][:, [5, 6], :2].mean(axis=1) - joints[known][:, [11, 12], :2].mean(axis=1)
        lean = np.degrees(np.arctan2(axis[:, 0], -axis[:, 1]))
        differences += np.abs(wrapped(lean - columns["lean"][known])).tolist()
    assert len(differences) > 20
    assert np.median(differences) < 2
    assert np.quantile(differences, 0.9) < 10


def test_the_angle_is_drawn_apart_from_everything_else() -> None:
    one, other = (Series(2, SIZE, roll=roll).describe(4) for roll in (30.0, 180.0))
    assert [p.foot for p in one[1]] == [p.foot for p in other[1]]
    assert one[2].degrees == pytest.approx(other[2].degrees / 6)
    angles = [Series(2, SIZE, roll=30.0).describe(index)[2].degrees for index in range(40)]
    assert -30 <= min(angles) < -20
    assert 20 < max(angles) <= 30


def test_the_wide_picture_covers_the_one_that_is_seen_at_every_angle() -> None:
    view = widened(draw_view(generator(0, 0, 0), SIZE))
    for degrees in range(0, 360, 7):
        white = np.full((view.size[1], view.size[0], 3), 255, np.uint8)
        assert (Roll(degrees, view.size, SIZE).picture(white) == 255).all()


def test_the_seldom_poses_come_when_they_are_asked_for() -> None:
    tables = [Series(3, SIZE, poses="all").measure(index) for index in range(60)]
    assert set(SELDOM_POSES) <= {pose for table in tables for pose in table.pose}
    lying = [lean for table in tables for pose, lean in zip(table.pose, table.lean, strict=True) if pose == "lying"]
    assert min(np.abs(lying)) > 45
