"""Every reader of the project, with sound files for it that are made here: a line in `READERS` adds another."""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import cv2
import mutations
import numpy as np

from upright.datasets.registry import open_dataset

sys.path.insert(0, str(Path(__file__).parents[1] / "datasets"))
from conftest import crowdhuman, eurocity, kitti, motchallenge, voc, yolo

Mutate = Callable[[bytes, Random], bytes]


@dataclass(frozen=True)
class Reader:
    """How the files of one reader are made, damaged and read.

    Attributes:
        make: writes sound files into a folder and gives those that are to be damaged, one at a time.
        read: reads the folder as the project does; anything but a return or an `InputError` is a fault.
        structure: a mutation that keeps the file readable, taken in turn with that of the bytes.
        weight: share of the inputs, against that of others.
    """

    make: Callable[[Path], list[Path]]
    read: Callable[[Path], Any]
    structure: Mutate = mutations.mutated_bytes
    weight: float = 1.0


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3 % 256, y * 5 % 256, (x + y) * 2 % 256], axis=-1).astype(np.uint8)


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# Annotations


def make_coco(folder: Path) -> list[Path]:
    images, rows = [], []
    for number in (1, 2, 3):
        write(folder / f"{number}.png", cv2.imencode(".png", picture())[1].tobytes())
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 48})
        person = {"id": number, "image_id": number, "category_id": 1, "bbox": [5.5, 4, 20, 40]}
        person |= {"iscrowd": 0, "ignore": 0}
        person |= {"vis_bbox": [5, 4, 10, 40], "vis_ratio": 0.5, "height": 40, "keypoints": [12, 10, 2] * 17}
        rows.append(person | {"segmentation": [[5, 4, 25, 4, 25, 44, 5, 44]]})
    categories = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}]
    content = {"images": images, "annotations": rows, "categories": categories}
    return [write(folder / "a.json", json.dumps(content).encode())]


def all_pictures(dataset: Any) -> None:
    for index in range(min(3, len(dataset))):
        dataset[index]


def read_coco(folder: Path) -> None:
    all_pictures(open_dataset("coco", folder, annotations=["a.json"]))


def other_layout(name: str, make: Callable[[Path], None], split: str, suffixes: tuple[str, ...]) -> Reader:
    def make_files(folder: Path) -> list[Path]:
        make(folder)
        return sorted(path for path in folder.rglob("*") if path.suffix in suffixes)

    def read(folder: Path) -> None:
        all_pictures(open_dataset(name, folder, split))

    structured = suffixes[0] in (".json", ".odgt")
    return Reader(make_files, read, mutations.mutated_json if structured else mutations.mutated_text)


def make_detections(folder: Path) -> list[Path]:
    make_coco(folder)
    found = [{"image_id": i, "category_id": 1, "bbox": [5, 4, 20.5, 40], "score": 0.5} for i in (1, 2, 3)]
    whole = {"images": [{"id": i, "file_name": f"{i}.png"} for i in (1, 2, 3)], "detections": found, "settings": {}}
    return [write(folder / name, json.dumps(c).encode()) for name, c in (("d.json", found), ("e.json", whole))]


def read_detection_files(folder: Path) -> None:
    from upright.datasets.coco import read_annotations
    from upright.detector.evaluation import evaluate, read_detections
    from upright.detector.evaluation.plausibility import suspicions

    annotations = read_annotations(folder / "a.json")
    for name in ("d.json", "e.json"):
        detections = read_detections(folder / name, annotations)
        list(suspicions(annotations, detections))
        evaluate(annotations, detections)


def make_caltech(folder: Path) -> list[Path]:
    from upright.datasets.caltech.vbb import VideoAnnotation, write_vbb

    frames = np.array([30, 30, 60])
    boxes = np.array([[10.0, 5, 20, 40], [30, 5, 10, 40], [11, 5, 20, 40]])
    hidden = np.array([False, True, False])
    annotation = VideoAnnotation(
        60,
        frames,
        np.array([1, 2, 1]),
        np.array(["person", "people", "person"]),
        boxes,
        boxes * hidden[:, None],
        hidden,
    )
    write_vbb(folder / "V000.vbb", annotation)
    rows = "person 10 5 20 40 0 0 0 0 0 0 0\npeople 30 5 10 40 1 30 5 5 40 1 0\n"
    return [folder / "V000.vbb", write(folder / "frame.txt", f"% bbGt version=3\n{rows}".encode())]


