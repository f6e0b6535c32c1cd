"""Street scenes from (seed, index) alone: who stands where, drawn from far to near, boxes from the masks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from upright.datasets.joints import JOINTS
from upright.datasets.sample import Sample
from upright.datasets.synthetic import sensor
from upright.datasets.synthetic.composition import Boxes, compose
from upright.datasets.synthetic.population import Placed, draw_population
from upright.datasets.synthetic.roll import Roll, widened
from upright.datasets.synthetic.street.scenery import paint_scenery
from upright.datasets.synthetic.street.view import View, draw_view

LEAST_SEEN = 0.2  # share of a person's pixels under which nobody can judge: an ignore region


def generator(seed: int, index: int, stream: int) -> np.random.Generator:
    """Random numbers that depend on these three alone; each part of a scene has a stream of its own."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, index, stream))))


@dataclass(frozen=True)
class Series:
    """What all pictures of a series have in common.

    Attributes:
        seed: names the series.
        size: width and height of the pictures.
        roll: the camera is rolled by up to this many degrees either way, another angle for each picture.
        poses: which people there are, one of `population.MIXTURES`.
    """

    seed: int
    size: tuple[int, int] = (640, 480)
    roll: float = 0.0
    poses: str = "street"

    def describe(self, index: int) -> tuple[View, list[Placed], Roll | None]:
        """Camera and population of a scene, nothing drawn; and the camera's roll."""
        rng = generator(self.seed, index, 0)
        view = draw_view(rng, self.size)
        roll = None
        if self.roll:
            view = widened(view)
            # A stream of its own, so that people and places do not depend on the angle.
            degrees = float(generator(self.seed, index, 5).uniform(-self.roll, self.roll))
            roll = Roll(degrees, view.size, self.size)
        return view, draw_population(rng, view, self.poses), roll

    def measure(self, index: int) -> Boxes:
        """The boxes of a scene without painting it: the same as those of `render`."""
        view, placed, roll = self.describe(index)
        return compose(view, placed, roll=roll)[1]

    def render(self, index: int) -> Sample:
        """One picture with its people."""
        view, placed, roll = self.describe(index)
        clean = paint_scenery(generator(self.seed, index, 1), view)
        _, boxes = compose(view, placed, clean, roll)
        rng = generator(self.seed, index, 2)
        # The sensor is rolled with the camera: its noise and blocks stay upright.
        seen = clean if roll is None else roll.picture(clean)
        sample = make_sample(sensor.expose(seen, sensor.draw_sensor(rng), rng), boxes, index + 1)
        return sample if roll is None else replace(sample, turn=roll.degrees)


def describe(seed: int, index: int, size: tuple[int, int] = (640, 480)) -> tuple[View, list[Placed]]:
    """Camera and population of a scene, nothing drawn."""
    return Series(seed, size).describe(index)[:2]


def measure_scene(seed: int, index: int, size: tuple[int, int] = (640, 480)) -> Boxes:
    """The boxes of a scene without painting it: the same as those of `render_scene`."""
    return Series(seed, size).measure(index)


def box_columns(boxes: Boxes) -> dict[str, np.ndarray]:
    """Boxes as columns.

    Returns:
        full, visible: float64 (n, 4), x1 y1 x2 y2; full unclipped.
        visible_ratio: float64 (n,), area of the visible box over that of the full box, the benchmarks' measure.
        mask_ratio: float64 (n,), pixels seen over pixels of the whole person.
        ignore: bool (n,). label, pose: str (n,). lean: float32 (n,), degrees. joints: float32 (n, 17, 3).
    """
    full = np.array(boxes.full, np.float64).reshape(-1, 4)
    visible = np.array(boxes.visible, np.float64).reshape(-1, 4)
    mask_ratio = np.array(boxes.seen_area, np.float64) / np.array(boxes.full_area, np.float64)
    label = np.array(boxes.label, dtype="<U8")
    hidden = (label == "person") & (mask_ratio < LEAST_SEEN)
    label[hidden] = "ignore"
    return {
        "full": full,
        "visible": visible,
        "visible_ratio": _area(visible) / _area(full),
        "mask_ratio": mask_ratio,
        "ignore": label != "person",
        "label": label,
        "pose": np.array(boxes.pose, dtype="<U12"),
        "lean": np.array(boxes.lean, np.float32),
        "joints": np.array(boxes.joints, np.float32).reshape(-1, JOINTS, 3),
    }


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def make_sample(image: np.ndarray, boxes: Boxes, sample_id: int) -> Sample:
    """A sample of a picture and its boxes, full boxes clipped to the picture."""
    columns = box_columns(boxes)
    height, width = image.shape[:2]
    return Sample(
        image=image,
        boxes=np.clip(columns["full"], 0, (width, height, width, height)).astype(np.float32),
        visible=columns["visible"].astype(np.float32),
        ignore=columns["ignore"],
        visible_ratio=columns["visible_ratio"].astype(np.float32),
        attributes={
            "pose": columns["pose"],
            "lean": columns["lean"],
            "label": columns["label"],
            "mask_ratio": columns["mask_ratio"].astype(np.float32),
        },
        id=sample_id,
        path=None,
        joints=columns["joints"],
    )


def render_scene(seed: int, index: int, size: tuple[int, int] = (640, 480)) -> Sample:
    """One picture with its people, from `seed` and `index` alone.

    Args:
        seed: names the series of pictures.
        index: which picture of the series, from 0; its `id` is index + 1.
        size: width and height in pixels.
    """
    return Series(seed, size).render(index)
