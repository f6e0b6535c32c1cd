"""The published protocols: which ground truths and detections each subset of a benchmark counts.

A new protocol is one new entry of `PROTOCOLS`, a new subset one new entry of its protocol. docs/protocols.md
explains them to a newcomer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

import numpy as np

from upright.datasets.sample import Annotations
from upright.errors import InputError


@dataclass(frozen=True)
class Subset:
    """What one row of a benchmark's table evaluates.

    Attributes:
        heights: low and high, in pixels; low belongs, whether high does is the protocol's rule.
        visibility: low and high visible ratio; both belong. Infinite: nothing is hidden.
        threshold: the least overlap of a match.
        expansion: detections from low / expansion to high x expansion take part.
    """

    heights: tuple[float, float]
    visibility: tuple[float, float]
    threshold: float = 0.5
    expansion: float = 1.25


@dataclass(frozen=True)
class Protocol:
    """The rules of one benchmark.

    Attributes:
        name: as the command line calls it.
        subsets: by name, in the order of the table.
        main: those of the benchmark's own tables, which are plotted where nothing else is asked for.
        reference_points: false positives per image at which the miss rate is read.
        final_recall_before_first_point: below its first false positive rate the curve reads its last value, as
            CityPersons' program does by an index of -1; otherwise it reads a recall of 0.
        detections_per_image: the best-scored ones a picture that are looked at, or None for all.
        detections_aspect: width over height that detections are given about their centre, or None.
        high_belongs: a ground truth exactly as high as the upper limit is evaluated.
        border: x1, y1, x2, y2 that an evaluated box of Caltech's own files may not leave, or None.
        truths_aspect: width over height that evaluated boxes of those are given about their centre.
    """

    name: str
    subsets: dict[str, Subset]
    main: tuple[str, ...]
    reference_points: tuple[float, ...]
    final_recall_before_first_point: bool = False
    detections_per_image: int | None = None
    detections_aspect: float | None = None
    high_belongs: bool = False
    border: tuple[float, float, float, float] | None = None
    truths_aspect: float = 0.41

    def choose(self, names: Iterable[str] | None) -> dict[str, Subset]:
        """The subsets of these names, or all; raises InputError for a name that the protocol has not."""
        if names is None:
            return self.subsets
        chosen = {}
        for name in names:
            if name not in self.subsets:
                raise InputError(f"protocol {self.name} has no subset {name!r}; choose among {', '.join(self.subsets)}")
            chosen[name] = self.subsets[name]
        return chosen


_TALL = 1e10  # CityPersons' program writes its open ends so, and both ends belong

CITYPERSONS = Protocol(
    name="citypersons",
    subsets={
        "Reasonable": Subset((50, _TALL), (0.65, _TALL)),
        "Small": Subset((50, 75), (0.65, _TALL)),
        "Heavy": Subset((50, _TALL), (0.2, 0.65)),
        "All": Subset((20, _TALL), (0.2, _TALL)),
        # Not in the benchmark's program, but in others, there under names that would clash with the above.
        "Bare": Subset((50, _TALL), (0.9, _TALL)),
        "Partial": Subset((50, _TALL), (0.65, 0.9)),
        "Heavy_0_65": Subset((50, _TALL), (0, 0.65)),
    },
    main=("Reasonable", "Small", "Heavy", "All"),
    reference_points=(0.01, 0.0178, 0.0316, 0.0562, 0.1, 0.1778, 0.3162, 0.5623, 1.0),
    final_recall_before_first_point=True,
    detections_per_image=1000,
    high_belongs=True,
)

CALTECH = Protocol(
    name="caltech",
    subsets={
        "Reasonable": Subset((50, inf), (0.65, inf)),
        "All": Subset((20, inf), (0.2, inf)),
        "Scale=large": Subset((100, inf), (inf, inf)),
        "Scale=near": Subset((80, inf), (inf, inf)),
        "Scale=medium": Subset((30, 80), (inf, inf)),
        "Scale=far": Subset((20, 30), (inf, inf)),
        "Occ=none": Subset((50, inf), (inf, inf)),
        "Occ=partial": Subset((50, inf), (0.65, 1)),
        "Occ=heavy": Subset((50, inf), (0.2, 0.65)),
        "Overlap=25": Subset((50, inf), (0.65, inf), threshold=0.25),
        "Overlap=50": Subset((50, inf), (0.65, inf), threshold=0.5),
        "Overlap=75": Subset((50, inf), (0.65, inf), threshold=0.75),
        "Expand=100": Subset((50, inf), (0.65, inf), expansion=1.0),
        "Expand=125": Subset((50, inf), (0.65, inf), expansion=1.25),
        "Expand=150": Subset((50, inf), (0.65, inf), expansion=1.5),
    },
    main=(
        "Reasonable",
        "All",
        "Scale=large",
        "Scale=near",
        "Scale=medium",
        "Scale=far",
        "Occ=none",
        "Occ=partial",
        "Occ=heavy",
    ),
    reference_points=tuple(10.0 ** (-2 + quarter / 4) for quarter in range(9)),
    detections_aspect=0.41,
    border=(5, 5, 635, 475),
    truths_aspect=0.41,
)

PROTOCOLS = {protocol.name: protocol for protocol in (CITYPERSONS, CALTECH)}


def find_protocol(name: str) -> Protocol:
    """The protocol of that name; raises InputError where there is none."""
    if name not in PROTOCOLS:
        raise InputError(f"unknown protocol {name!r}; choose among {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


@dataclass(frozen=True)
class GroundTruths:
    """The ground truths of a data set, as a protocol reads them: persons alone, by picture.

    Attributes:
        image: int64 (n,), the picture, rising.
        boxes: float64 (n, 4), x y w h as stored.
        evaluated_boxes: float64 (n, 4), the shape in which an evaluated one counts, or None: as stored.
        candidate: bool (n,), may be evaluated, if a subset's ranges admit it.
        height: float64 (n,).
        visibility: float64 (n,), the ratio.
        unhidden: bool (n,), nothing is hidden: what a range of infinite visibility asks for.
        row: int64 (n,), row of the annotations.
    """

    image: np.ndarray
    boxes: np.ndarray
    evaluated_boxes: np.ndarray | None
    candidate: np.ndarray
    height: np.ndarray
    visibility: np.ndarray
    unhidden: np.ndarray
    row: np.ndarray

    def evaluated(self, protocol: Protocol, subset: Subset) -> np.ndarray:
        """bool (n,): the ground truths that a detector must find in this subset; the others are ignored."""
        (low, high), (least, most) = subset.heights, subset.visibility
        below = self.height <= high if protocol.high_belongs else self.height < high
        seen = self.unhidden if np.isinf(least) else (self.visibility >= least) & (self.visibility <= most)
        return self.candidate & (self.height >= low) & below & seen


def is_caltech(annotations: Annotations) -> bool:
    """Whether these are Caltech's own files, original or new, which leave border and shape to the protocol.

    `upright.datasets.caltech` alone tells who is not hidden at all. The JSON files in circulation have border and
    shape in them already: all but one of the boxes that their version without the border rule has more do cross the
    border.
    """
    return "unhidden" in annotations.attributes


def ground_truths(annotations: Annotations, protocol: Protocol, position: np.ndarray) -> GroundTruths:
    """What a protocol makes of a data set's annotations.

    Args:
        annotations: of the data set.
        protocol: the rules.
        position: int64 (m,), the place of each picture in the order of the evaluation.
    """
    row = np.flatnonzero(annotations.category == 1)
    image = position[annotations.image_index[row]]
    order = np.argsort(image, kind="stable")
    row, image = row[order], image[order]

    boxes = annotations.boxes[row]
    candidate = ~annotations.ignore[row]
    visibility = annotations.visible_ratio[row]
    evaluated_boxes = None
    if protocol.border is not None and is_caltech(annotations):
        unhidden = annotations.attributes["unhidden"][row]
        candidate &= _inside(boxes, protocol.border)
        evaluated_boxes = with_aspect(boxes, protocol.truths_aspect)
    else:
        # Elsewhere a ratio of 1 is all that files have to say "nothing is hidden".
        visibility = np.where(np.isinf(visibility), 1.0, visibility)
        unhidden = visibility == 1
    return GroundTruths(
        image=image,
        boxes=boxes,
        evaluated_boxes=evaluated_boxes,
        candidate=candidate,
        height=annotations.height[row],
        visibility=visibility,
        unhidden=unhidden,
        row=row,
    )


def _inside(boxes: np.ndarray, border: tuple[float, float, float, float]) -> np.ndarray:
    left, top, right, bottom = border
    x, y, width, height = boxes.T
    return (x >= left) & (y >= top) & (x + width <= right) & (y + height <= bottom)


def with_aspect(boxes: np.ndarray, aspect: float) -> np.ndarray:
    """Boxes float64 (k, 4), x y w h, with w := aspect x h about their centre."""
    # Through the difference, as the official program does: the last bit decides at an overlap of exactly 0.5.
    difference = boxes[:, 3] * aspect - boxes[:, 2]
    reshaped = boxes.copy()
    reshaped[:, 0] -= difference / 2
    reshaped[:, 2] += difference
    return reshaped
