"""Lean, parts and what is seen of them against joints: by hand, by pixels and by what angles do at 180 degrees."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from upright.datasets.part_frames import frame_corners, part_frames
from upright.datasets.sample import Annotations
from upright.datasets.turning import turning
from upright.detector.evaluation import Detections
from upright.detector.evaluation.pose import frame_overlap, inside_polygon, pose_figures, seen_figures, slope
from upright.detector.pose_entries import PoseColumns

# Nose and eyes, ears, shoulders, elbows, wrists, hips, knees, ankles of somebody 100 pixels high who stands straight.
STANDING = np.array(
    [
        *((20, 8), (22, 6), (18, 6), (24, 8), (16, 8), (28, 20), (12, 20), (30, 34), (10, 34), (30, 48), (10, 48)),
        *((25, 52), (15, 52), (25, 74), (15, 74), (25, 96), (15, 96)),
    ],
    np.float64,
)
LEANS = (0.0, 10.0, -40.0, 80.0, 155.0, -170.0, 179.0)


def people(leans: tuple[float, ...] = LEANS, scale: float = 1.0) -> Annotations:
    """One person a picture, turned about the picture's centre."""
    joints, boxes = [], []
    for lean in leans:
        matrix, _, _ = turning(400, 400, lean)
        places = (STANDING * scale + 150) @ matrix[:, :2].T + matrix[:, 2]
        joints.append(np.concatenate([places, np.full((17, 1), 2.0)], axis=1))
        boxes.append([*(places.min(axis=0) - 4), *(np.ptp(places, axis=0) + 8)])
    n = len(leans)
    return Annotations(
        image_ids=list(range(n)),
        file_names=[f"{i}.png" for i in range(n)],
        sizes=np.full((n, 2), 600),
        image_index=np.arange(n),
        boxes=np.array(boxes),
        visible=np.array(boxes),
        ignore=np.zeros(n, bool),
        height=np.array(boxes)[:, 3],
        visible_ratio=np.ones(n),
        category=np.ones(n, np.int64),
        joints=np.array(joints, np.float32),
    )


def told(annotations: Annotations, error: float = 0.0) -> Detections:
    """Detections that know everything, but for the error of the lean in degrees."""
    frames, known = part_frames(annotations.joints)
    assert known.all()
    lean = np.degrees(np.arctan2(frames[:, 2, 2], -frames[:, 2, 3])) + error
    pose = PoseColumns(180 - (180 - lean) % 360, frame_corners(frames)[:, 1:], np.full((len(lean), 3), 0.9))
    return Detections(annotations.image_index, annotations.boxes, np.linspace(0.9, 0.1, len(lean)), pose)


def test_who_knows_everything_has_no_error() -> None:
    annotations = people()
    figures = pose_figures(annotations, told(annotations))
    assert figures is not None
    everybody = figures["all"]
    assert (everybody["people"], everybody["found"], everybody["upside_down"]) == (7, 7, 0)
    assert everybody["lean_error"] == pytest.approx(0, abs=1e-4)
    assert everybody["slope"] == pytest.approx(1)
    assert everybody["head_inside"] == 1
    assert list(everybody["overlap"].values()) == pytest.approx([1, 1, 1])
    assert figures["leaning"]["people"] == 5
    assert {name: one["people"] for name, one in figures["by_lean"].items() if one["people"]} == {
        "0-15": 2, "30-45": 1, "75-90": 1, "150-165": 1, "165-180": 2,
    }  # fmt: skip
    assert figures["by_length"]["64-128"]["people"] == 7


@pytest.mark.parametrize(("error", "upside_down"), [(20.0, 0), (-35.0, 0), (120.0, 1), (180.0, 1)])
def test_an_error_is_the_angle_between_told_and_true(error: float, upside_down: int) -> None:
    annotations = people()
    figures = pose_figures(annotations, told(annotations, error))
    assert figures is not None
    assert figures["all"]["lean_error"] == pytest.approx(abs(error), abs=1e-4)
    assert figures["all"]["upside_down"] == upside_down


def test_people_are_taken_by_the_detection_that_found_them() -> None:
    """A weaker detection of the same person and one elsewhere say other things, which nobody asks."""
    annotations = people((0.0, 90.0))
    right = told(annotations)
    assert right.pose is not None
    wrong = PoseColumns(right.pose.lean + 90, right.pose.parts + 500, right.pose.seen)
    far = annotations.boxes + np.array((300, 0, 0, 0))
    detections = Detections(
        np.array([0, 1, 0, 1, 0, 1]),
        np.concatenate([far, annotations.boxes, annotations.boxes]),
        np.array([0.99, 0.98, 0.5, 0.5, 0.4, 0.4]),
        PoseColumns.joined([wrong, right.pose, wrong]),
    )
    figures = pose_figures(annotations, detections)
    assert figures is not None
    assert figures["all"]["lean_error"] == pytest.approx(0, abs=1e-4)
    assert figures["all"]["head_inside"] == 1


