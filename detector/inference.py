"""From pictures to detections: of decoded pictures, and of a whole data set that is decoded ahead of the detector."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from functools import partial
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from upright.datasets.sample import PedestrianDataset
from upright.detector.detected import Detected, boxes_xywh
from upright.detector.engines.engine import Engine
from upright.detector.evaluation.detections import Detections
from upright.detector.pose_entries import PoseColumns

T = TypeVar("T")

MOST_WAITING = 256  # calls; more are no use to anybody who waits for the first
MOST_BYTES = 1 << 28  # of decoded pictures in a batch, and of those that wait for one


def ahead(
    calls: Iterable[Callable[[], T]], *, workers: int = 1, depth: int = 4, size: Callable[[T], int] = lambda _: 0
) -> Generator[T, None, None]:
    """Results of `calls` in their order, made in threads while the caller works on earlier ones.

    Args:
        calls: functions without arguments, taken from the iterable one by one in the caller's thread.
        workers: how many run at a time; 1 keeps them strictly in order, one after the other.
        depth: how many are under way or waiting at most, `MOST_WAITING` where it is more; it bounds the memory.
        size: bytes of a result; no more are begun while those that wait take `MOST_BYTES`.

    Raises:
        whatever a call raises, in the caller's thread and in the call's turn; later calls are dropped.
    """
    depth = min(depth, MOST_WAITING)
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


def detect_dataset(
    engine: Engine,
    dataset: PedestrianDataset,
    *,
    workers: int = 1,
    batch_size: int = 1,
    progress: bool = True,
) -> Detections:
    """Run a detector over all pictures of a data set; everything that it finds is kept, whatever its score.

    Args:
        engine: the detector.
        dataset: gives `Sample`s by index; row i of its annotations is picture i.
        workers: threads that load pictures ahead of the detector.
        batch_size: pictures a call of the detector.
        progress: show a progress bar on stderr.

    Returns:
        `Detections`: row of the picture in `dataset.annotations`, boxes float64 (n, 4) x y w h, scores; their pose
        where the detector tells it.
    """

    def load(index: int) -> np.ndarray:
        return dataset[index].image

    found: list[Detected] = []
    loads = (partial(load, index) for index in range(len(dataset)))
    with (
        closing(
            ahead(loads, workers=workers, depth=workers + 2 * batch_size, size=lambda image: image.nbytes)
        ) as images,
        tqdm(total=len(dataset), desc="detecting", disable=None if progress else True, leave=False) as bar,
    ):
        for batch in batches(images, batch_size, lambda image: image.nbytes):
            found += engine.detect(batch)
            bar.update(len(batch))
    poses = [pose for one in found if (pose := PoseColumns.of(one)) is not None]
    return Detections(
        image_index=np.repeat(np.arange(len(found)), [len(one.scores) for one in found]),
        boxes=boxes_xywh(np.concatenate([np.zeros((0, 4)), *(one.boxes for one in found)])),
        scores=np.concatenate([np.zeros(0), *(one.scores for one in found)]),
        pose=PoseColumns.joined(poses) if poses else None,
    )
