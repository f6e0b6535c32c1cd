"""From pictures to detections: of decoded pictures, and of a whole data set that is decoded ahead of the model."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from functools import partial
from typing import TypeVar

import cv2
import numpy as np
import torch
from torchvision.models.detection.transform import resize_boxes
from tqdm import tqdm

from upright.datasets.sample import PedestrianDataset
from upright.detector.detected import Detected, boxes_xywh
from upright.detector.evaluation.detections import Detections
from upright.detector.pose_entries import PoseColumns
from upright.errors import InputError

T = TypeVar("T")

MOST_PIXELS = 1 << 24  # of a picture as the model gets it; in float32 it takes 200 MB, and again that when normalised
MOST_BYTES = 1 << 28  # of decoded pictures in a batch, and of those that wait for one


def ahead(
    calls: Iterable[Callable[[], T]], *, workers: int = 1, depth: int = 4, size: Callable[[T], int] = lambda _: 0
) -> Generator[T, None, None]:
    """Results of `calls` in their order, made in threads while the caller works on earlier ones.

    Args:
        calls: functions without arguments, taken from the iterable one by one in the caller's thread.
        workers: how many run at a time; 1 keeps them strictly in order, one after the other.
        depth: how many are under way or waiting at most; it bounds the memory.
        size: bytes of a result; no more are begun while those that wait take `MOST_BYTES`.

    Raises:
        whatever a call raises, in the caller's thread and in the call's turn; later calls are dropped.
    """
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[T]] = deque()
    try:
        for call in calls:
            waiting.append(pool.submit(call))
            if len(waiting) > workers:
                wait([waiting[0]])  # so that the size of one is known; the caller would wait for it next
            while len(waiting) >= depth or (waiting and _bytes(waiting, size) >= MOST_BYTES):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _bytes(waiting: Sequence[Future[T]], size: Callable[[T], int]) -> int:
    """Of all that wait; a result that is not there yet counts as much as the largest that is."""
    known = [size(future.result()) for future in waiting if future.done() and future.exception() is None]
    return sum(known) + (len(waiting) - len(known)) * max(known, default=0)


def batches(items: Iterable[T], count: int, size: Callable[[T], int]) -> Iterator[list[T]]:
    """Lists of up to `count` items, and fewer where they take `MOST_BYTES` together, by the `size` of each."""
    batch: list[T] = []
    taken = 0
    for item in items:
        batch.append(item)
        taken += size(item)
        if len(batch) >= count or taken >= MOST_BYTES:
            yield batch
            batch, taken = [], 0
    if batch:
        yield batch


def choose_device(name: str | None = None) -> torch.device:
    """A device by its name; by default a GPU where there is one.

    Raises:
        InputError: there is no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):  # torch without CUDA asserts
        raise InputError(f"the device {name} cannot be used here: try cpu, or cuda with a GPU and its driver") from None
    return device


def detect_pictures(
    model: torch.nn.Module, images: Sequence[np.ndarray], device: torch.device | str = "cpu"
) -> list[dict[str, torch.Tensor]]:
    """The model's output for pictures as they are decoded.

    A picture of more than `MOST_PIXELS` is made smaller before it becomes float, which would take 12 times its
    pixels in bytes, several times over; the model makes it smaller still.

    Args:
        model: a detector with torchvision's interface, in eval mode, on `device`.
        images: uint8 (H, W, 3), RGB, of any sizes.

    Returns:
        one dict a picture, on the CPU: "boxes" float (n, 4), x1 y1 x2 y2 in pixels, "scores" (n,) in 0..1,
        "labels" (n,), and what else the model gives.
    """
    seen = [reduced(image) for image in images]
    tensors = [torch.from_numpy(image).to(device).permute(2, 0, 1).float().div(255) for image in seen]
    with torch.inference_mode():
        outputs = [{key: value.cpu() for key, value in output.items()} for output in model(tensors)]
    for image, small, output in zip(images, seen, outputs, strict=True):
        if small is not image:
            for key in {"boxes", "proposals"} & output.keys():
                output[key] = resize_boxes(output[key], small.shape[:2], image.shape[:2])
            for key in {"whole", "parts"} & output.keys():
                output[key] = output[key] * output[key].new_tensor(
                    (image.shape[1] / small.shape[1], image.shape[0] / small.shape[0])
                )
    return outputs


def reduced(image: np.ndarray) -> np.ndarray:
    """A picture uint8 (H, W, 3) of at most about `MOST_PIXELS`: itself, or a smaller one."""
    height, width = image.shape[:2]
    if height * width <= MOST_PIXELS:
        return image
    scale = (MOST_PIXELS / (height * width)) ** 0.5
    return cv2.resize(
        image, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
    )


def detect_dataset(
    model: torch.nn.Module,
    dataset: PedestrianDataset,
    *,
    device: torch.device | str = "cpu",
    workers: int = 1,
    batch_size: int = 1,
    progress: bool = True,
) -> Detections:
    """Run a model over all pictures of a data set; everything that it returns is kept, whatever its score.

    The model is put into eval mode and comes back in the mode that it had.

    Args:
        model: a detector with torchvision's interface, on `device`.
        dataset: gives `Sample`s by index; row i of its annotations is picture i.
        workers: threads that load pictures ahead of the model.
        batch_size: pictures a call of the model.
        progress: show a progress bar on stderr.

    Returns:
        `Detections`: row of the picture in `dataset.annotations`, boxes float64 (n, 4) x y w h, scores; their pose
        where the model tells it.
    """

    def load(index: int) -> np.ndarray:
        return dataset[index].image

    was_training = model.training
    model.eval()
    found: list[Detected] = []
    loads = (partial(load, index) for index in range(len(dataset)))
    try:
        with (
            closing(
                ahead(loads, workers=workers, depth=workers + 2 * batch_size, size=lambda image: image.nbytes)
            ) as images,
            tqdm(total=len(dataset), desc="detecting", disable=None if progress else True, leave=False) as bar,
        ):
            for batch in batches(images, batch_size, lambda image: image.nbytes):
                found += [Detected.of(output) for output in detect_pictures(model, batch, device)]
                bar.update(len(batch))
    finally:
        model.train(was_training)
    poses = [pose for one in found if (pose := PoseColumns.of(one)) is not None]
    return Detections(
        image_index=np.repeat(np.arange(len(found)), [len(one.scores) for one in found]),
        boxes=boxes_xywh(np.concatenate([np.zeros((0, 4)), *(one.boxes for one in found)])),
        scores=np.concatenate([np.zeros(0), *(one.scores for one in found)]),
        pose=PoseColumns.joined(poses) if poses else None,
    )
