"""Who and what stands where in a view: people singly, in groups and on bicycles, furniture, dummies, posters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from upright.datasets.synthetic.figure import (
    Figure,
    Skeleton,
    body_height,
    body_length,
    build_skeleton,
    draw_figure_at_random,
)
from upright.datasets.synthetic.figure.poses import POSES, SELDOM_POSES
from upright.datasets.synthetic.street.furniture import VARIANTS, Prop
from upright.datasets.synthetic.street.view import View

STREET = dict(zip(POSES, (0.24, 0.32, 0.08, 0.09, 0.06, 0.08, 0.08, 0.05), strict=True))
SELDOM = dict(zip(SELDOM_POSES, (0.13, 0.09, 0.08), strict=True))
# Which poses people have, and how often; "all" adds those that streets seldom see.
MIXTURES = {
    "street": STREET,
    "all": {pose: (1 - sum(SELDOM.values())) * share for pose, share in STREET.items()} | SELDOM,
}
LEAST, MOST = 27.0, 338.0  # heights of people in a picture of 480 rows, a little inside 25 to 350


@dataclass(frozen=True)
class Placed:
    """A person or thing in the picture.

    Attributes:
        what: a figure or a thing.
        scale: pixels a metre at its distance.
        foot: where it stands in the picture.
        depth: its distance in metres; the far ones are drawn first.
        label: person, dummy or poster; empty for things.
    """

    what: Figure | Prop
    scale: float
    foot: tuple[float, float]
    depth: float
    label: str = ""

    @cached_property
    def skeleton(self) -> Skeleton:
        """The joints of a figure."""
        assert isinstance(self.what, Figure), "things have no joints"
        return build_skeleton(self.what)


def draw_population(rng: np.random.Generator, view: View, poses: str = "street") -> list[Placed]:
    """Everybody and everything on the ground of a view; `poses` is one of `MIXTURES`."""
    return draw_surroundings(rng, view) + _people(rng, view, MIXTURES[poses])


def draw_surroundings(rng: np.random.Generator, view: View) -> list[Placed]:
    """Furniture, dummies and posters: all but the people."""
    return _furniture(rng, view) + _deceivers(rng, view)


def _stand(view: View, what: Figure | Prop, x: float, z: float, label: str = "") -> Placed:
    return Placed(what, view.scale(z), view.foot(x, z), z, label)


def _prop(rng: np.random.Generator, kind: str, size: float = 1.0) -> Prop:
    return Prop(kind, int(rng.integers(VARIANTS)), bool(rng.uniform() < 0.5), size * float(rng.uniform(0.9, 1.12)))


def _people(rng: np.random.Generator, view: View, mixture: dict[str, float]) -> list[Placed]:
    poses, odds = list(mixture), list(mixture.values())
    unit = view.unit
    crowd = int(rng.choice(4, p=(0.04, 0.46, 0.36, 0.14)))
    wanted = (0, int(rng.integers(1, 6)), int(rng.integers(5, 11)), int(rng.integers(11, 20)))[crowd]
    nearest = view.focal * 1.7 / (MOST * unit)
    farthest = min(view.far - 0.8, view.focal * 1.7 / (LEAST * unit))
    placed: list[Placed] = []
    for _ in range(6 * wanted):
        if len(placed) >= wanted or farthest <= nearest:
            break
        figure = draw_figure_at_random(rng, str(rng.choice(poses, p=odds)), view.warm)
        if placed and rng.uniform() < 0.38:
            # A companion beside, before or behind somebody who is there, looking the same way.
            friend = placed[int(rng.integers(len(placed)))]
            z = friend.depth + float(rng.normal(0, 0.45))
            x = (friend.foot[0] - view.cx) / friend.scale + float(rng.choice((-1, 1)) * rng.uniform(0.2, 0.9))
            if rng.uniform() < 0.6:
                figure = replace(figure, yaw=(friend.skeleton.figure.yaw + float(rng.normal(0, 12))) % 360)
        else:
            # Sizes in the picture are spread evenly in ratio; the width seen grows with the distance.
            z = float(np.exp(rng.uniform(np.log(nearest), np.log(farthest))))
            x = (float(rng.uniform(-0.03, 1.03)) * view.size[0] - view.cx) / view.scale(z)
        person = _stand(view, figure, x, z, "person") if z > 0.5 else None
        if person is not None and _fits(view, person, x, z):
            placed.append(person)
    return placed


def _fits(view: View, person: Placed, x: float, z: float) -> bool:
    """Inside the walls, of a size between the limits, and with at least a quarter in the picture."""
    tall = person.scale * body_length(person.skeleton)
    width, height = view.size
    inside = view.left + 0.3 <= x <= view.right - 0.3 and z < view.far - 0.5
    sized = LEAST * view.unit <= tall <= MOST * view.unit
    column, row = person.foot
    return bool(inside and sized and row - 0.75 * tall < height and -0.3 * tall < column < width + 0.3 * tall)


def _furniture(rng: np.random.Generator, view: View) -> list[Placed]:
    """Cars at the kerb, trees, lamps and all that stands about."""
    placed: list[Placed] = []
    if view.kind == "street":
        placed += _street_furniture(rng, view)
    elif view.kind == "front":
        placed += _front_furniture(rng, view)
    elif view.kind == "park":
        for _ in range(int(rng.integers(16, 30))):
            kind = "tree" if rng.uniform() < 0.8 else "bare_tree"
            placed += _scatter(rng, view, kind, 0.55, 1.0, float(rng.uniform(0.8, 1.3)))
        for _ in range(int(rng.integers(2, 8))):
            placed += _scatter(rng, view, "bush", 0.3, 1.0)
    elif view.kind == "square":
        for _ in range(int(rng.integers(0, 6))):
            placed += _scatter(rng, view, "tree", 0.4, 0.95)
    loose = ("post", "bollard", "bin", "sign", "planter", "cafe", "bicycle", "rack", "bush", "lamp")
    odds = np.array((3, 3, 3, 1.5, 2, 1.5, 1.5, 1.5, 1, 1))
    if view.kind == "hall":
        odds = np.array((3, 1, 3, 0.5, 3, 0, 0, 4, 0, 0))
    for _ in range(int(rng.poisson(2.2))):
        placed += _scatter(rng, view, str(rng.choice(loose, p=odds / odds.sum())), 0.0, 0.9)
    return placed


def _scatter(
    rng: np.random.Generator, view: View, kind: str, begin: float, end: float, size: float = 1.0
) -> list[Placed]:
    """One thing somewhere between two shares of the depth, counted in ratio; none where it would stand in a wall."""
    nearest = 1.3 * view.near + 1.0
    span = np.log(max(view.far - 0.6, nearest + 1) / nearest)
    z = nearest * float(np.exp(rng.uniform(begin, end) * span))
    x = (float(rng.uniform(-0.05, 1.05)) * view.size[0] - view.cx) / view.scale(z)
    if not view.left + 0.4 < x < view.right - 0.4:
        return []
    return [_stand(view, _prop(rng, kind, size), x, z)]


def _street_furniture(rng: np.random.Generator, view: View) -> list[Placed]:
    placed: list[Placed] = []
    edges = view.kerbs or (view.left + 0.8, view.right - 0.8)
    for x, outward in ((edges[0], -1), (edges[1], 1)):
        kind = str(
            rng.choice(("tree", "bare_tree", "lamp", "bollard", "sign", "none"), p=(0.2, 0.08, 0.22, 0.15, 0.1, 0.25))
        )
        step = float(rng.uniform(2, 4) if kind == "bollard" else rng.uniform(7, 14))
        start = 1.5 * view.near + float(rng.uniform(0, step))
        for z in np.arange(start, min(view.far, 45), step) if kind != "none" else ():
            placed.append(_stand(view, _prop(rng, kind), x + 0.45 * outward, float(z)))
        if view.kerbs and rng.uniform() < 0.6:
            z = 1.6 * view.near + float(rng.uniform(1, 8))
            while z < min(view.far, 50):
                if rng.uniform() < 0.75:
                    placed.append(_stand(view, _prop(rng, "car_rear"), x - 1.1 * outward, z))
                z += float(rng.uniform(5, 7))
    if view.kerbs and rng.uniform() < 0.4:
        z = float(rng.uniform(10, 40))
        placed.append(_stand(view, _prop(rng, "car_rear"), 0.5 * sum(edges) + float(rng.uniform(-1.5, 1.5)), z))
    return placed


def _front_furniture(rng: np.random.Generator, view: View) -> list[Placed]:
    placed: list[Placed] = []
    half = 0.6 * view.size[0] / view.focal
    if view.kerbs:
        begin, end = view.kerbs
        lanes = [(end - 1.0, 0.7, 5.2)]
        if begin > 1.3 * view.near:
            lanes.append((begin + 1.0, 0.25, 6.0))
        for z, chance, step in lanes:
            if rng.uniform() > chance:
                continue
            x = -half * z - float(rng.uniform(0, 5))
            while x < half * z:
                if rng.uniform() < 0.55:
                    placed.append(_stand(view, _prop(rng, "car_side"), x, z))
                x += step * float(rng.uniform(0.92, 1.5))
        edge = end + 0.4
    else:
        edge = view.far - float(rng.uniform(3, 6))
    kind = str(
        rng.choice(("tree", "lamp", "bollard", "sign", "traffic_light", "none"), p=(0.3, 0.2, 0.12, 0.08, 0.05, 0.25))
    )
    step = float(rng.uniform(2, 4) if kind == "bollard" else rng.uniform(5, 12))
    if kind != "none" and edge > 2:
        for x in np.arange(-half * edge + float(rng.uniform(0, step)), half * edge, step):
            placed.append(_stand(view, _prop(rng, kind), float(x), edge))
    return placed


def _deceivers(rng: np.random.Generator, view: View) -> list[Placed]:
    """Shop dummies by the walls and people on posters: neither persons nor background."""
    placed: list[Placed] = []
    if rng.uniform() < 0.12:
        for place in _by_the_wall(rng, view, int(rng.integers(1, 4))):
            placed.append(_stand(view, _dummy(rng), *place, "dummy"))
    if rng.uniform() < 0.1:
        for x, z in _by_the_wall(rng, view, 1):
            board = _stand(view, replace(_prop(rng, "board"), size=1.0, mirrored=False), x, z)
            placed += [board, _poster(rng, view, board)]
    return placed


def _by_the_wall(rng: np.random.Generator, view: View, count: int) -> list[tuple[float, float]]:
    """Places (x, z) close together at the foot of a wall, or anywhere where there is none near."""
    if view.kind in ("street", "hall"):
        x = view.left + 0.6 if rng.uniform() < 0.5 else view.right - 0.6
        z = float(rng.uniform(1.8 * view.near, max(22, 2.2 * view.near)))
        return [(x, z + 0.7 * k) for k in range(count) if abs(view.scale(z) * x) < view.size[0]]
    z = view.far - 0.7 if view.kind == "front" else float(rng.uniform(2 * view.near, max(18, 2.5 * view.near)))
    x = (float(rng.uniform(0.05, 0.9)) * view.size[0] - view.cx) / view.scale(z)
    return [(x + 0.75 * k, z) for k in range(count)]


def _dummy(rng: np.random.Generator) -> Figure:
    """A shop dummy: bald, of one smooth colour, standing still."""
    figure = draw_figure_at_random(rng, "standing", float(rng.uniform()))
    tone = ((236, 232, 226), (196, 170, 146), (60, 58, 58), (170, 170, 172))[int(rng.integers(4))]
    body = figure.look.body
    look = replace(
        figure.look,
        body=replace(body),
        skin=tone,
        shoes=tone,
        hair="bald",
        hat="none",
        bag="none",
        beard=False,
        umbrella=False,
        faceless=True,
    )
    return replace(figure, look=look, roll=0.0, yaw=float(rng.normal(0, 30)) % 360)


def _poster(rng: np.random.Generator, view: View, board: Placed) -> Placed:
    """A person printed on a board, sized to stay on it."""
    figure = draw_figure_at_random(rng, "standing", view.warm)
    figure = replace(
        figure,
        roll=0.0,
        look=replace(figure.look, umbrella=False, bag="none", hat="none"),
        yaw=float(rng.normal(0, 25)) % 360,
    )
    tall = body_height(build_skeleton(figure))
    scale = board.scale * float(rng.uniform(1.3, 1.6)) / tall
    foot = (board.foot[0], board.foot[1] - 0.66 * board.scale)
    return Placed(figure, scale, foot, board.depth - 0.01, "poster")
