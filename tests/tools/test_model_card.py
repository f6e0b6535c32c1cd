"""The model card says what the evaluations found, and nothing that they did not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from upright.errors import InputError
from upright.tools.model_card import SUBSETS, calibration_lines, evaluation_lines, peer_lines, read_figures

ROOT = Path(__file__).parents[2]
AT_THRESHOLD = {
    "threshold": 0.4375,
    "precision": 0.75,
    "recall": 0.5,
    "people": 12,
    "by_height": {"16-32": {"recall": None, "people": 0}, "over 32": {"recall": 0.5, "people": 12}},
    "false_people": 2.0,
    "empty": {"pictures": 2, "false_people": 1.5, "alarmed": 1, "alarmed_share": 0.5},
}


@pytest.fixture
def report() -> dict[str, Any]:
    return {
        "images": 3,
        "coco": {"AP": 0.25, "AP50": None, "AP_small": 0.1, "AP_medium": 0.2, "AP_large": None},
        "subsets": {name: {"lamr": None} for name in SUBSETS},
        "poses": {"walking": {"lamr": 0.5, "ground_truths": 4}},
        "at_threshold": AT_THRESHOLD,
    }


def peers(pictures: int = 3) -> dict[str, Any]:
    one = {"name": "Other", "licence": "AGPL", "conditions": "int8", "parameters": 1.85}
    return {
        "data": "val",
        "pictures": pictures,
        "source": "Told.",
        "detectors": [one | {"AP": 0.5, "AP50": 1, "lamr": 0}],
    }


def test_figures_that_are_not_there_are_not_invented(report: dict[str, Any]) -> None:
    lines = evaluation_lines({"val": report})
    assert lines[2:4] == ["| val | 3 | 0.250 | n/a | n/a | n/a | n/a | n/a |", ""]
    assert "| val | 0.100 | 0.200 | n/a |" in lines
    assert "| val | 0.438 | n/a (0) | 50.0 % (12) |" in lines
    assert "| val | 75.0 % | 2.000 | 2 | 1.500 | 50.0 % |" in lines
    assert lines[-1] == "| walking | 4 | 50.0 % |"


def test_a_report_of_an_older_version_is_refused(report: dict[str, Any]) -> None:
    del report["at_threshold"]
    with pytest.raises(InputError, match=r"lack 'at_threshold': write them again by tools/evaluate\.py"):
        evaluation_lines({"val": report})


def test_ours_stands_above_the_others_with_the_times_of_those_that_were_timed(report: dict[str, Any]) -> None:
    assert peer_lines(peers(), {"val": report}, "ours", 2.34, {}) == [
        "Told.",
        "",
        "| detector | AP | AP50 | MR Reasonable | parameters |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| ours (torch) | 0.250 | n/a | n/a | 2.3 M |",
        "| Other (AGPL, int8) | 0.500 | 1.000 | 0.0 % | 1.9 M |",
    ]
    timed = peer_lines(peers(), {"val": report}, "ours", 2.34, {"milliseconds": {"ours": 30}, "conditions": "one core"})
    assert timed[2] == "Times: one core."
    assert [line.rsplit("|", 2)[1].strip() for line in timed[-2:]] == ["30.0", ""]


def test_other_pictures_are_not_compared(report: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="add --figures val=JSON"):
        peer_lines(peers(), {"other": report}, "ours", 2, {})
    with pytest.raises(InputError, match="4 pictures of val, ours of 3"):
        peer_lines(peers(pictures=4), {"val": report}, "ours", 2, {})


def test_the_peers_that_are_released_can_be_set_beside_ours(report: dict[str, Any]) -> None:
    known = read_figures(ROOT / "docs/peers.json", "hand")
    lines = peer_lines(known, {known["data"]: report | {"images": known["pictures"]}}, "ours", 2, {})
    assert "| YOLOX-nano 416 (Apache-2.0) | 0.420 | 0.694 | 28.0 % | 0.9 M |" in lines


def test_the_plot_is_named_as_it_is_seen_from_the_card(tmp_path: Path) -> None:
    plot = tmp_path / "docs/r.png"
    figures = {"pictures": 9, "score_scale": 1.5, "score_shift": -0.25, "threshold": 0.4, "false_people": 0.05}
    figures |= {"before": {"expected_error": 0.2}, "after": {"expected_error": None}, "at_threshold": AT_THRESHOLD}
    with pytest.raises(InputError, match=r"r\.png is missing"):
        calibration_lines(figures, plot, tmp_path / "weights/README.md")
    plot.parent.mkdir()
    plot.write_bytes(b"a picture")
    lines = calibration_lines(figures, plot, tmp_path / "weights/README.md")
    assert lines[0].endswith("(../docs/r.png)")
    assert "error 0.200 before, n/a after" in lines[2]
    assert "precision 75.0 %, recall 50.0 % of 12 people" in lines[2]


@pytest.mark.parametrize("content", [None, "", "{", "[]"])
def test_a_file_without_figures_is_refused_with_the_tool_that_writes_it(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"a\.json.*write them by tools/evaluate\.py"):
        read_figures(tmp_path / "a.json", "tools/evaluate.py --json")
    (tmp_path / "a.json").write_text(json.dumps({"a": 1}))
    assert read_figures(tmp_path / "a.json", "it") == {"a": 1}
