"""The chart's figures: nobody is lost where intervals are joined."""

from __future__ import annotations

import pytest

from upright.detector.page.people_over_time import PeopleOverTime


def test_each_interval_has_the_mean_and_the_most_of_its_frames():
    over_time = PeopleOverTime(finest=1)
    for seconds, people in [(0.0, 1), (0.5, 4), (1.0, 2), (3.9, 7)]:
        over_time.add(seconds, people)
    assert over_time.as_json() == {
        "start": 0, "step": 1, "mean": [2.5, 2, None, 7], "most": [4, 2, None, 7],
    }  # fmt: skip


def test_a_part_of_a_video_begins_where_it_begins():
    over_time = PeopleOverTime(finest=0.25)
    over_time.add(3600.3, 2)
    assert over_time.as_json() == {"start": 3600.25, "step": 0.25, "mean": [2], "most": [2]}


@pytest.mark.parametrize("seconds", [100, 1000, 100_000])
def test_hours_take_no_more_intervals_than_minutes_and_lose_nobody(seconds):
    over_time = PeopleOverTime(finest=1, most_intervals=10)
    times = range(0, seconds, seconds // 100)
    for time in times:
        over_time.add(time, 3 if time == times[70] else 1)
    content = over_time.as_json()
    assert 5 <= len(content["mean"]) <= 10
    assert content["step"] * len(content["mean"]) >= times[-1]
    assert content["most"][int(times[70] / content["step"])] == 3
    assert sorted(set(content["most"])) == [1, 3]


def test_a_step_of_several_doublings_at_once():
    over_time = PeopleOverTime(finest=1, most_intervals=4)
    over_time.add(0, 2)
    over_time.add(31, 5)
    assert over_time.as_json() == {"start": 0, "step": 8, "mean": [2, None, None, 5], "most": [2, None, None, 5]}


def test_a_time_that_runs_back_breaks_nothing():
    over_time = PeopleOverTime(finest=1)
    over_time.add(10, 1)
    over_time.add(2, 3)
    assert over_time.as_json()["most"] == [3]
