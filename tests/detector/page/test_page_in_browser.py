"""The page as people use it, in headless Chromium: the chart, the seeking, the lists, on a screen and on a phone."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from upright.detector.detected import Detected
from upright.detector.page import page as page_module
from upright.detector.page.page import Page
from upright.detector.sources import Source
from upright.detector.video_reader import VideoFormat

pytestmark = pytest.mark.slow  # a browser takes its time to start

TIME = "() => byId('video').currentTime"
READY = "() => byId('video').readyState >= 2 && !byId('video').seeking"
# Opacity of the overlay at a point in 0..1 of the picture: of a box above 200, of a zone 38.
OPACITY = """([x, y]) => { const c = byId('overlay'); const at = (part, side) => Math.floor(part * side);
    return c.getContext('2d').getImageData(at(x, c.width), at(y, c.height), 1, 1).data[3]; }"""
NOBODY = Detected(np.zeros((0, 4)), np.zeros(0))
SEEN = Detected(np.array([[10.0, 20, 40, 200]]), np.array([0.9]))


@pytest.fixture(scope="module")
def folder(walk, tmp_path_factory) -> Path:
    """A page of a video with original and copy, and of two pictures."""
    folder = tmp_path_factory.mktemp("found")
    walk.write_video(folder / "in" / "street.mp4")
    walk.write_video(folder / "street.mp4")
    page = Page(folder, {"weights": "released", "threshold": 0.5}, walk.watched)
    walk.add_to(page, folder / "in" / "street.mp4", folder / "street.mp4")
    walk.add_picture(page, folder / "one.jpg", SEEN)
    walk.add_picture(page, folder / "none.jpg", NOBODY)
    page.close()
    return folder


@pytest.fixture
def opened(folder, visit):
    page = visit((folder / "page.html").as_uri())
    page.wait_for_function(READY)
    return page


def seek(page, seconds: float) -> None:
    page.evaluate("(seconds) => viewer.seek(seconds)", seconds)
    page.wait_for_function(READY)
    page.wait_for_function("(seconds) => Math.abs(viewer.time - seconds) < 0.06", arg=seconds)


def test_a_click_into_the_chart_takes_the_video_there(opened):
    left, right = opened.evaluate("[chart.left, chart.right]")
    for share in (0.75, 0.25):
        opened.locator("#chart").click(position={"x": left + share * (right - left), "y": 60})
        opened.wait_for_function(READY)
        assert opened.evaluate(TIME) == pytest.approx(share * 5.9, abs=0.05)
        opened.wait_for_function("() => Math.abs(chart.time - byId('video').currentTime) < 0.11")
        cursor = float(opened.locator("#chart .cursor").get_attribute("x1"))
        assert cursor == pytest.approx(left + share * (right - left), abs=(right - left) / 59)


def test_the_cursor_follows_the_video(opened):
    opened.evaluate("() => { byId('video').muted = true; return byId('video').play(); }")
    opened.wait_for_function("() => chart.time > 0.5")
    opened.evaluate("() => byId('video').pause()")
    now, time = opened.evaluate("[Number(byId('chart').getAttribute('aria-valuenow')), byId('video').currentTime]")
    assert now == pytest.approx(time, abs=0.3)


def test_the_chart_is_a_slider_for_the_keyboard(opened):
    chart = opened.get_by_role("slider", name="People over time")
    chart.focus()
    for key, seconds in [("ArrowRight", 1.0), ("ArrowRight", 2.0), ("ArrowLeft", 1.0), ("End", 5.9), ("Home", 0.0)]:
        chart.press(key)
        opened.wait_for_function(READY)
        assert opened.evaluate(TIME) == pytest.approx(seconds, abs=0.01)
        opened.wait_for_function("(seconds) => Math.abs(chart.time - seconds) < 0.11", arg=seconds)
    seek(opened, 3.0)
    assert chart.get_attribute("aria-valuetext") == "0:03.0, 2 people"


def test_the_chart_says_how_many_there_are_under_the_pointer(opened):
    left, right = opened.evaluate("[chart.left, chart.right]")
    opened.locator("#chart").hover(position={"x": (left + right) / 2, "y": 60})
    assert opened.locator("#chart .tip").inner_text() == "0:02.9 · 2 people"


def test_boxes_lie_over_the_people_of_the_frame_and_can_be_taken_away(opened):
    seek(opened, 2.5)  # person 1 from 110 to 140, person 2 at 270
    assert opened.evaluate(OPACITY, [110 / 320, 150 / 240]) > 200
    assert opened.evaluate(OPACITY, [270 / 320, 100 / 240]) > 200
    assert opened.evaluate(OPACITY, [125 / 320, 150 / 240]) < 200
    seek(opened, 5.0)
    assert opened.evaluate(OPACITY, [210 / 320, 150 / 240]) > 200
    assert opened.evaluate(OPACITY, [110 / 320, 110 / 240]) < 200
    assert opened.evaluate(OPACITY, [270 / 320, 100 / 240]) < 200
    opened.get_by_label("Boxes").uncheck()
    assert opened.evaluate(OPACITY, [210 / 320, 150 / 240]) < 200


def test_the_copy_has_boxes_of_its_own(opened):
    seek(opened, 2.5)
    opened.get_by_label("Annotated copy").check()
    opened.wait_for_function(READY)
    opened.wait_for_function("() => Math.abs(byId('video').currentTime - 2.5) < 0.06")
    assert opened.evaluate("byId('video').currentSrc").endswith("/street.mp4")
    assert "/in/" not in opened.evaluate("byId('video').currentSrc")
    assert not opened.get_by_label("Boxes").is_visible()
    assert opened.evaluate(OPACITY, [110 / 320, 150 / 240]) < 200


def test_tracks_are_listed_with_their_pictures_and_lead_to_them(opened):
    rows = opened.locator("#tracks li")
    assert rows.count() == 2
    assert rows.nth(1).inner_text().split("\n") == ["Person 2", "0:02.0 \N{EN DASH} 0:03.9", "20 frames", "score 0.89"]
    assert opened.evaluate("[...document.querySelectorAll('#tracks img')].every((image) => image.naturalWidth > 20)")
    button = rows.nth(1).get_by_role("button")
    button.click()
    opened.wait_for_function(READY)
    assert opened.evaluate(TIME) == pytest.approx(2.0, abs=0.01)
    assert button.get_attribute("aria-pressed") == "true"
    assert opened.locator("#chart .span").count() == 1
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert opened.locator("#chart .span").count() == 0


def test_tracks_are_ordered_and_filtered(opened):
    names = opened.locator("#tracks .name")
    opened.get_by_label("Order").select_option("highest score")
    assert names.all_inner_texts() == ["Person 1", "Person 2"]
    opened.evaluate("source.tracks[1].score = 0.95")
    opened.get_by_label("Order").select_option("first seen")
    opened.get_by_label("Order").select_option("highest score")
    assert names.all_inner_texts() == ["Person 2", "Person 1"]
    opened.evaluate("source.events = source.events.filter((event) => event.track === 1)")
    opened.get_by_label("with events only").check()
    assert names.all_inner_texts() == ["Person 1"]


def test_events_are_listed_filtered_and_lead_to_their_time(opened):
    rows = opened.locator("#events li")
    assert [text.replace("\n", " ") for text in rows.all_inner_texts()] == [
        "0:00.5 Person 1 entered yard",
        "0:03.3 Person 1 crossed door to the right",
        "0:03.4 Person 1 left yard after 2.9 s",
        "0:03.8 Person 2 lies or falls to the left",
    ]
    opened.get_by_label("Kind").select_option("crossed")
    assert rows.count() == 1
    rows.get_by_role("button").click()
    opened.wait_for_function(READY)
    assert opened.evaluate(TIME) == pytest.approx(3.3, abs=0.01)
    assert opened.locator("#tracks button[aria-pressed=true] .name").inner_text() == "Person 1"
    opened.get_by_label("Kind").select_option("yard")
    assert rows.count() == 2


def test_figures_and_heat_map_are_there(opened):
    stats = opened.locator("#stats div").all_inner_texts()
    assert [text.split("\n")[::-1] for text in stats] == [
        ["1.3", "people on average"], ["2", "people at most"], ["2", "tracks"], ["1", "door right"], ["0", "door left"],
    ]  # fmt: skip
    assert "released" in opened.locator("#facts").inner_text()
    hottest = """() => {
        const c = byId('heat');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let best = 0;
        for (let i = 0; i < d.length; i += 4) if (d[i + 1] > d[best + 1]) best = i;
        return [(best / 4 % c.width) / c.width, Math.floor(best / 4 / c.width) / c.height]; }"""
    x, y = opened.evaluate(hottest)
    assert (x, y) == pytest.approx((285 / 320, 140 / 240), abs=0.03)  # where person 2 stood


def test_pictures_are_a_gallery_beside_the_videos(opened):
    opened.get_by_label("Show").select_option("2 pictures")
    assert not opened.locator("#video-part").is_visible()
    rows = opened.locator("#gallery li")
    assert [text.split("\n") for text in rows.all_inner_texts()] == [["one.jpg", "1 person"], ["none.jpg", "0 people"]]
    assert rows.nth(0).get_by_role("link").get_attribute("href") == "one.jpg"
    assert rows.nth(0).locator("rect").count() == 1
    opened.get_by_label("with people only").check()
    assert [row.is_visible() for row in rows.all()] == [True, False]
    opened.get_by_label("Show").select_option("street.mp4")
    opened.wait_for_function(READY)
    assert opened.locator("#tracks li").count() == 2


def test_nothing_is_asked_for_but_the_videos_beside_the_page(opened, folder):
    assert set(opened.asked) - {(folder / "page.html").as_uri(), (folder / "in" / "street.mp4").as_uri()} == {
        address for address in opened.asked if address.startswith("data:")
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 700, 1280])
def test_nothing_is_wider_than_the_screen(folder, visit, width, scheme):
    page = visit((folder / "page.html").as_uri(), width, color_scheme=scheme)
    page.wait_for_function(READY)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_label("Show").select_option("2 pictures")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground, ink = page.evaluate(
        "(() => { const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]; })()"
    )
    brighter = sum(map(int, ground[4:-1].split(","))) > sum(map(int, ink[4:-1].split(",")))
    assert brighter == (scheme == "light")


def test_everything_to_operate_has_a_name(opened):
    nameless = """() => [...document.querySelectorAll('button, select, input, [role=slider], img, [role=img]')]
        .filter((one) => !(one.labels?.length || one.textContent.trim() || one.getAttribute('aria-label')))
        .filter((one) => !one.hasAttribute('alt'))
        .map((one) => one.outerHTML)"""
    assert opened.evaluate(nameless) == []


def test_names_of_files_stay_text(tmp_path, walk, visit):
    name = "<img src=x onerror=alert(1)>'\"&amp;.jpg"
    page = Page(tmp_path, {"weights": "<b>mine</b>"}, walk.watched)
    walk.add_to(page, tmp_path / name, tmp_path / name, 3)
    walk.add_picture(page, tmp_path / name, SEEN)
    page.close()
    shown = visit(page.path.as_uri())
    assert shown.locator("#title").inner_text() == name
    assert shown.title() == f"{name} · Upright"
    assert shown.locator("#facts dd").first.inner_text() == "<b>mine</b>"
    shown.get_by_label("Show").select_option("1 picture")
    assert shown.locator("#gallery .name").inner_text() == name
    assert shown.evaluate("document.querySelector('#gallery img').naturalWidth") == 320
    assert shown.locator("img[src=x], #facts b").count() == 0


def test_without_the_original_the_copy_is_shown_and_without_both_a_line_says_why(tmp_path, walk, visit):
    walk.write_video(tmp_path / "in" / "a.mp4", 20)
    walk.write_video(tmp_path / "a.mp4", 20)
    page = Page(tmp_path, {}, walk.watched)
    walk.add_to(page, tmp_path / "in" / "a.mp4", tmp_path / "a.mp4", 20)
    page.close()
    (tmp_path / "in" / "a.mp4").unlink()
    shown = visit(page.path.as_uri(), faultless=False)  # the browser tells the console of what is not there
    shown.wait_for_function(READY)
    assert shown.evaluate("byId('video').currentSrc") == (tmp_path / "a.mp4").as_uri()
    assert not shown.get_by_label("Annotated copy").is_visible()
    (tmp_path / "a.mp4").unlink()
    shown.reload()
    shown.wait_for_selector("#no-video:visible")
    assert "a.mp4" in shown.locator("#no-video").inner_text()
    assert not shown.locator("#screen").is_visible()


def test_the_copy_of_a_part_is_moved_by_where_it_begins(tmp_path, walk, visit):
    walk.write_video(tmp_path / "in" / "a.mp4")
    walk.write_video(tmp_path / "a.mp4", 30)
    page = Page(tmp_path, {}, walk.watched)
    source = Source(tmp_path / "in" / "a.mp4", tmp_path / "a.mp4", True, 30)
    page.begin(source)
    for number in range(30, 60):
        record = walk.record_at(number, source)
        page.add(replace(record, frame=replace(record.frame, video=VideoFormat(ticks=1000, start=3.0))))
    page.finish(())
    page.close()
    shown = visit(page.path.as_uri())
    shown.wait_for_function(READY)
    assert shown.evaluate(TIME) == pytest.approx(3.0)
    seek(shown, 4.5)
    shown.get_by_label("Annotated copy").check()
    shown.wait_for_function("() => byId('video').readyState >= 2 && Math.abs(byId('video').currentTime - 1.5) < 0.06")
    shown.wait_for_function("() => Math.abs(chart.time - 4.5) < 0.06")


def test_pixels_that_are_no_squares_are_shown_as_the_browser_shows_them(tmp_path, walk, visit):
    page = Page(tmp_path, {}, walk.watched)
    source = Source(walk.write_video(tmp_path / "a.mp4", 5), tmp_path / "copy.mp4", True, 5)
    page.begin(source)
    record = walk.record_at(3, source)
    page.add(replace(record, frame=replace(record.frame, video=VideoFormat(ticks=1000, aspect=Fraction(3, 2)))))
    page.finish(())
    page.close()
    shown = visit(page.path.as_uri())
    box = shown.locator("#screen").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(320 * 1.5 / 240, abs=0.01)
    seek(shown, 0.3)
    for x, y in [(160, 150), (22, 150), (52, 150)]:  # the line in the middle, both sides of person 1
        assert shown.evaluate(OPACITY, [x / 320, y / 240]) > 200


def test_a_form_that_browsers_do_not_play_needs_a_copy(tmp_path, walk, visit):
    (tmp_path / "a.avi").touch()
    page = Page(tmp_path, {}, walk.watched, copies=False)
    walk.add_to(page, tmp_path / "a.avi", tmp_path / "a.mp4", 20)
    page.close()
    shown = visit(page.path.as_uri())
    assert "--no-copies" in shown.locator("#no-video").inner_text()
    shown.locator("#events button").first.click()  # the chart is still there to look at
    assert float(shown.locator("#chart").get_attribute("aria-valuenow")) == pytest.approx(0.5)


def test_where_the_boxes_end_the_page_says_so_and_shows_the_copy(tmp_path, walk, visit, monkeypatch):
    monkeypatch.setattr(page_module, "MOST_BOXES", 30)
    walk.write_video(tmp_path / "in" / "a.mp4")
    walk.write_video(tmp_path / "a.mp4")
    page = Page(tmp_path, {}, walk.watched)
    walk.add_to(page, tmp_path / "in" / "a.mp4", tmp_path / "a.mp4")
    page.close()
    shown = visit(page.path.as_uri())
    shown.wait_for_function(READY)
    assert "up to 0:01" in shown.locator("#box-note").inner_text()
    assert shown.get_by_label("Annotated copy").is_checked()
    shown.get_by_label("Annotated copy").uncheck()
    seek(shown, 1.0)
    assert shown.evaluate(OPACITY, [50 / 320, 150 / 240]) > 200
    seek(shown, 3.0)
    assert shown.evaluate(OPACITY, [130 / 320, 150 / 240]) < 200


def test_a_run_without_tracks_says_how_to_get_them(tmp_path, walk, visit):
    page = Page(tmp_path, {})
    source = Source(tmp_path / "a.mp4", tmp_path / "a.mp4", True, 1)
    page.begin(source)
    record = walk.record_at(3, source)
    page.add(replace(record, found=replace(record.found, track=None), events=()))
    page.finish(())
    page.close()
    shown = visit(page.path.as_uri())
    assert "--track" in shown.locator("#tracks-note").inner_text()
    assert "--track" in shown.locator("#events").inner_text()
