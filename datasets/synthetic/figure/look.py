"""What a person looks like: body, skin, hair, clothes and what is carried, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from upright.datasets.synthetic.drawing.canvas import Colour
from upright.datasets.synthetic.drawing.palette import pick
from upright.datasets.synthetic.figure.poses import Proportions, proportions

SKINS = (
    (244, 208, 184),
    (232, 190, 160),
    (224, 172, 138),
    (198, 146, 112),
    (160, 110, 80),
    (116, 78, 58),
    (84, 58, 46),
)
HAIRS = (
    (24, 20, 18),
    (40, 30, 24),
    (66, 46, 32),
    (96, 68, 44),
    (140, 102, 62),
    (190, 156, 104),
    (150, 74, 40),
    (150, 148, 146),
    (206, 204, 200),
)
# Streets are dressed mostly in dark, grey and blue; bright clothes are the exception.
CLOTHES = (
    *((28, 28, 32), (40, 40, 44), (24, 28, 44), (54, 54, 58), (36, 44, 66), (30, 34, 30), (60, 50, 44)),
    *((84, 86, 90), (118, 118, 120), (150, 150, 150), (196, 194, 190), (232, 230, 226), (240, 240, 242)),
    *((58, 78, 120), (84, 110, 150), (70, 92, 130), (120, 150, 186), (44, 60, 96)),
    *((104, 84, 62), (150, 124, 92), (188, 164, 130), (92, 100, 70), (66, 78, 56)),
    *((150, 36, 40), (190, 60, 56), (110, 30, 44), (206, 150, 60), (226, 200, 80), (50, 110, 80), (90, 60, 110)),
    *((230, 130, 150), (60, 150, 170), (240, 150, 60), (190, 220, 60)),
)
LEGWEAR = (
    *((26, 26, 30), (36, 36, 40), (30, 36, 54), (44, 54, 80), (60, 74, 106), (84, 100, 132), (110, 124, 150)),
    *((70, 66, 62), (104, 96, 84), (150, 138, 116), (84, 84, 86), (130, 130, 128), (52, 46, 42), (200, 198, 194)),
)
SHOES = (
    (24, 22, 22),
    (40, 34, 30),
    (70, 50, 36),
    (110, 80, 56),
    (224, 224, 222),
    (150, 150, 150),
    (60, 60, 90),
    (160, 50, 50),
)


@dataclass(frozen=True)
class Look:
    """One person's appearance; `bag`, `hat`, `hair` and `pattern` name a kind."""

    body: Proportions
    feminine: float
    skin: Colour
    hair: str
    hair_colour: Colour
    hat: str
    hat_colour: Colour
    top: Colour
    pattern: str
    second: Colour
    sleeves: str
    coat: float
    opened: bool
    legs: str
    legs_colour: Colour
    loose: float
    shoes: Colour
    bag: str
    bag_colour: Colour
    umbrella: bool
    beard: bool
    cloth: tuple[int, int]
    faceless: bool = False


def draw_look(rng: np.random.Generator, pose: str = "walking", warm: float = 0.5) -> Look:
    """A random person dressed for the pose; `warm` is the weather, 0 winter to 1 summer."""
    child = float(rng.uniform(0.35, 1.0)) if rng.uniform() < 0.14 and pose != "cycling" else 0.0
    feminine = float(rng.uniform(0, 1))
    stature = rng.normal(1.75 - 0.12 * feminine, 0.07) * (1.0 - 0.42 * child)
    body = proportions(float(np.clip(stature, 0.85, 2.02)), float(np.clip(rng.normal(1.0, 0.13), 0.78, 1.4)), child)
    still = pose in ("standing", "walking", "leaning", "arms_raised")
    winter = rng.uniform() > warm
    legs = rng.choice(("trousers", "shorts", "skirt", "dress"), p=(0.74, 0.12, 0.08, 0.06))
    if winter and legs == "shorts":
        legs = "trousers"
    if not still and legs in ("skirt", "dress"):
        legs = "trousers"
    top = pick(rng, CLOTHES)
    coat = float(rng.choice((0.0, 0.35, 0.75, 1.0), p=(0.55, 0.2, 0.15, 0.1))) if winter and still else 0.0
    pattern = str(
        rng.choice(("plain", "bands", "stripes", "checks", "yoke", "print"), p=(0.6, 0.1, 0.06, 0.08, 0.08, 0.08))
    )
    hair = str(rng.choice(("short", "long", "bun", "tail", "bald"), p=_hair_odds(feminine)))
    return Look(
        body=body,
        feminine=feminine,
        skin=pick(rng, SKINS),
        hair=hair,
        hair_colour=pick(rng, HAIRS),
        hat=str(rng.choice(("none", "cap", "beanie", "brim", "hood", "helmet"), p=_hat_odds(pose, winter))),
        hat_colour=pick(rng, CLOTHES),
        top=top,
        pattern=pattern,
        second=pick(rng, CLOTHES),
        sleeves="long" if winter else str(rng.choice(("long", "short", "none"), p=(0.3, 0.55, 0.15))),
        coat=coat,
        opened=bool(winter and rng.uniform() < 0.4),
        legs=str(legs),
        legs_colour=pick(rng, LEGWEAR if rng.uniform() < 0.85 else CLOTHES),
        loose=float(rng.uniform(0.95, 1.35)),
        shoes=pick(rng, SHOES),
        bag=str(rng.choice(("none", "backpack", "shoulder", "hand", "case"), p=(0.5, 0.17, 0.15, 0.12, 0.06))),
        bag_colour=pick(rng, CLOTHES),
        umbrella=bool(still and rng.uniform() < 0.025),
        beard=bool(feminine < 0.4 and rng.uniform() < 0.35 and child == 0),
        cloth=(int(rng.integers(1024)), int(rng.integers(1024))),
    )


def _hair_odds(feminine: float) -> tuple[float, ...]:
    return (0.18, 0.48, 0.14, 0.2, 0.0) if feminine > 0.5 else (0.82, 0.05, 0.01, 0.02, 0.1)


def _hat_odds(pose: str, winter: bool) -> tuple[float, ...]:
    if pose == "cycling":
        return (0.45, 0.08, 0.02, 0.0, 0.0, 0.45)
    if winter:
        return (0.66, 0.06, 0.14, 0.04, 0.1, 0.0)
    return (0.82, 0.1, 0.02, 0.05, 0.01, 0.0)