def read_caltech(folder: Path) -> None:
    from upright.datasets.caltech.annotations import as_annotations, new_columns, original_columns

    as_annotations(original_columns({(6, 0): folder / "V000.vbb"}, 30))
    as_annotations(original_columns({(6, 0): folder / "V000.vbb"}, 1))
    as_annotations(new_columns({(6, 0, 29): folder / "frame.txt"}))


def make_seq(folder: Path) -> list[Path]:
    from upright.datasets.caltech.seq import SeqWriter

    with SeqWriter(folder / "V000.seq", 64, 48) as writer:
        for _ in range(4):
            writer.add(picture())
    return [folder / "V000.seq"]


def read_seq(folder: Path) -> None:
    from upright.datasets.caltech.seq import SeqReader

    with SeqReader(folder / "V000.seq") as video:
        for number in range(min(6, len(video))):
            video.seconds(number)
            video[number]


def make_results(folder: Path) -> list[Path]:
    lines = "".join(f"{frame},10.5,5,20,40,0.{frame}\n" for frame in (30, 30, 60))
    return [write(folder / "set06/V000.txt", lines.encode())]


def read_results(folder: Path) -> None:
    from upright.datasets.sample import Annotations
    from upright.detector.evaluation import evaluate, read_detections

    one, box = np.ones(1), np.array([[10.0, 5, 20, 40]])
    names = ["set06_V000_I00029.jpg", "set06_V000_I00059.jpg"]
    annotations = Annotations(
        image_ids=names, file_names=names, sizes=np.array([[64, 48]] * 2), image_index=np.zeros(1, np.int64), boxes=box,
        visible=box, ignore=np.zeros(1, bool), height=40 * one, visible_ratio=one, category=np.ones(1, np.int64),
    )  # fmt: skip
    evaluate(annotations, read_detections(folder, annotations), "caltech")


def make_citypersons(folder: Path) -> list[Path]:
    from upright.datasets.matlab import write_matlab

    cells = np.empty((1, 2), dtype=object)
    for number in range(2):
        rows = np.array([[1, 5, 4, 20, 40, 1, 5, 4, 10, 40], [0, 30, 4, 9, 9, 0, 0, 0, 0, 0]], np.uint16)
        cell = np.zeros((1, 1), dtype=[(name, object) for name in ("cityname", "im_name", "bbs")])
        cell[0, 0] = ("rome", f"rome_{number}_leftImg8bit.png", rows)
        cells[0, number] = cell
    for name, compressed in (("anno_val.mat", False), ("small.mat", True)):
        write_matlab(folder / name, {"anno_val_aligned": cells}, compressed=compressed)
    person = {"label": "pedestrian", "bbox": [5, 4, 20, 40], "bboxVis": [5, 4, 10, 40], "instanceId": 1}
    content = {"imgWidth": 64, "imgHeight": 48, "objects": [person, person | {"label": "ignore"}]}
    return [
        folder / "anno_val.mat",
        folder / "small.mat",
        write(folder / "gt/rome/rome_1_gtBboxCityPersons.json", json.dumps(content).encode()),
    ]


def read_citypersons(folder: Path) -> None:
    for name in ("anno_val.mat", "small.mat"):
        open_dataset("citypersons", folder, "val", annotations=[name])
    from upright.datasets.citypersons import PEDESTRIAN, as_annotations, read_json

    as_annotations(read_json(folder / "gt"), (PEDESTRIAN,))


# Weights and checkpoints


def tiny_detector() -> Any:
    import torch

    from upright.detector.model import build_detector
    from upright.detector.settings import PRESETS

    torch.manual_seed(0)
    small = {"channels": 16, "head_width": 16, "glance_channels": 4, "min_size": 64, "max_size": 96}
    return build_detector(replace(PRESETS["mobilenet"], **small))


def make_weights(folder: Path) -> list[Path]:
    from upright.detector.weights import save_weights

    save_weights(folder / "w.safetensors", tiny_detector(), {"steps": 1})
    return [folder / "w.safetensors"]


def read_weights(folder: Path) -> None:
    from upright.detector.weights import load_detector, read_metadata

    read_metadata(folder / "w.safetensors")
    load_detector(folder / "w.safetensors")


def little_network(_: str) -> Any:
    """In place of torchvision's, which takes longer to build than all of the reading."""
    from torch import nn

    features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    return nn.Sequential(OrderedDict(features=features, classifier=nn.Linear(4, 2)))


