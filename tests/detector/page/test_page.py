"""The page as a file: whole or not there, without what failed, and harmless whatever files are called."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from file_limits import files_of_at_most

from upright.detector.detected import Detected
from upright.detector.input_names import Stream
from upright.detector.page import gathering
from upright.detector.page import page as page_module
from upright.detector.page.html import data_block, printable, relative_link
from upright.detector.page.page import Page
from upright.detector.sources import Source
from upright.errors import DiskFull, InputError

SEEN = Detected(np.array([[10.0, 20, 40, 200]]), np.array([0.9]))


def blocks(path: Path) -> dict[tuple[str, str], dict]:
    """The data in a page, by kind and name."""
    pattern = r'<script type="application/json" data-kind="(\w+)" data-name="([^"]*)">(.*?)</script>'
    return {(kind, name): json.loads(text) for kind, name, text in re.findall(pattern, path.read_text("utf-8"))}


def test_a_page_holds_every_source_and_the_sums_of_the_run(tmp_path, walk):
    page = Page(tmp_path, {"weights": "released", "threshold": 0.5}, walk.watched)
    walk.add_to(page, tmp_path / "a.mp4", tmp_path / "copy.mp4")
    walk.add_picture(page, tmp_path / "b.jpg", SEEN)
    page.close()
    assert page.path == tmp_path / "page.html"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.jpg", "page.html"]
    content = blocks(page.path)
    assert list(content) == [("video", "a.mp4"), ("picture", "b.jpg"), ("run", "run")]
    run = content["run", "run"]
    assert run["settings"] == {"weights": "released", "threshold": "0.5"}
    assert (run["figures"]["sources"], run["figures"]["frames"], run["figures"]["detections"]) == (2, 61, 81)
    assert content["video", "a.mp4"]["crossings"] == {"door right": 1, "door left": 0}
    assert [shape["name"] for shape in content["video", "a.mp4"]["shapes"]] == ["door", "yard"]
    assert content["picture", "b.jpg"]["boxes"] == [[0.0312, 0.0833, 0.125, 0.8333]]


def test_a_source_that_failed_is_not_on_the_page_even_if_it_was_finished(tmp_path, walk):
    page = Page(tmp_path, {})
    walk.add_picture(page, tmp_path / "a.jpg", SEEN)
    page.begin(Source(tmp_path / "b.jpg", tmp_path / "b.jpg", False, 1))
    page.discard()
    walk.add_picture(page, tmp_path / "c.jpg", SEEN)
    page.discard()
    walk.add_to(page, tmp_path / "d.mp4", tmp_path / "d.mp4", 3)
    page.discard()
    page.discard()
    walk.add_picture(page, tmp_path / "e.jpg", SEEN)
    page.close()
    content = blocks(page.path)
    assert list(content) == [("picture", "a.jpg"), ("picture", "e.jpg"), ("run", "run")]
    assert content["run", "run"]["figures"]["sources"] == 2
    assert page.path.read_text("utf-8").endswith("</html>\n")


def test_a_source_for_which_a_disk_has_no_room_is_not_on_the_page(tmp_path, walk):
    page = Page(tmp_path, {})
    walk.add_picture(page, tmp_path / "a.jpg", SEEN)
    written = sum(path.stat().st_size for path in tmp_path.glob(".page*"))
    with files_of_at_most(written + 300), pytest.raises(DiskFull, match=r"page\.html: cannot be written"):
        walk.add_to(page, tmp_path / "b.mp4", tmp_path / "b.mp4", 3)
    walk.add_picture(page, tmp_path / "c.jpg", SEEN)
    page.close()
    content = blocks(page.path)
    assert list(content) == [("picture", "a.jpg"), ("picture", "c.jpg"), ("run", "run")]
    assert (content["run", "run"]["figures"]["sources"], content["run", "run"]["figures"]["frames"]) == (2, 2)


@pytest.mark.parametrize("began", [False, True])
def test_without_a_source_there_is_no_page(tmp_path, began):
    page = Page(tmp_path, {})
    if began:
        page.begin(Source(tmp_path / "b.jpg", tmp_path / "b.jpg", False, 1))
        page.discard()
    page.close()
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "page.html").mkdir()
    with pytest.raises(InputError, match=r"page\.html: cannot be written"):
        Page(tmp_path, {})


def test_room_is_shared_by_all_videos_of_a_page(tmp_path, walk, monkeypatch):
    monkeypatch.setattr(page_module, "MOST_BOXES", 100)
    monkeypatch.setattr(page_module, "MOST_TRACKS", 3)
    monkeypatch.setattr(gathering, "MOST_EVENTS", 2)
    page = Page(tmp_path, {}, walk.watched)
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        walk.add_to(page, tmp_path / name, tmp_path / name)
    page.close()
    videos = [value for (kind, _), value in blocks(page.path).items() if kind == "video"]
    assert [len(video["tracks"]) for video in videos] == [2, 1, 0]
    assert [video["tracks_total"] for video in videos] == [2, 2, 2]
    assert [video["boxes"]["until"] for video in videos] == [4.0, 0.0, 0.0]
    assert [(len(video["events"]), video["events_total"]) for video in videos] == [(2, 4)] * 3


def test_links_are_relative_and_lead_to_files_of_any_name(tmp_path, walk):
    folder = tmp_path / "found"
    folder.mkdir()
    (tmp_path / "a:b #1?%.mp4").touch()
    (folder / "copy.mp4").touch()
    page = Page(folder, {}, walk.watched)
    walk.add_to(page, tmp_path / "a:b #1?%.mp4", folder / "copy.mp4", 2)
    walk.add_to(page, tmp_path / "gone.mp4", folder / "gone.mp4", 2)
    page.close()
    content = blocks(page.path)
    assert content["video", "a:b #1?%.mp4"]["original"] == "../a%3Ab%20%231%3F%25.mp4"
    assert content["video", "a:b #1?%.mp4"]["copy"] == "copy.mp4"
    assert (content["video", "gone.mp4"]["original"], content["video", "gone.mp4"]["copy"]) == (None, None)
    assert relative_link(folder / "javascript:alert(1)", folder) == "javascript%3Aalert%281%29"


def test_a_camera_is_called_by_its_address_without_the_password(tmp_path, walk):
    stream = Stream.of("rtsp://admin:secret@camera.example/door.mp4")
    assert stream is not None
    source = Source(Path("rtsp://admin:secret@camera.example/door.mp4"), tmp_path / "door.mp4", True, 0, stream, True)
    page = Page(tmp_path, {})
    page.begin(source)
    page.add(walk.record_at(0, source))
    page.finish(())
    page.close()
    assert ("video", "rtsp://camera.example/door.mp4") in blocks(page.path)
    assert "secret" not in page.path.read_text("utf-8")


def test_a_copy_of_an_earlier_run_is_not_linked(tmp_path, walk):
    (tmp_path / "copy.mp4").touch()
    page = Page(tmp_path, {}, walk.watched, copies=False)
    walk.add_to(page, tmp_path / "a.avi", tmp_path / "copy.mp4", 2)
    page.close()
    assert blocks(page.path)["video", "a.avi"]["copy"] is None


def test_no_name_ends_the_data_or_the_attribute_it_stands_in():
    name = '</script><script>alert(1)</script>"\' onload="x<!--.mp4'
    block = data_block("video", name, {"name": name})
    assert block.count("<") == 2
    assert block.count("</script>") == 1
    assert block.endswith("</script>\n")
    assert re.fullmatch(
        r'<script type="application/json" data-kind="video" data-name="[^"<>]*">[^<>]*</script>\n', block
    )


def test_names_that_are_no_utf_8_are_shown_and_linked(tmp_path):
    name = os.fsdecode(b"caf\xe9.mp4")
    assert printable(name) == "caf\N{REPLACEMENT CHARACTER}.mp4"
    assert relative_link(tmp_path / name, tmp_path) == "caf%E9.mp4"
    assert data_block("video", name, name).isascii() is False  # the sign for it, not half of a pair
    data_block("video", name, name).encode("utf-8")


def test_a_page_asks_for_nothing_from_elsewhere(tmp_path, walk):
    page = Page(tmp_path, {})
    walk.add_picture(page, tmp_path / "a.jpg", SEEN)
    page.close()
    text = page.path.read_text("utf-8")
    assert set(re.findall(r"https?://[^\s\"']*", text)) == {"http://www.w3.org/2000/svg"}  # the name of SVG's elements
    assert "src=" not in re.sub(r'src="data:', "", text.split('data-kind="')[0])
