"""The table of larger inputs and tiles, on rendered pictures."""

from __future__ import annotations

import json
from pathlib import Path

from upright.datasets.coco_json import coco_json
from upright.datasets.synthetic import SyntheticPedestrians
from upright.detector.video_writer import write_picture
from upright.experiments.video import views


def test_each_view_has_its_row(tmp_path: Path, call_main, monkeypatch) -> None:
    monkeypatch.setattr(views, "SIZES", (160, 320))
    monkeypatch.setattr(views, "TILES", (400,))
    streets = SyntheticPedestrians("val", 1)
    write_picture(tmp_path / "0.png", streets[0].image)
    content = coco_json(streets.annotations, file_names=["0.png"], sizes=[(640, 480)], first_pixel=0)
    (tmp_path / "a.json").write_text(json.dumps(content))
    document = tmp_path / "a.md"
    document.write_text("<!-- views -->\n<!-- /views -->\n")
    ended = call_main(views.main, "--root", tmp_path, "--annotations", "a.json", "--document", document)
    assert ended.status == 0, ended.err
    rows = [line for line in document.read_text().splitlines() if line.startswith("| `")]
    assert [row.split("|")[1].strip() for row in rows] == ["`--size 160`", "`--size 320`", "`--tiles 400`"]
    assert len({row.split("|")[2].split()[0] for row in rows}) > 1
