"""How people stand in detections.json: what is written can be read, and nonsense is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from upright.datasets.sample import Annotations
from upright.detector.detected import Detected
from upright.detector.evaluation import Detections, read_detections, write_detections
from upright.detector.pose_entries import PoseColumns, pose_entries, read_pose
from upright.errors import InputError

SQUARE = [[10.0, 20.0], [30.0, 20.0], [30.0, 40.0], [10.0, 40.0]]


def columns(count: int = 3) -> PoseColumns:
    generator = np.random.default_rng(0)
    return PoseColumns(
        generator.uniform(-180, 180, count),
        generator.uniform(-50, 2000, (count, 3, 4, 2)),
        generator.uniform(0, 1, (count, 3)),
    )


def entry(**changes: object) -> dict[str, object]:
    parts = {name: {"quadrilateral": SQUARE, "seen": 0.5} for name in ("head", "torso", "legs")}
    return {"lean": 12.5, "parts": parts} | changes


def test_what_is_written_is_read_to_the_digits_that_are_kept() -> None:
    pose = columns()
    read = read_pose(json.loads(json.dumps(pose_entries(pose, 3))), "d.json")
    assert read is not None
    np.testing.assert_allclose(read.lean, pose.lean, atol=0.05 + 1e-9)
    np.testing.assert_allclose(read.parts, pose.parts, atol=0.005 + 1e-9)
    np.testing.assert_allclose(read.seen, pose.seen, atol=0.0005 + 1e-9)


def test_an_entry_names_parts_and_rounds() -> None:
    square = np.array(SQUARE) + 0.123456
    pose = PoseColumns(np.array([-0.04]), np.stack([square, square + 1, square + 2])[None], np.array([[1, 0.98765, 0]]))
    (found,) = pose_entries(pose, 1)
    assert json.dumps(found).startswith('{"lean": 0.0, "parts": {"head": {"quadrilateral": [[10.12, 20.12], [30.12,')
    assert [part["seen"] for part in found["parts"].values()] == [1, 0.988, 0]
    assert found["parts"]["legs"]["quadrilateral"][0] == [12.12, 22.12]


def test_detections_without_a_pose_stay_as_they_were() -> None:
    assert pose_entries(None, 2) == [{}, {}]
    assert read_pose([{"score": 1}, {}], "d.json") is None
    some = columns(2)
    some.lean[0] = np.nan
    first, second = pose_entries(some, 2)
    assert (first, list(second)) == ({}, ["lean", "parts"])
    read = read_pose([first, second], "d.json")
    assert read is not None
    assert read.known.tolist() == [False, True]


@pytest.mark.parametrize(
    "changes",
    [
        {"lean": 181},
        {"lean": "5"},
        {"lean": True},
        {"lean": None},
        {"lean": float("nan")},
        {"lean": 10**400},
        {"parts": {}},
        {"parts": [1, 2, 3]},
        {"parts": {name: {"quadrilateral": SQUARE[:3], "seen": 0.5} for name in ("head", "torso", "legs")}},
        {"parts": {name: {"quadrilateral": [*SQUARE[:3], [1]], "seen": 0.5} for name in ("head", "torso", "legs")}},
        {"parts": {name: {"quadrilateral": SQUARE, "seen": 1.5} for name in ("head", "torso", "legs")}},
        {"parts": {name: {"quadrilateral": SQUARE} for name in ("head", "torso", "legs")}},
        {"parts": {name: {"quadrilateral": SQUARE, "seen": 0.5} for name in ("head", "torso")}},
    ],
)
def test_a_pose_that_is_none_is_refused_in_one_line(changes: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"d\.json: detection 1 has .*which is no pose") as refused:
        read_pose([{}, entry(**changes)], "d.json")
    assert "\n" not in str(refused.value)


def test_a_lean_without_parts_is_refused() -> None:
    with pytest.raises(InputError, match="detection 0"):
        read_pose([{"lean": 3.0}], "d.json")


def test_a_file_of_a_data_set_keeps_the_pose_of_people_alone(tmp_path: Path) -> None:
    empty = np.zeros((0, 4))
    annotations = Annotations(
        [7], ["7.png"], np.array([[640, 480]]), np.zeros(0, np.int64), empty, empty, np.zeros(0, bool),
        np.zeros(0), np.zeros(0), np.zeros(0, np.int64),
    )  # fmt: skip
    found = Detections(np.zeros(2, np.int64), np.array([[1.0, 2, 3, 4]] * 2), np.array([0.9, 0.5]), columns(2))
    path = tmp_path / "d.json"
    write_detections(path, annotations, found, {})
    content = json.loads(path.read_text())
    content["detections"].insert(1, {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.7} | entry())
    path.write_text(json.dumps(content))
    read = read_detections(path, annotations)
    assert read.pose is not None
    np.testing.assert_allclose(read.pose.lean, found.pose.lean, atol=0.05 + 1e-9)


def test_the_pose_of_what_was_found_in_pictures_is_joined_in_their_order() -> None:
    one, other = columns(2), columns(3)
    joined = PoseColumns.joined([one, other])
    assert joined.lean.tolist() == [*one.lean, *other.lean]
    assert joined.parts.shape == (5, 3, 4, 2)
    nothing = Detected(np.zeros((1, 4)), np.ones(1))
    assert PoseColumns.of(nothing) is None