def test_who_is_missed_or_has_no_trunk_is_counted_so() -> None:
    annotations = people((0.0, 20.0, 40.0, 60.0))
    annotations.joints[3, 5:7, 2] = 0  # without shoulders there is no trunk
    found = told(people((0.0, 20.0, 40.0, 60.0)))
    rows = np.array([0, 2, 3])
    assert found.pose is not None
    found.pose.lean[0] = np.nan
    some = Detections(found.image_index[rows], found.boxes[rows], found.scores[rows], found.pose.take(rows))
    figures = pose_figures(annotations, some)
    assert figures is not None
    assert (figures["all"]["people"], figures["all"]["found"]) == (3, 1)
    assert figures["by_lean"]["0-15"] == {
        "people": 1, "found": 0, "lean_error": None, "upside_down": None, "slope": None, "head_inside": None,
        "overlap": {"head": None, "torso": None, "legs": None},
    }  # fmt: skip


def test_ignored_people_do_not_count() -> None:
    annotations = people((0.0, 20.0))
    annotations.ignore[1] = True
    figures = pose_figures(annotations, told(annotations))
    assert figures is not None
    assert figures["all"]["people"] == 1


def test_without_joints_or_pose_there_are_no_figures() -> None:
    annotations = people()
    found = told(annotations)
    plain = Detections(found.image_index, found.boxes, found.scores)
    assert pose_figures(annotations, plain) is None
    annotations.joints[:] = 0
    assert pose_figures(annotations, found) is None


def test_slope_of_turns_on_both_sides_of_180_degrees() -> None:
    lean = np.linspace(-175, 175, 71)
    noisy = lean + np.where(np.arange(71) % 2, 12, -12)
    assert slope(lean, 180 - (180 - noisy) % 360) == pytest.approx(1, abs=0.01)
    assert slope(lean, np.zeros(71)) == pytest.approx(0, abs=0.02)
    assert slope(lean, 0.25 * lean) == pytest.approx(0.25)
    assert slope(lean, 180 - (-lean) % 360) == pytest.approx(-0.5, abs=0.05)
    generator = np.random.default_rng(0)
    lean, turn = generator.uniform(-180, 180, (2, 10000))
    assert slope(lean, turn) == pytest.approx(0.3, abs=0.05)
    assert slope(np.zeros(3), np.arange(3.0)) is None
    assert slope(np.ones(1), np.ones(1)) is None


@pytest.mark.parametrize("clockwise", [True, False])
def test_overlap_by_hand(clockwise: bool) -> None:
    frame = np.array([5.0, 5, 0, -1, 5, 5])  # from 0 to 10 in both directions
    corners = np.array(((5.0, 0), (15, 0), (15, 10), (5, 10)))
    corners = corners if clockwise else corners[::-1]
    assert frame_overlap(frame, corners) == pytest.approx(50 / 150)
    assert frame_overlap(frame, corners + 100) == 0
    diamond = np.array(((5.0, 0), (10, 5), (5, 10), (0, 5)))
    assert frame_overlap(frame, diamond) == pytest.approx(0.5)
    octagon = (diamond - 5) * 1.5 + 5  # each corner that reaches out is a triangle 2.5 high and 5 wide
    area = 2 * 7.5**2
    shared = area - 4 * 2.5**2
    assert frame_overlap(frame, octagon) == pytest.approx(shared / (100 + area - shared))


def test_overlap_agrees_with_opencv_and_with_pixels() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        angle = generator.uniform(-np.pi, np.pi)
        frame = np.array([50, 50, np.sin(angle), -np.cos(angle), *generator.uniform(10, 30, 2)])
        corners = frame_corners(np.array([*generator.uniform(35, 65, 2), *frame[2:4], *generator.uniform(10, 30, 2)]))
        corners = corners + generator.uniform(-4, 4, (4, 2))
        ours = frame_overlap(frame, corners)
        true = frame_corners(frame)
        shared, _ = cv2.intersectConvexConvex(true.astype(np.float32), cv2.convexHull(corners.astype(np.float32)))
        areas = [cv2.contourArea(one.astype(np.float32)) for one in (true, corners)]
        assert ours == pytest.approx(shared / (sum(areas) - shared), abs=1e-3)
        masks = [
            cv2.fillPoly(np.zeros((1600, 1600), np.uint8), [np.rint(p * 16).astype(int)], 1) for p in (true, corners)
        ]
        assert ours == pytest.approx((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum(), abs=0.01)


def test_a_point_in_a_polygon_that_is_turned_or_bent() -> None:
    turned = np.array(((10.0, 0), (20, 10), (10, 20), (0, 10)))
    bent = np.array(((0.0, 0), (20, 0), (10, 5), (20, 20)))
    for corners, inside, outside in ((turned, (10, 10), (2, 2)), (bent, (8, 3), (17, 6))):
        for order in (corners, corners[::-1], np.roll(corners, 1, axis=0)):
            assert inside_polygon(np.array(inside, float), order)
            assert not inside_polygon(np.array(outside, float), order)


def test_what_is_told_to_be_seen_is_compared_with_what_is_hidden() -> None:
    seen = np.array([[1, 1, -1], [1, 0, -1], [0, 0, -1], [0, -1, 1]], np.int8)
    share = np.array([[0.9, 0.5, 0.1], [0.6, 0.5, 0.1], [0.7, 0.2, 0.1], [0.1, 0.9, 0.4]])
    figures = seen_figures(seen, share)
    assert figures["head"] == {
        "seen": 2, "hidden": 2, "told_seen": pytest.approx(0.75), "told_hidden": pytest.approx(0.4), "auc": 0.75,
    }  # fmt: skip
    assert figures["torso"]["auc"] == 0.75, "one pair is a tie"
    assert figures["legs"] == {"seen": 1, "hidden": 0, "told_seen": 0.4, "told_hidden": None, "auc": None}
