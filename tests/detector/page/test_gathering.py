"""What is gathered for the page: right, and bounded however long a video is."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from upright.detector.detected import Detected
from upright.detector.events import Event
from upright.detector.page.gathering import CONTEXT_SIDE, BoxList, HeatMap, TrackList, VideoPage, feet
from upright.detector.sources import Source


def found(boxes: list[list[float]], scores: list[float], **more: np.ndarray) -> Detected:
    return Detected(np.array(boxes, float).reshape(-1, 4), np.array(scores), **more)


def numbers(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def picture(address: str) -> np.ndarray:
    head, data = address.split(",")
    assert head == "data:image/jpeg;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


# Somebody who lies with the head to the right: top left of the person is the picture's upper right corner.
LYING = np.array([[[100, 40], [100, 60], [20, 60], [20, 40]]], float)


def test_people_stand_where_their_quadrilateral_ends_or_their_box():
    both = found([[20, 40, 100, 60], [0, 0, 10, 30]], [0.9, 0.8], whole=np.concatenate([LYING, LYING * np.nan]))
    assert feet(both).tolist() == [[20, 50], [5, 30]]
    assert feet(found([[20, 40, 100, 60]], [0.9])).tolist() == [[60, 60]]
    assert feet(found([], [])).shape == (0, 2)


def test_the_heat_map_is_hottest_where_people_stood():
    heat = HeatMap((192, 96))
    for _ in range(5):
        heat.add((192, 96), found([[90, 10, 110, 70]], [0.9]))
    heat.add((192, 96), found([[10, 10, 30, 96]], [0.9]))  # to the lower edge
    content = heat.as_json()
    values = numbers(content["values"], "u1").reshape(content["rows"], content["columns"])
    assert (content["rows"], content["columns"]) == (48, 96)
    assert np.unravel_index(values.argmax(), values.shape) == (35, 50)
    assert values.max() == 255
    assert values[47, 10] > 60
    assert values[10, 50] == 0


def test_boxes_come_back_as_they_were():
    boxes = BoxList()
    boxes.add(0.04, (640, 480), found([[64, 48, 320, 480], [-5, 0, 10, 500]], [0.914, 0.5], track=np.array([7, -1])))
    boxes.add(0.08, (640, 480), found([], [], track=np.zeros(0, int)))
    content = boxes.as_json()
    assert numbers(content["times"], "<u4").tolist() == [40, 80]
    assert numbers(content["counts"], "<u2").tolist() == [2, 0]
    corners = numbers(content["corners"], "<u2").reshape(-1, 4) / 65535 * np.array([640, 480, 640, 480])
    assert np.allclose(corners, [[64, 48, 320, 480], [0, 0, 10, 480]], atol=0.01)
    assert numbers(content["scores"], "u1").tolist() == [91, 50]
    assert numbers(content["tracks"], "<u4").tolist() == [7, 0]
    assert content["until"] is None


def test_boxes_without_tracks_have_none():
    boxes = BoxList()
    boxes.add(0, (64, 48), found([[1, 2, 3, 4]], [0.5]))
    assert boxes.as_json()["tracks"] is None


def test_boxes_end_where_their_room_ends_also_where_nobody_is_seen():
    for people in (1, 0):
        boxes = BoxList(most=20)
        for number in range(50):
            boxes.add(number, (64, 48), found([[1, 2, 3, 4]] * people, [0.5] * people))
        kept = 20 // (people + 1)
        assert len(numbers(boxes.as_json()["times"], "<u4")) == kept
        assert boxes.as_json()["until"] == kept


def test_a_track_has_its_times_and_its_best_view():
    tracks = TrackList()
    for number in range(5):
        image = np.full((120, 160, 3), 40 * number, np.uint8)
        score = [0.5, 0.6, 0.9, 0.7, 0.9][number]
        tracks.add(number / 2, image, found([[20, 40, 100, 60]], [score], track=np.array([3])))
    (track,) = tracks.as_json()
    assert (track["track"], track["first"], track["last"], track["frames"], track["score"]) == (3, 0, 2, 5, 0.9)
    assert track["lean"] is None
    assert abs(picture(track["surroundings"])[48, 48].astype(int) - 80).max() < 6
    assert abs(picture(track["crop"]).astype(int).mean() - 80) < 6


def test_somebody_who_lies_is_shown_upright():
    image = np.full((120, 160, 3), 120, np.uint8)
    image[40:60, 60:100] = (230, 30, 30)  # the head's half
    image[40:60, 20:60] = (30, 30, 230)
    tracks = TrackList()
    lying = found([[20, 40, 100, 60]], [0.9], track=np.array([1]), whole=LYING, lean=np.array([90.0]))
    tracks.add(0, image, lying)
    (track,) = tracks.as_json()
    crop = picture(track["crop"]).astype(int)
    height, width = crop.shape[:2]
    assert height > width
    assert crop[height // 4, width // 2, 0] > 180
    assert crop[3 * height // 4, width // 2, 2] > 180
    assert track["lean"] == 90
    assert picture(track["surroundings"]).shape == (CONTEXT_SIDE, CONTEXT_SIDE, 3)


def test_a_pose_that_is_not_known_is_the_box():
    tracks = TrackList()
    nothing = {"whole": LYING * np.nan, "lean": np.array([np.nan])}
    tracks.add(0, np.full((120, 160, 3), 9, np.uint8), found([[20, 40, 40, 90]], [0.9], track=np.array([1]), **nothing))
    (track,) = tracks.as_json()
    assert track["lean"] is None
    assert picture(track["crop"]).mean() < 20  # of the picture, not the grey of nothing


def test_many_tracks_leave_those_that_were_seen_most():
    tracks = TrackList(most=10)
    image = np.zeros((48, 64, 3), np.uint8)
    for number in range(1, 101):
        for frame in range(3 if number % 10 == 0 else 1):
            tracks.add(100 * number + frame, image, found([[1, 2, 13, 24]], [0.5], track=np.array([number])))
    assert tracks.total == 100
    assert len(tracks._tracks) <= 20
    assert [track["track"] for track in tracks.as_json()] == list(range(10, 101, 10))


def test_new_tracks_of_a_frame_count_in_any_order():
    tracks = TrackList()
    image = np.zeros((48, 64, 3), np.uint8)
    tracks.add(0, image, found([[1, 2, 13, 24]] * 3, [0.9, 0.8, 0.7], track=np.array([2, -1, 1])))
    assert [track["track"] for track in tracks.as_json()] == [1, 2]
    assert tracks.total == 2


def test_a_video_sums_up(tmp_path, walk):
    source = Source(tmp_path / "a.mp4", tmp_path / "b.mp4", True, 60)
    video = VideoPage(TrackList(), BoxList())
    for number in range(60):
        video.add(walk.record_at(number, source))
    video.add_events((Event("left", 0.7, 7, 1, "yard", duration=0.2),))  # known only now
    content = video.as_json()
    assert (content["frames"], content["first"], content["last"]) == (60, 0, 5.9)
    assert content["people"] == sum(len(walk.people_at(number).scores) for number in range(60)) == 80
    assert [event["kind"] for event in content["events"]] == ["entered", "left", "crossed", "left", "fallen"]
    assert [track["frames"] for track in content["tracks"]] == [60, 20]
    assert max(content["chart"]["most"]) == 2