def make_backbone(folder: Path) -> list[Path]:
    import torch
    from safetensors.torch import save_file

    tensors = {name: value.clone() for name, value in little_network("").state_dict().items()}
    torch.save(tensors, folder / "b.pth")
    save_file(tensors, folder / "b.safetensors")
    return [folder / "b.pth", folder / "b.safetensors"]


def read_backbone(folder: Path) -> None:
    from upright.detector.weights import load_backbone

    with patch("upright.detector.weights.imagenet_network", little_network):
        for name in ("b.pth", "b.safetensors"):
            load_backbone("mobilenet_v2", str(folder / name))


def make_checkpoint(folder: Path) -> list[Path]:
    import torch

    from upright.detector.run_directory import FORMAT

    tensor = torch.arange(6.0).reshape(2, 3)
    state = {
        "model": {"weight": tensor},
        "optimizer": {"state": {0: {"step": tensor[0, 1]}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    }
    state |= {"scaler": {}, "step": 3, "validated": 0, "best": None, "average": None, "format": FORMAT}
    state |= {"random": [torch.get_rng_state()], "random_cuda": []}
    torch.save(state, folder / "checkpoint.pt")
    lines = [json.dumps({"step": step, "losses": {"loss": 0.5}}) for step in (1, 2, 3)]
    return [folder / "checkpoint.pt", write(folder / "log.jsonl", "\n".join(lines).encode())]


def read_checkpoint(folder: Path) -> None:
    import torch

    from upright.detector.processes import Processes
    from upright.detector.run_directory import RunDirectory
    from upright.detector.training_state import TrainingState

    model: Any = torch.nn.Linear(3, 2, bias=False)
    state = TrainingState(model, torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler("cpu", enabled=False))
    (folder / "settings.json").write_text("{}")
    with closing(RunDirectory(folder, {}, resume=True)) as directory:
        state.load(directory, Processes())


# Pictures and video


def make_pictures(folder: Path) -> list[Path]:
    kinds = (".jpg", ".png", ".bmp", ".webp", ".tif", ".ppm", ".jp2")
    return [write(folder / f"p{kind}", cv2.imencode(kind, picture())[1].tobytes()) for kind in kinds]


def read_pictures(folder: Path) -> None:
    from upright.datasets.pictures import picture_size, read_picture

    # The one that was changed last; the others are sound.
    path = max(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)
    picture_size(path)
    read_picture(path)


def make_videos(folder: Path) -> list[Path]:
    files = []
    for name, code in (("v.avi", "MJPG"), ("v.mp4", "mp4v")):
        writer = cv2.VideoWriter(str(folder / name), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), 25, (64, 48))
        for _ in range(4):
            writer.write(picture())
        writer.release()
        files.append(folder / name)
    return files


def read_videos(folder: Path) -> None:
    from upright.detector.video_reader import VideoReader

    path = max(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)
    reader = VideoReader(path)
    for _ in zip(range(50), reader, strict=False):
        pass
    reader.close()


READERS = {
    "coco": Reader(make_coco, read_coco, mutations.mutated_json, 2),
    "detections": Reader(make_detections, read_detection_files, mutations.mutated_json, 2),
    "caltech": Reader(make_caltech, read_caltech, weight=2),
    "seq": Reader(make_seq, read_seq),
    "results": Reader(make_results, read_results, mutations.mutated_text),
    "citypersons": Reader(make_citypersons, read_citypersons, weight=2),
    "yolo": other_layout("yolo", yolo, "train", (".txt", ".yaml")),
    "voc": other_layout("voc", voc, "val", (".xml", ".txt")),
    "crowdhuman": other_layout("crowdhuman", crowdhuman, "val", (".odgt",)),
    "motchallenge": other_layout("motchallenge", motchallenge, "train", (".txt", ".ini")),
    "kitti": other_layout("kitti", kitti, "train", (".txt",)),
    "eurocity": other_layout("eurocity", eurocity, "val", (".json",)),
    "weights": Reader(make_weights, read_weights, mutations.mutated_safetensors, 0.5),
    "backbone": Reader(make_backbone, read_backbone),
    "checkpoint": Reader(make_checkpoint, read_checkpoint, mutations.mutated_checkpoint),
    "pictures": Reader(make_pictures, read_pictures, weight=2),
    "videos": Reader(make_videos, read_videos),
}
