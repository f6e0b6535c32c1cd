"""From pictures to detections: of decoded pictures, and of a whole data set that is decoded ahead of the model."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

from upright.datasets.sample import PedestrianDataset
from upright.detector.evaluation.detections import Detections
from upright.errors import InputError

T = TypeVar("T")


def ahead(calls: Iterable[Callable[[], T]], *, workers: int = 1, depth: int = 4) -> Generator[T, None, None]:
    """Results of `calls` in their order, made in threads while the caller works on earlier ones.

    Args:
        calls: functions without arguments, taken from the iterable one by one in the caller's thread.
        workers: how many run at a time; 1 keeps them strictly in order, one after the other.
        depth: how many are under way or waiting at most; it bounds the memory.

    Raises:
        whatever a call raises, in the caller's thread and in the call's turn; later calls are dropped.
    """
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[T]] = deque()
    try:
        for call in calls:
            waiting.append(pool.submit(call))
            if len(waiting) >= depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


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

    Args:
        model: a detector with torchvision's interface, in eval mode, on `device`.
        images: uint8 (H, W, 3), RGB, of any sizes.

    Returns:
        one dict a picture, on the CPU: "boxes" float (n, 4), x1 y1 x2 y2 in pixels, "scores" (n,) in 0..1,
        "labels" (n,), and what else the model gives.
    """
    tensors = [torch.from_numpy(image).to(device).permute(2, 0, 1).float().div(255) for image in images]
    with torch.inference_mode():
        return [{key: value.cpu() for key, value in output.items()} for output in model(tensors)]


def boxes_xywh(boxes: np.ndarray) -> np.ndarray:
    """float64 x y width height (n, 4) of boxes x1 y1 x2 y2 (n, 4)."""
    corners = boxes.astype(np.float64).reshape(-1, 4)
    corners[:, 2:] -= corners[:, :2]
    return corners


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
        `Detections`: row of the picture in `dataset.annotations`, boxes float64 (n, 4) x y w h, scores.
    """

    def load(index: int) -> np.ndarray:
        return dataset[index].image

    was_training = model.training
    model.eval()
    counts, boxes, scores = [], [np.zeros((0, 4))], [np.zeros(0)]
    loads = (partial(load, index) for index in range(len(dataset)))
    try:
        with (
            closing(ahead(loads, workers=workers, depth=workers + 2 * batch_size)) as images,
            tqdm(total=len(dataset), desc="detecting", disable=None if progress else True, leave=False) as bar,
        ):
            while batch := list(islice(images, batch_size)):
                for output in detect_pictures(model, batch, device):
                    boxes.append(boxes_xywh(output["boxes"].numpy()))
                    scores.append(output["scores"].numpy().astype(np.float64))
                    counts.append(len(scores[-1]))
                bar.update(len(batch))
    finally:
        model.train(was_training)
    return Detections(
        image_index=np.repeat(np.arange(len(counts)), counts),
        boxes=np.concatenate(boxes),
        scores=np.concatenate(scores),
    )


@dataclass(frozen=True)
class Detected:
    """What was found in a frame, in falling order of the score.

    Attributes:
        boxes: float64 (n, 4), x1 y1 x2 y2 in pixels.
        scores: float64 (n,).
        proposals: float64 (n, 4), the regions that the transformers read, and
        theta: (n, N, P); both None unless the model returns them.
    """

    boxes: np.ndarray
    scores: np.ndarray
    proposals: np.ndarray | None = None
    theta: torch.Tensor | None = None

    @classmethod
    def of(cls, output: dict[str, torch.Tensor]) -> Detected:
        """From the model's output for one picture."""
        proposals = output["proposals"].numpy().astype(np.float64) if "proposals" in output else None
        boxes, scores = (output[key].numpy().astype(np.float64) for key in ("boxes", "scores"))
        return cls(boxes, scores, proposals, output.get("theta"))

    def regions(self) -> tuple[np.ndarray, torch.Tensor]:
        """`proposals` and `theta`; ValueError where the model did not return them."""
        if self.proposals is None or self.theta is None:
            raise ValueError("theta is not there: set return_theta of a model with transformers")
        return self.proposals, self.theta

    def above(self, threshold: float) -> Detected:
        """Those with a score of at least `threshold`."""
        return self.take(np.flatnonzero(self.scores >= threshold))

    def take(self, rows: np.ndarray) -> Detected:
        """Some of them, in the order of `rows`, int (m,)."""
        return Detected(
            self.boxes[rows],
            self.scores[rows],
            None if self.proposals is None else self.proposals[rows],
            None if self.theta is None else self.theta[torch.from_numpy(rows)],
        )
