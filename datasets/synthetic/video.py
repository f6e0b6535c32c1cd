"""A video with a fixed camera: people walk, run, lean and cycle through a scene while others stand and sit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import atan2, degrees, hypot, pi, sin
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from upright.datasets.synthetic import sensor
from upright.datasets.synthetic.composition import compose
from upright.datasets.synthetic.figure import Figure, body_height, build_skeleton, draw_figure_at_random
from upright.datasets.synthetic.figure.poses import cycling, running, walking
from upright.datasets.synthetic.population import MOST, Placed, draw_surroundings
from upright.datasets.synthetic.scene import box_columns, generator
from upright.datasets.synthetic.street.scenery import paint_scenery
from upright.datasets.synthetic.street.view import View, draw_view
from upright.errors import InputError
from upright.output import whole_file

# Metres a second, and metres a turn of the legs or cranks as shares of the stature.
_GAITS = {"walking": (1.35, 0.86), "leaning": (1.0, 0.8), "running": (3.2, 1.5), "cycling": (3.8, 2.6)}


@dataclass(frozen=True)
class Walker:
    """Somebody on a straight way.

    Attributes:
        figure: the person; posture and roll are replaced as time goes by.
        start: (x, z) in metres at time 0.
        velocity: (x, z) in metres a second; zero for those who stay.
        phase: turns of the legs at time 0.
        sway: largest change of the roll in degrees, and its period in seconds.
    """

    figure: Figure
    start: tuple[float, float]
    velocity: tuple[float, float]
    phase: float
    sway: tuple[float, float]

    def place(self, time: float) -> tuple[float, float]:
        """Where on the ground, (x, z), at a time in seconds."""
        return self.start[0] + self.velocity[0] * time, self.start[1] + self.velocity[1] * time

    def pose(self, time: float) -> Figure:
        """The figure at a time in seconds."""
        figure = self.figure
        roll = figure.roll + self.sway[0] * sin(2 * pi * (time / self.sway[1] + self.phase))
        roll = max(-45.0, min(45.0, roll))
        speed = hypot(*self.velocity)
        posture = figure.posture
        if speed > 0:
            turns = self.phase + speed * time / (_GAITS[figure.pose][1] * figure.look.body.stature)
            if figure.pose == "cycling":
                posture = cycling(turns, figure.look.body, figure.posture.trunk)
            elif figure.pose == "running":
                posture = running(turns)
            else:
                posture = walking(turns, min(1.1, speed / 1.25))
        return replace(figure, posture=posture, roll=roll)


def render_video(
    path: str | Path,
    *,
    seed: int = 0,
    seconds: float = 8.0,
    fps: float = 25.0,
    size: tuple[int, int] = (640, 480),
    progress: bool = True,
) -> list[dict[str, np.ndarray]]:
    """Render a video (mp4) of people moving through a street; the same seed gives the same video.

    Args:
        path: where to write it; nothing stands there before the video is whole.
        seed: names the scene and its people.
        seconds: its length.
        fps: frames a second.
        size: width and height in pixels, both even.
        progress: shows a progress bar on stderr.

    Returns:
        A dict for each frame with columns of length n: `boxes` and `visible` (float32 (n, 4), x1 y1 x2 y2, full
        boxes clipped to the picture), `visible_ratio`, `mask_ratio`, `ignore`, `label`, `pose`, `lean`, `joints`
        (float32 (n, 17, 3), x y v), and `track` (int64, the same number for the same person in every frame).

    Raises:
        InputError: less than one frame, a size that cannot be encoded, or no encoder.
    """
    path = Path(path)
    frames = round(seconds * fps)
    if frames < 1 or not fps > 0:
        raise InputError(f"{path}: {seconds} s at {fps} frames a second is not even one frame; ask for more")
    if min(size) < 96 or size[0] % 2 or size[1] % 2:
        raise InputError(f"{path}: size {size[0]} x {size[1]} cannot be encoded; use even sides of at least 96")
    rng = generator(seed, 0, 3)
    view = _video_view(rng, size)
    standing = draw_surroundings(rng, view)
    walkers = _draw_walkers(rng, view, seconds)
    stage = paint_scenery(rng, view)
    camera = replace(sensor.draw_sensor(rng), motion=0, quality=0)

    tables = []
    with whole_file(path) as temporary:
        writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
        try:
            if not writer.isOpened():
                raise InputError(f"{path}: cannot be written as mp4; check the folder and OpenCV's video support")
            for frame in tqdm(range(frames), desc="rendering", unit="frame", disable=not progress):
                table, image = _render_frame(view, stage, standing, walkers, frame / fps)
                image = sensor.expose(image, camera, generator(seed, frame, 4))
                writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
                tables.append(table)
        finally:
            writer.release()
    return tables


def _render_frame(
    view: View, stage: np.ndarray, standing: list[Placed], walkers: list[Walker], time: float
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    placed = list(standing)
    tracks = [-1] * len(standing)
    for number, walker in enumerate(walkers):
        x, z = walker.place(time)
        placed.append(Placed(walker.pose(time), view.scale(z), view.foot(x, z), z, "person"))
        tracks.append(number)
    image = stage.copy()
    _, boxes = compose(view, placed, image)
    columns = box_columns(boxes)
    width, height = view.size
    table = {
        "boxes": np.clip(columns.pop("full"), 0, (width, height, width, height)).astype(np.float32),
        "visible": columns.pop("visible").astype(np.float32),
        **columns,
        "track": np.array([tracks[k] for k in boxes.source], np.int64),
    }
    return table, image


def _video_view(rng: np.random.Generator, size: tuple[int, int]) -> View:
    """A street, front or square with room for people to walk across the picture."""
    while True:
        view = draw_view(rng, size)
        clear = view.haze == 0 or view.haze > 150
        if clear and view.kind in ("street", "front", "square") and view.right - view.left > 8 and view.far > 10:
            return view


def _draw_walkers(rng: np.random.Generator, view: View, seconds: float) -> list[Walker]:
    """About nine people on their ways and two who stay."""
    plan = ["walking"] * 4 + ["leaning"] * 2 + ["cycling", "cycling", "running", "standing", "sitting"]
    nearest = view.focal * 1.7 / (0.8 * MOST * view.unit)
    walkers: list[Walker] = []
    for pose in plan:
        for _ in range(60):
            walker = _draw_walker(rng, view, pose, seconds, nearest)
            if _stays_inside(view, walker, seconds, nearest):
                walkers.append(walker)
                break
    return walkers


def _draw_walker(rng: np.random.Generator, view: View, pose: str, seconds: float, nearest: float) -> Walker:
    figure = draw_figure_at_random(rng, pose, view.warm)
    figure = replace(figure, look=replace(figure.look, umbrella=False))
    farthest = min(view.far - 1.0, 4.5 * nearest)
    z = float(np.exp(rng.uniform(np.log(nearest), np.log(max(farthest, nearest * 1.05)))))
    x = (float(rng.uniform(0.1, 0.9)) * view.size[0] - view.cx) / view.scale(z)
    sway = (float(rng.uniform(0.5, 2.0)), float(rng.uniform(2, 5)))
    if pose == "leaning":
        sway = (float(rng.uniform(8, 16)), float(rng.uniform(3, 6)))
    if pose not in _GAITS:
        return Walker(figure, (x, z), (0.0, 0.0), float(rng.uniform()), (sway[0] * 0.5, sway[1]))
    speed = _GAITS[pose][0] * float(rng.uniform(0.8, 1.15))
    along = view.kind == "street" and rng.uniform() < 0.6
    heading = float(rng.choice((0.0, pi) if along else (pi / 2, -pi / 2)) + rng.normal(0, 0.12))
    velocity = (speed * float(np.sin(heading)), -speed * float(np.cos(heading)))
    middle = float(rng.uniform(0.1, 0.9)) * seconds
    start = (x - velocity[0] * middle, z - velocity[1] * middle)
    yaw = degrees(atan2(velocity[0], -velocity[1])) % 360
    return Walker(replace(figure, yaw=yaw), start, velocity, float(rng.uniform()), sway)


def _stays_inside(view: View, walker: Walker, seconds: float, nearest: float) -> bool:
    """Whether the way leads through no wall, not too near and not out of the ground, while it can be seen."""
    tall = body_height(build_skeleton(walker.figure))
    for time in np.linspace(0, seconds, 25):
        x, z = walker.place(float(time))
        if z < 0.8 * nearest or z > view.far - 0.6:
            return False
        column, _ = view.foot(x, z)
        reach = tall * view.scale(z)
        in_view = -reach < column < view.size[0] + reach
        if in_view and not view.left + 0.4 < x < view.right - 0.4:
            return False
    return True
