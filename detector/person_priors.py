"""Where transformers start to read a person: parts of an upright body in the frame of its box."""

from __future__ import annotations

from typing import Literal

PersonPart = Literal["whole", "head", "torso", "legs"]

# Half width, half height, centre x and centre y of each part; the box itself spans -1 to 1.
PERSON_PRIORS: dict[PersonPart, tuple[float, float, float, float]] = {
    "whole": (1.0, 1.0, 0.0, 0.0),
    "head": (0.7, 0.4, 0.0, -0.6),  # with the shoulders
    "torso": (0.8, 0.45, 0.0, -0.15),
    "legs": (0.9, 0.5, 0.0, 0.5),
}

# The same in a square as high as the box, where frames of parts are: without the air beside an upright person.
SQUARE_PRIORS: dict[PersonPart, tuple[float, float, float, float]] = {
    "whole": (0.5, 1.0, 0.0, 0.0),
    "head": (0.18, 0.2, 0.0, -0.75),
    "torso": (0.3, 0.35, 0.0, -0.25),
    "legs": (0.3, 0.5, 0.0, 0.4),
}
