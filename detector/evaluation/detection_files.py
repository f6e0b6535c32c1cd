"""The files that hold detections: COCO's results, the project's `detections.json`, Caltech's folders."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from upright.datasets.coco import GZIP_START
from upright.datasets.sample import Annotations
from upright.detector.evaluation.caltech_results import read_caltech_results
from upright.detector.evaluation.detections import Detections
from upright.detector.evaluation.picture_names import rows_by_image_id
from upright.detector.pose_entries import pose_entries, read_pose
from upright.errors import InputError
from upright.output import whole_file


def read_detections(path: str | os.PathLike[str], annotations: Annotations) -> Detections:
    """Detections of a data set, from any layout that the benchmarks use.

    Args:
        path: a `detections.json` of this project, a COCO list of results, or a folder in Caltech's layout,
            `setNN/VNNN.txt`.
        annotations: of the data set that they belong to.

    Returns:
        the detections of people: of category 1 in a file of this project, of the ground truth's own number in a list of
        results; with their pose where the file tells it. Others are counted in a warning. An empty list is not an
        error: nothing was found.

    Raises:
        InputError: the file is missing, is something else, or has a fault; the message names the first one.
    """
    if Path(path).is_dir():
        return read_caltech_results(Path(path), annotations)
    content = _load(Path(path))
    results = _results(content, Path(path))
    image_ids = _column(results, "image_id", path)
    categories = _numbers(_column(results, "category_id", path), "category_id", path)
    scores = _numbers(_column(results, "score", path), "score", path)
    boxes = _boxes(_column(results, "bbox", path), path)
    images = content.get("images") if isinstance(content, dict) else None
    rows = rows_by_image_id(images, annotations, Path(path))
    try:
        image_index = np.array([rows[image_id] for image_id in image_ids], np.int64)
    except (KeyError, TypeError):
        place, unknown = next(
            (place, image_id)
            for place, image_id in enumerate(image_ids)
            if not isinstance(image_id, (int, str, float)) or image_id not in rows
        )
        raise InputError(
            f"{path}: detection {place} has image_id {json.dumps(unknown)}, which is not a picture of the data set; "
            "detections and ground truth must be of the same pictures"
        ) from None
    pose = read_pose(results, path)
    persons = np.isin(categories, [1] if isinstance(content, dict) else sorted(annotations.person_ids))
    _warn_of_what_is_left_out(path, categories[~persons], len(rows), annotations)
    return Detections(
        image_index[persons], boxes[persons], scores[persons], None if pose is None else pose.take(persons)
    )


def _warn_of_what_is_left_out(
    path: str | os.PathLike[str], others: np.ndarray, pictures: int, annotations: Annotations
) -> None:
    """Say how many detections are of other categories, and how many pictures the file does not know."""
    if len(others):
        numbers = ", ".join(f"{number:g}" for number in np.unique(others)[:10].tolist())
        persons = ", ".join(map(str, sorted(annotations.person_ids)))
        print(
            f"warning: {path}: {len(others)} detections are of other categories ({numbers}) than people ({persons}) "
            "and are left out",
            file=sys.stderr,
        )
    missing = len(annotations.image_ids) - pictures
    if missing > 0:
        print(
            f"warning: {path}: {missing} of {len(annotations.image_ids)} pictures of the data set are not in it, so "
            "all people there count as missed",
            file=sys.stderr,
        )


def _load(path: Path) -> Any:
    try:
        content = path.read_bytes()
        if content.startswith(GZIP_START):
            raise InputError(f"{path}: is compressed; unpack it with gunzip")
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give a JSON of detections or a folder of setNN/VNNN.txt") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a JSON of detections") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "is empty" if not text.strip() else f"is not valid JSON ({error})"
        raise InputError(f"{path}: {kind}; write it again (no detections at all are written as [])") from None


def _results(content: Any, path: Path) -> list[dict[str, Any]]:
    results = content
    if isinstance(content, dict):
        if "detections" not in content:
            hint = " (this looks like ground truth)" if "annotations" in content else ""
            raise InputError(
                f"{path}: holds no detections{hint}; give a COCO list of results or an object with 'detections'"
            )
        results = content["detections"]
    if not isinstance(results, list):
        raise InputError(f"{path}: the detections are not a list; give a COCO list of results")
    for place, result in enumerate(results):
        if not isinstance(result, dict):
            raise InputError(f"{path}: detection {place} is not an object with image_id, category_id, bbox and score")
    return results


def _column(results: list[dict[str, Any]], key: str, path: str | os.PathLike[str]) -> list[Any]:
    try:
        return [result[key] for result in results]
    except KeyError:
        place = next(place for place, result in enumerate(results) if key not in result)
        raise InputError(f"{path}: detection {place} has no {key}; add it or leave the detection out") from None


def _is_number(value: object) -> bool:
    # Compared rather than converted: a whole number in JSON may be too large for a float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _numbers(values: list[Any], key: str, path: str | os.PathLike[str]) -> np.ndarray:
    if not all(map(_is_number, values)):
        place = next(place for place, value in enumerate(values) if not _is_number(value))
        raise InputError(
            f"{path}: detection {place} has {key} {json.dumps(values[place])}, which is not a finite number"
        )
    return np.array(values, np.float64)


def _boxes(values: list[Any], path: str | os.PathLike[str]) -> np.ndarray:
    try:
        flat = [number for x, y, width, height in values for number in (x, y, width, height)]
        sound = all(type(number) in (int, float) for number in flat)
        boxes = np.array(flat, np.float64).reshape(-1, 4) if sound else None
    except (TypeError, ValueError, OverflowError):
        boxes = None
    if boxes is None or not np.isfinite(boxes).all():
        place, box = next(
            (place, box)
            for place, box in enumerate(values)
            if not isinstance(box, list) or len(box) != 4 or not all(_is_number(number) for number in box)
        )
        raise InputError(
            f"{path}: detection {place} has bbox {json.dumps(box)}, which is not [x, y, width, height] in pixels"
        )
    negative = np.flatnonzero((boxes[:, 2] < 0) | (boxes[:, 3] < 0))
    if len(negative):
        place = int(negative[0])
        raise InputError(
            f"{path}: detection {place} has bbox {boxes[place].tolist()} of negative size; "
            "write [x, y, width, height], not two corners"
        )
    return boxes


def write_detections(
    path: str | os.PathLike[str], annotations: Annotations, detections: Detections, settings: dict[str, Any]
) -> None:
    """Write the project's `detections.json`: one entry in `images` a picture, also where nothing was found.

    Args:
        path: the file; it is replaced whole or not at all.
        annotations: of the data set.
        detections: of that data set.
        settings: what made them, kept in the file.

    Raises:
        InputError: nothing can be written there.
    """
    ids = annotations.image_ids
    sizes = np.asarray(annotations.sizes).tolist()
    content = {
        "images": [
            {"id": image_id, "file_name": name, "width": width, "height": height}
            for image_id, name, (width, height) in zip(ids, annotations.file_names, sizes, strict=True)
        ],
        "detections": [
            {"image_id": ids[row], "category_id": 1, "bbox": box, "score": score, **pose}
            for row, box, score, pose in zip(
                detections.image_index.tolist(),
                detections.boxes.tolist(),
                detections.scores.tolist(),
                pose_entries(detections.pose, len(detections)),
                strict=True,
            )
        ],
        "settings": settings,
    }
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")
