"""Posed pedestrians whose class is what they wear and carry, written as CUB-200-2011 is distributed.

They stand in where the birds cannot be had: one person somewhere in a square picture, by the renderer of
`upright.datasets.synthetic`. The class is the combination of headgear, colour of the upper clothes, colour of the
lower clothes and what hangs from the right hand, 24 in all: no single part of the body tells it.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from upright.datasets.synthetic import sensor
from upright.datasets.synthetic.composition import compose
from upright.datasets.synthetic.drawing.palette import pick
from upright.datasets.synthetic.figure import Figure, body_height, build_skeleton, draw_figure_at_random
from upright.datasets.synthetic.population import Placed
from upright.datasets.synthetic.scene import generator
from upright.datasets.synthetic.street.scenery import paint_scenery
from upright.datasets.synthetic.street.view import View, draw_view
from upright.errors import InputError
from upright.experiments.parts.birds import FOLDER, Birds, write_tables
from upright.output import whole_file

SIDE = 256  # pixels of a picture

HEADGEAR = ("bare", "beanie", "brim")
HATS = ((226, 200, 80), (190, 60, 56), (240, 240, 242), (60, 150, 170), (230, 130, 150))  # no colours of hair
UPPER = {"red": ((176, 44, 46), (200, 74, 60), (140, 32, 48)), "blue": ((52, 74, 136), (76, 108, 168), (40, 60, 110))}
LOWER = {
    "blue": ((44, 58, 104), (66, 86, 136), (84, 110, 160)),
    "sand": ((176, 150, 112), (150, 126, 92), (200, 178, 142)),
}
CARRIED = ("empty", "bag")
CLASSES = tuple(itertools.product(HEADGEAR, UPPER, LOWER, CARRIED))
ATTRIBUTES = ("headgear", "upper", "lower", "carried")

# Points of the layout and the joints they are; ears are added to them.
POINTS = {
    "crown": "crown",
    "chin": "chin",
    "neck": "neck",
    **{f"{side} {joint}": f"{joint}_{side[0]}" for joint in ("shoulder", "hip", "knee", "toe", "hand")
       for side in ("left", "right")},
}  # fmt: skip


def attributes_right(predicted: np.ndarray, labels: np.ndarray) -> list[float]:
    """In which shares of pictures headgear, upper, lower and carried follow from the classes (n,) predicted."""
    return (np.array(CLASSES)[predicted] == np.array(CLASSES)[labels]).mean(axis=0).tolist()


def draw_person(rng: np.random.Generator, label: int) -> Figure:
    """Somebody standing, walking or leaning, seen from in front or behind, dressed for a class of `CLASSES`."""
    headgear, upper, lower, carried = CLASSES[label]
    figure = draw_figure_at_random(rng, str(rng.choice(("standing", "walking", "leaning"))))
    look = replace(
        figure.look,
        hat="none" if headgear == "bare" else headgear,
        hat_colour=pick(rng, HATS),
        top=pick(rng, UPPER[upper]),
        pattern="plain",
        coat=0.0,
        opened=False,
        legs="trousers",
        legs_colour=pick(rng, LOWER[lower]),
        bag="hand" if carried == "bag" else "none",
        umbrella=False,
    )
    # From the side, or bent in front of somebody seen from behind, the hand would not be seen.
    yaw = float(rng.choice((0.0, 180.0))) + float(rng.normal(0, 25))
    posture = figure.posture
    hanging = replace(
        posture,
        shoulder=(posture.shoulder[0], float(rng.uniform(-15, 15))),
        elbow=(posture.elbow[0], float(rng.uniform(5, 25))),
        lift=(posture.lift[0], float(rng.uniform(10, 18))),
    )
    return replace(figure, look=look, yaw=yaw % 360, posture=hanging)


def draw_scene(rng: np.random.Generator, label: int) -> tuple[View, Placed]:
    """A camera and, somewhere in its picture, a person of 0.6 to 0.8 of the picture's height."""
    figure = draw_person(rng, label)
    skeleton = build_skeleton(figure)
    scale = float(rng.uniform(0.6, 0.8)) * SIDE / body_height(skeleton)
    margin = 0.07 * figure.look.body.stature
    low, high = scale * (skeleton.points.min(axis=0) - margin), scale * (skeleton.points.max(axis=0) + margin)
    x = float(rng.uniform(-low[0], max(-low[0], SIDE - high[0])))
    y = float(rng.uniform(high[1], max(high[1], SIDE + low[1])))
    view = draw_view(rng, (SIDE, SIDE))
    camera = min(view.camera, float(rng.uniform(1.0, 2.0)))
    # The horizon at which a person of this size stands on the ground where this one does.
    view = replace(view, camera=camera, horizon=y - camera * scale)
    return view, Placed(figure, scale, (x, y), view.focal / scale, "person")


def locate(placed: Placed) -> dict[str, np.ndarray]:
    """Where the points of a person are in the picture, (2,) each, in pixels."""
    skeleton = placed.skeleton
    places = {name: skeleton[joint][:2] for name, joint in POINTS.items()}
    along = places["crown"] - places["chin"]
    across = 0.4 * skeleton.figure.look.body.head * np.array((along[1], -along[0])) / np.hypot(*along)
    places |= {"left ear": skeleton["head"][:2] + across, "right ear": skeleton["head"][:2] - across}
    return {name: np.array(placed.foot) + placed.scale * place * (1, -1) for name, place in places.items()}


def write_pedestrians(root: Path, train: int, test: int, seed: int = 0) -> None:
    """Write pictures and tables below root/CUB_200_2011, unless they stand there.

    Classes take turns, picture k is drawn from (seed, k) alone, and pictures of a run that was stopped are kept.

    Raises:
        InputError: the folder holds others.
    """
    folder = root / FOLDER
    said = f"{train} to train on, {test} to test, seed {seed}\n"
    mark = folder / "pedestrians.txt"
    if folder.exists() and (not mark.exists() or mark.read_text() != said):
        raise InputError(f"{folder} holds other pictures than {said.strip()}: choose another folder for --made")
    if (folder / "images.txt").exists():
        return
    with whole_file(mark) as temporary:
        temporary.write_text(said)
    paths, boxes, locations = [], [], []
    names = [f"{k:03}.{'_'.join(parts)}" for k, parts in enumerate(CLASSES, start=1)]
    for index in tqdm(range(train + test), desc="pedestrians"):
        label = index % len(CLASSES)
        view, placed = draw_scene(generator(seed, index, 0), label)
        paths.append(f"{names[label]}/{index:05}.jpg")
        file = folder / "images" / paths[-1]
        picture = None if file.exists() else paint_scenery(generator(seed, index, 1), view)
        _, found = compose(view, [placed], picture)
        if picture is not None:
            rng = generator(seed, index, 2)
            picture = sensor.expose(picture, sensor.draw_sensor(rng), rng)
            with whole_file(file) as temporary:
                cv2.imwrite(str(temporary), picture[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 92))
        x1, y1, x2, y2 = found.full[0]
        boxes.append((x1, y1, x2 - x1, y2 - y1))
        locations.append(list(locate(placed).values()))
    everything = np.arange(train + test)
    write_tables(
        Birds(
            folder=folder,
            paths=paths,
            labels=everything % len(CLASSES),
            train=everything < train,
            boxes=np.array(boxes, np.float64),
            locations=np.array(locations),
            points=[*POINTS, "left ear", "right ear"],
            classes=names,
        )
    )
