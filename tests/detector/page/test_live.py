"""The live page: what programs and browsers get while the detector runs, which never waits for them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from upright.detector.page import live as live_module
from upright.detector.page.live import LivePage
from upright.detector.sources import Source
from upright.errors import InputError


@pytest.fixture
def live(walk) -> Iterator[LivePage]:
    page = LivePage("127.0.0.1", 0, walk.watched)
    yield page
    page.close()


@pytest.fixture
def source() -> Source:
    return Source(Path("camera 0"), Path("camera.mp4"), True, 0)


def ask(live: LivePage, path: str, headers: dict[str, str] | None = None) -> HTTPResponse:
    connection = HTTPConnection(urlsplit(live.address).netloc, timeout=20)
    connection.request("GET", path, headers=headers or {})
    return connection.getresponse()


def counts_of(live: LivePage) -> dict:
    return json.loads(ask(live, "/counts.json").read())


def next_part(stream: HTTPResponse) -> np.ndarray:
    """The next picture of a stream, whose boundary was read, and the boundary after it."""
    length = 0
    while (line := stream.readline().strip()) != b"":
        name, value = line.decode().split(": ")
        if name == "Content-Length":
            length = int(value)
    picture = cv2.imdecode(np.frombuffer(stream.read(length), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert stream.readline() == b"\r\n"
    assert stream.readline() == b"--upright-frame\r\n"
    return picture


def open_stream(live: LivePage) -> HTTPResponse:
    stream = ask(live, "/stream")
    assert stream.status == 200
    assert stream.getheader("Content-Type") == "multipart/x-mixed-replace; boundary=upright-frame"
    assert stream.readline() == b"--upright-frame\r\n"
    return stream


def shown_in(picture: np.ndarray, walk, number: int) -> bool:
    """Whether a picture shows person 1, who is red, and the box as in a frame."""
    assert picture.shape == (walk.size[1], walk.size[0], 3)
    middle, side = picture[150, 25 + 4 * number], picture[150, 10 + 4 * number]
    return bool(middle[0] > 150 > middle[2] and side[1] > 150)


def test_counts_are_those_of_the_latest_frame(live, walk, source):
    before = counts_of(live)
    assert (before["frames"], before["people"], before["tracks"]) == (0, 0, None)
    live.begin(source)
    for number in range(36):
        live.add(walk.record_at(number, source))
    counts = counts_of(live)
    assert (counts["source"], counts["frames"], counts["seconds"]) == ("camera 0", 36, 3.5)
    assert (counts["people"], counts["most"], counts["tracks_total"]) == (2, 2, 2)
    assert counts["counts"] == {"people": 2, "door right": 1, "door left": 0, "yard": 0}
    assert counts["tracks"] == [{"track": 1, "seconds": 3.5}, {"track": 2, "seconds": 1.5}]
    assert [event["kind"] for event in counts["events"]] == ["entered", "crossed", "left"]
    chart = json.loads(ask(live, "/chart.json").read())
    assert chart["most"] == [1] * 8 + [2] * 7


def test_each_source_is_counted_anew(live, walk, source):
    live.begin(source)
    live.add(walk.record_at(25, source))
    live.finish(())
    live.begin(Source(Path("other.mp4"), Path("o.mp4"), True, 0))
    counts = counts_of(live)
    assert (counts["source"], counts["frames"], counts["tracks_total"], counts["events"]) == ("other.mp4", 0, 0, [])


def test_hours_stay_bounded(live, walk, source):
    live.begin(source)
    record = walk.record_at(33, source)
    for _ in range(500):
        live.add(record)
    assert len(counts_of(live)["events"]) == live_module.LATEST_EVENTS


def test_the_stream_begins_with_the_latest_frame_and_goes_on(live, walk, source):
    live.begin(source)
    for number in range(10):
        live.add(walk.record_at(number, source))
    with closing(open_stream(live)) as stream:
        assert shown_in(next_part(stream), walk, 9)
        live.add(walk.record_at(40, source))
        assert any(shown_in(next_part(stream), walk, 40) for _ in range(100))  # the same may come again first


def test_a_browser_that_takes_nothing_does_not_hold_up_the_detector(live, walk, source):
    live.begin(source)
    live.add(walk.record_at(0, source))
    host, port = urlsplit(live.address).netloc.split(":")
    with socket.create_connection((host, int(port))) as idle, closing(open_stream(live)) as stream:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.sendall(b"GET /stream HTTP/1.0\r\n\r\n")
        for _ in range(30):
            for number in range(walk.frames):
                live.add(walk.record_at(number, source))
        next_part(stream)
        assert counts_of(live)["frames"] == 1 + 30 * walk.frames
        picture = live._state.next_picture(0)
        assert picture is not None
        assert picture[0] == 1 + 30 * walk.frames


def test_streams_are_bounded(live, walk, source, monkeypatch):
    monkeypatch.setattr(live_module, "MOST_STREAMS", 2)
    live.begin(source)
    live.add(walk.record_at(0, source))
    with closing(open_stream(live)), closing(open_stream(live)):
        assert ask(live, "/stream").status == 503
        assert ask(live, "/counts.json").status == 200


def test_the_end_ends_streams_and_frees_the_port(walk, source):
    live = LivePage("127.0.0.1", 0)
    live.begin(source)
    live.add(walk.record_at(0, source))
    stream = open_stream(live)
    next_part(stream)
    live.close()
    assert stream.readline() == b""
    assert not [thread for thread in threading.enumerate() if thread.name == "live page"]
    LivePage("127.0.0.1", urlsplit(live.address).port).close()


def test_a_port_in_use_is_one_line(live):
    with pytest.raises(InputError, match=r"cannot serve at 127\.0\.0\.1 port \d+ \(Address already in use\): give an"):
        LivePage("127.0.0.1", urlsplit(live.address).port)


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 70000), ("127.0.0.1", -1), ("192.0.2.7", 0), ("no.invalid", 0)]
)
def test_a_place_that_is_none_is_one_line(host, port):
    with pytest.raises(InputError, match="--serve PORT"):
        LivePage(host, port)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:80", 200),
        ("localhost", 200),
        ("[::1]:80", 200),
        ("evil.example", 403),
        ("[", 403),
        ("1.evil.io", 403),
    ],
)
def test_sites_whose_name_leads_here_see_nothing(live, host, status):
    for path in ("/", "/counts.json", "/chart.json"):
        assert ask(live, path, {"Host": host}).status == status


def test_other_addresses_are_not_there(live):
    for path in ("/etc/passwd", "/../page.py", "/stream/x"):
        assert ask(live, path).status == 404


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_shows_picture_counts_and_chart_and_says_when_it_is_over(walk, source, visit, width):
    live = LivePage("127.0.0.1", 0, walk.watched)
    try:
        live.begin(source)
        for number in range(36):
            live.add(walk.record_at(number, source))
        page = visit(live.address, width, faultless=False)  # the browser tells the console when the server is gone
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text))
        page.wait_for_function("() => byId('title').textContent === 'camera 0'")
        page.wait_for_function("() => byId('picture').naturalWidth === 320")
        stats = page.locator("#stats div").all_inner_texts()
        assert [text.split("\n")[0] for text in stats] == [
            "people now", "at most", "tracks so far", "door right", "door left", "yard",
        ]  # fmt: skip
        assert page.locator("#stats dd").first.inner_text() == "2"
        assert "Person 1 left yard after 2.9 s" in page.locator("#events li").first.inner_text()
        assert page.locator("#chart .mean").count() == 1
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        live.add(walk.record_at(50, source))
        page.wait_for_function("() => document.querySelector('#stats dd').textContent === '1'")
        assert faults == []
        assert {urlsplit(address).netloc for address in page.asked if address.startswith("http")} == {
            urlsplit(live.address).netloc
        }
    finally:
        live.close()
    page.wait_for_selector("#over:visible")
