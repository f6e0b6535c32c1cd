"""Curves and sheets of mistakes: the right ones are drawn, whole files or none."""

import math

import cv2
import numpy as np
import pytest

from upright.datasets.sample import Annotations
from upright.detector.evaluation import Detections, evaluate
from upright.detector.evaluation.calibration import reliability
from upright.detector.evaluation.plots import _steps, plot_curves, plot_reliability
from upright.detector.evaluation.worst import draw_worst, worst_mistakes
from upright.errors import InputError

BOXES = np.array([(10.0, 10.0, 41.0, 100.0), (100.0, 10.0, 60.0, 140.0), (200.0, 10.0, 41.0, 90.0)])
TRUTHS = Annotations(
    image_ids=[5, 3],
    file_names=["b.png", "a.png"],
    sizes=np.zeros((2, 2), np.int64),
    image_index=np.array([0, 1, 1]),
    boxes=BOXES,
    visible=np.zeros((3, 4)),
    ignore=np.zeros(3, bool),
    height=BOXES[:, 3],
    visible_ratio=np.ones(3),
    category=np.ones(3, np.int64),
)
# A false positive, the first person, another false positive that is surer, and one in the other picture.
FOUND = Detections(
    np.array([0, 0, 1, 1]),
    np.array([(300.0, 10.0, 41.0, 100.0), BOXES[0], (310.0, 10.0, 41.0, 100.0), (320.0, 10.0, 41.0, 100.0)]),
    np.array([0.3, 0.2, 0.9, 0.8]),
)
NOTHING = Detections(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))


def test_the_surest_false_positives_and_the_tallest_misses_come_first():
    false_positives, misses = worst_mistakes(TRUTHS, FOUND, 10)
    places = [(one.row, one.box[0], one.score) for one in false_positives]
    assert places == [(1, 310, 0.9), (1, 320, 0.8), (0, 300, 0.3)]
    assert [(one.row, one.box[0], one.score) for one in misses] == [(1, 100, None), (1, 200, None), (0, 10, 0.2)]
    shorter = worst_mistakes(TRUTHS, FOUND, 1)
    assert [len(part) for part in shorter] == [1, 1]


def test_a_sheet_has_rows_for_both_kinds_with_and_without_pictures(tmp_path):
    picture = np.full((200, 400, 3), (0, 0, 255), np.uint8)
    draw_worst(tmp_path / "w.png", TRUTHS, FOUND, 5, picture=lambda row: picture if row else None)
    sheet = cv2.imread(str(tmp_path / "w.png"))
    blue = (sheet == (255, 0, 0)).all(axis=2)  # the picture is RGB, OpenCV reads BGR
    red = (sheet == (40, 40, 214)).all(axis=2)
    assert blue.sum() > 10_000
    assert red.sum() > 500
    assert [path.name for path in tmp_path.iterdir()] == ["w.png"]


def test_a_sheet_without_mistakes_is_a_sheet(tmp_path):
    nobody = Detections(np.array([0, 1, 1]), BOXES, np.ones(3))
    draw_worst(tmp_path / "w.jpg", TRUTHS, nobody, 5, picture=lambda row: None)
    assert cv2.imread(str(tmp_path / "w.jpg")) is not None


@pytest.mark.parametrize("name", ["curves.png", "curves.svg"])
def test_curves_of_several_detectors_are_drawn(tmp_path, name):
    results = {"ours": evaluate(TRUTHS, FOUND), "nothing": evaluate(TRUTHS, NOTHING)}
    plot_curves(tmp_path / name, results, title="two pictures")
    assert (tmp_path / name).stat().st_size > 10_000
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_legend_has_the_miss_rate_and_n_a_where_there_is_none(tmp_path):
    results = {"ours": evaluate(TRUTHS, FOUND, subsets=["Reasonable", "Heavy"])}
    plot_curves(tmp_path / "curves.svg", results)
    # matplotlib writes the text of each label as a comment beside its glyphs.
    drawing = (tmp_path / "curves.svg").read_text()
    lamr = results["ours"].subsets["Reasonable"].lamr
    assert f"{lamr:.2%} ours" in drawing
    assert "n/a ours" in drawing


def test_the_drawn_steps_pass_through_what_is_read():
    result = evaluate(TRUTHS, FOUND).subsets["Reasonable"]
    x, y = _steps(result)
    # Two surer false positives in two pictures, then a third; the person found last.
    assert x.tolist() == [1e-3, 0.5, 0.5, 1.0, 1.0, 1.5, 1.5]
    assert y.tolist() == [1.0] * 6 + [pytest.approx(2 / 3)]
    assert [len(part) for part in _steps(evaluate(TRUTHS, NOTHING).subsets["Reasonable"])] == [1, 1]
    assert math.isnan(evaluate(TRUTHS, NOTHING).subsets["Heavy"].lamr)
    assert [len(part) for part in _steps(evaluate(TRUTHS, NOTHING).subsets["Heavy"])] == [0, 0]


def test_reliability_is_drawn_with_the_error_of_each_in_the_legend(tmp_path):
    scores, right = np.array([0.05, 0.35, 0.95, 0.97]), np.array([False, True, True, False])
    before, nothing = reliability(scores, right), reliability(np.zeros(0), np.zeros(0, bool))
    plot_reliability(tmp_path / "r.svg", {"before": before, "after": nothing}, title="four detections")
    drawing = (tmp_path / "r.svg").read_text()
    assert f"before: error {before.expected_error:.3f}" in drawing
    assert "after: no detections" in drawing
    plot_reliability(tmp_path / "r.png", {"before": before})
    picture = cv2.imread(str(tmp_path / "r.png"))
    grey = (picture == (184, 184, 184)).all(axis=2)  # the bars: of 1 / 20, 1 and 1 / 2 of the panel's height
    assert grey.any(axis=0).sum() > 3 * 0.05 * picture.shape[1]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["r.png", "r.svg"]


def test_a_sheet_on_a_full_disk_says_so(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(InputError, match=r"w\.png: cannot be written, the disk is full"):
        draw_worst(tmp_path / "w.png", TRUTHS, FOUND, 5, picture=lambda row: None)


def test_unknown_picture_formats_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"curves\.xyz: not a picture format"):
        plot_curves(tmp_path / "curves.xyz", {"ours": evaluate(TRUTHS, FOUND)})
    with pytest.raises(InputError, match=r"reliability\.xyz: not a picture format"):
        plot_reliability(tmp_path / "reliability.xyz", {})
    for name in ("worst.xyz", "worst"):
        with pytest.raises(InputError, match="not a picture format"):
            draw_worst(tmp_path / name, TRUTHS, FOUND, 5, picture=lambda row: None)
    assert list(tmp_path.iterdir()) == []
