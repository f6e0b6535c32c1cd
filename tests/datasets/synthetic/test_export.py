"""The data set on disk: CityPersons' fields, COCO's file names, nothing half-written."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from upright.datasets.synthetic import SyntheticPedestrians, export, write_citypersons_json

SIZE = (320, 240)


def test_the_json_holds_the_annotations_and_names_the_pictures(tmp_path):
    dataset = SyntheticPedestrians("test", 4, SIZE)
    path = write_citypersons_json(dataset, tmp_path / "out")
    content = json.loads(path.read_text())
    table = dataset.annotations
    assert content["categories"] == [{"id": 1, "name": "pedestrian"}]
    assert [image["id"] for image in content["images"]] == table.image_ids
    for image in content["images"]:
        assert image["file_name"] == image["im_name"]
        picture = cv2.imread(str(path.parent / image["file_name"]))
        assert picture.shape == (image["height"], image["width"], 3)
    rows = content["annotations"]
    assert [row["id"] for row in rows] == list(range(1, len(table.boxes) + 1))
    for k, row in enumerate(rows):
        assert row["image_id"] == table.image_ids[table.image_index[k]]
        assert row["bbox"] == table.boxes[k].tolist()
        assert row["vis_bbox"] == table.visible[k].tolist()
        assert row["height"] == table.height[k]
        assert row["vis_ratio"] == table.visible_ratio[k]
        assert row["ignore"] == row["iscrowd"] == int(table.ignore[k])
        assert row["category_id"] == 1
        labelled = int((table.joints[k, :, 2] > 0).sum())
        assert row.get("num_keypoints", 0) == labelled
        if labelled:
            assert np.array(row["keypoints"]).reshape(17, 3) == pytest.approx(table.joints[k], abs=0.01)
        assert row["pose"] == table.attributes["pose"][k]
        assert row["lean"] == pytest.approx(float(table.attributes["lean"][k]))
    assert sorted(p.suffix for p in path.parent.iterdir()) == [".jpg"] * 4 + [".json"]


def test_a_break_leaves_no_json(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(export.json, "dumps", stop)
    with pytest.raises(KeyboardInterrupt):
        write_citypersons_json(SyntheticPedestrians("val", 1, SIZE), tmp_path)
    assert [p.suffix for p in tmp_path.iterdir()] == [".jpg"]
