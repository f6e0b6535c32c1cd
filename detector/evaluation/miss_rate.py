"""Log-average miss rate: the curve of each subset, read at nine points.

After P. Dollar et al. (PAMI 2012, section 3.2) and S. Zhang et al. (CVPR 2017), to the last digit of the
benchmarks' own programs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from upright.datasets.sample import Annotations
from upright.detector.evaluation.caltech_results import caltech_frames
from upright.detector.evaluation.detections import Detections
from upright.detector.evaluation.matching import DROPPED, FALSE_POSITIVE, match
from upright.detector.evaluation.protocols import (
    CALTECH,
    GroundTruths,
    Protocol,
    Subset,
    find_protocol,
    ground_truths,
    with_aspect,
)


@dataclass(frozen=True)
class Curve:
    """What a detector attains as its threshold falls, one entry a detection that counts.

    Attributes:
        fppi: float64 (c,), false positives per image, rising.
        miss_rate: float64 (c,), 1 - recall, falling.
        scores: float64 (c,), the threshold, falling.
    """

    fppi: np.ndarray
    miss_rate: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class SubsetResult:
    """The figures of one subset.

    Attributes:
        lamr: log-average miss rate in 0..1 as the benchmark's program gives it; NaN with no evaluated box.
        lamr_corrected: the same with a recall of 0 where the curve has no point yet.
        recall: at the reference points, as published; None with no evaluated box.
        fppi: the reference points; None with no evaluated box.
        ground_truths: how many boxes are evaluated.
        detections: how many take part, after the height filter and before matching.
        curve: None with no evaluated box.
    """

    lamr: float
    lamr_corrected: float
    recall: tuple[float, ...] | None
    fppi: tuple[float, ...] | None
    ground_truths: int
    detections: int
    curve: Curve | None = field(repr=False, default=None)

    def to_json(self) -> dict[str, Any]:
        """The entry of `evaluate --json`; null where there is no figure."""
        known = self.recall is not None
        return {
            "lamr": self.lamr if known else None,
            "lamr_corrected": self.lamr_corrected if known else None,
            "recall": None if self.recall is None else list(self.recall),
            "fppi": None if self.fppi is None else list(self.fppi),
            "ground_truths": self.ground_truths,
            "detections": self.detections,
        }


@dataclass(frozen=True)
class Result:
    """The figures of one detector on one data set.

    Attributes:
        protocol: its name.
        images: how many pictures, with or without people.
        seconds: from loaded arrays to these figures.
        subsets: by name, in the protocol's order.
    """

    protocol: str
    images: int
    seconds: float
    subsets: dict[str, SubsetResult]

    def to_json(self) -> dict[str, Any]:
        """The object that `evaluate --json` writes, without what other measures add."""
        return {
            "protocol": self.protocol,
            "images": self.images,
            "seconds": self.seconds,
            "subsets": {name: subset.to_json() for name, subset in self.subsets.items()},
        }


def evaluate(
    annotations: Annotations,
    detections: Detections,
    protocol: str = "citypersons",
    *,
    detections_aspect: float | None = None,
    subsets: Iterable[str] | None = None,
) -> Result:
    """Log-average miss rate of detections, exactly as a benchmark counts it.

    Args:
        annotations: of the data set.
        detections: of the same pictures.
        protocol: "citypersons" or "caltech".
        detections_aspect: width over height that detections are given about their centre before all else; 0
            leaves them as they are; None does as the protocol says.
        subsets: names of the protocol's subsets; None for all.

    Raises:
        InputError: unknown protocol or subset.
    """
    rules = find_protocol(protocol)
    chosen = rules.choose(subsets)
    start = time.perf_counter()
    comparison = Comparison.of(annotations, detections, rules, detections_aspect)
    cases = [(subset, comparison.truths.evaluated(rules, subset)) for subset in chosen.values()]
    figures = comparison.figures(cases)
    seconds = time.perf_counter() - start
    return Result(rules.name, len(annotations.image_ids), seconds, dict(zip(chosen, figures, strict=True)))


def picture_order(annotations: Annotations, protocol: Protocol) -> np.ndarray:
    """int64 (m,), the place of each picture when they are joined, which decides the order of equal scores.

    CityPersons: by rising id. Caltech: by set, video and frame, or by id where the names do not tell them.
    """
    keys: list[Any] = list(annotations.image_ids)
    if protocol is CALTECH:
        keys = caltech_frames(annotations) or keys
    try:
        order = sorted(range(len(keys)), key=keys.__getitem__)
    except TypeError:  # numbers beside names: no order but the file's
        order = list(range(len(keys)))
    position = np.empty(len(keys), np.int64)
    position[order] = np.arange(len(keys))
    return position


@dataclass(frozen=True)
class Comparison:
    """Detections beside the ground truths of a data set, sorted for matching, before any subset is chosen.

    Attributes:
        protocol: the rules.
        images: how many pictures.
        truths: the ground truths.
        image: int64 (k,), picture of each detection, rising.
        boxes: float64 (k, 4), x y w h, as they are matched; in a picture by falling score.
        scores: float64 (k,).
        row: int64 (k,), row of each detection in `Detections`.
        by_score: int64 (k,), all of them by falling score; of equal scores those of earlier pictures first.
    """

    protocol: Protocol
    images: int
    truths: GroundTruths
    image: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    row: np.ndarray
    by_score: np.ndarray

    @classmethod
    def of(
        cls,
        annotations: Annotations,
        detections: Detections,
        protocol: Protocol,
        detections_aspect: float | None = None,
    ) -> Comparison:
        """Sort, reshape and cut as the protocol says; arguments as in `evaluate`."""
        position = picture_order(annotations, protocol)
        image = position[detections.image_index]
        # Joined in the order of the pictures, then by falling score; and from that by picture again. Both sorts
        # are stable, so equal scores stay in the order of the file.
        joined = _by_picture(image)
        joined = joined[np.argsort(-detections.scores[joined], kind="stable")]
        back = _by_picture(image[joined])
        row = joined[back]
        image = image[row]
        by_score = np.empty(len(row), np.int64)
        by_score[back] = np.arange(len(row))
        if protocol.detections_per_image is not None:
            counts = np.bincount(image, minlength=len(position))
            rank = np.arange(len(image)) - (np.cumsum(counts) - counts)[image]
            best = rank < protocol.detections_per_image
            if not best.all():
                by_score = (np.cumsum(best) - 1)[by_score[best[by_score]]]
                row, image = row[best], image[best]
        boxes = detections.boxes[row]
        aspect = protocol.detections_aspect if detections_aspect is None else detections_aspect
        if aspect:
            boxes = with_aspect(boxes, aspect)
        return cls(
            protocol=protocol,
            images=len(annotations.image_ids),
            truths=ground_truths(annotations, protocol, position),
            image=image,
            boxes=boxes,
            scores=detections.scores[row],
            row=row,
            by_score=by_score,
        )

    def kept(self, subset: Subset) -> np.ndarray:
        """bool (k,): the detections that a subset's height filter lets through."""
        low, high = subset.heights
        height = self.boxes[:, 3]
        return (height >= low / subset.expansion) & (height < high * subset.expansion)

    def match(self, cases: list[tuple[Subset, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        """Match for several questions at once.

        Args:
            cases: a subset's rules and bool (n,), which ground truths count as evaluated.

        Returns:
            bool (s, k), the detections that take part; int64 (s, k), what they found, as `matching.match` has it.
        """
        kept = np.array([self.kept(subset) for subset, _ in cases])
        found = match(
            self.boxes,
            self.image,
            self.truths.boxes,
            self.truths.image,
            kept=kept,
            evaluated=np.array([evaluated for _, evaluated in cases]),
            thresholds=np.array([subset.threshold for subset, _ in cases]),
            evaluated_truths=self.truths.evaluated_boxes,
        )
        return kept, found

    def figures(self, cases: list[tuple[Subset, np.ndarray]]) -> list[SubsetResult]:
        """The figures of several questions, asked as in `match`."""
        if not cases:
            return []
        kept, found = self.match(cases)
        results = []
        for (_, evaluated), taking_part, outcome in zip(cases, kept, found, strict=True):
            # One order for all subsets: what is left out does not change the order of the rest.
            counted = self.by_score[outcome[self.by_score] != DROPPED]
            results.append(
                self._figures(
                    outcome[counted] != FALSE_POSITIVE,
                    self.scores[counted],
                    ground_truths=int(evaluated.sum()),
                    detections=int(taking_part.sum()),
                )
            )
        return results

    def _figures(self, true: np.ndarray, scores: np.ndarray, ground_truths: int, detections: int) -> SubsetResult:
        """Figures of detections by falling score, of which those in `true` found somebody."""
        if not ground_truths:
            nan = float("nan")
            return SubsetResult(nan, nan, None, None, ground_truths, detections)
        found = np.cumsum(true)
        fppi = (np.arange(1, len(true) + 1) - found) / self.images
        recall = found / ground_truths
        points = np.array(self.protocol.reference_points)
        index = np.searchsorted(fppi, points, side="right") - 1
        corrected = np.where(index >= 0, np.append(recall, 0.0)[index], 0.0)
        published = corrected
        if self.protocol.final_recall_before_first_point and len(recall):
            published = recall[index]
        return SubsetResult(
            lamr=log_average(1 - published),
            lamr_corrected=log_average(1 - corrected),
            recall=tuple(published.tolist()),
            fppi=tuple(points.tolist()),
            ground_truths=ground_truths,
            detections=detections,
            curve=Curve(fppi, 1 - recall, scores),
        )


def _by_picture(image: np.ndarray) -> np.ndarray:
    """int64 (k,): a stable order by picture."""
    # NumPy sorts 16-bit integers without comparisons, in a tenth of the time.
    fits = len(image) and int(image.max()) < 1 << 16
    return np.argsort(image.astype(np.uint16) if fits else image, kind="stable")


def log_average(miss_rates: np.ndarray) -> float:
    """exp of the mean logarithm; one miss rate of 0 makes it 0."""
    with np.errstate(divide="ignore"):
        return float(np.exp(np.mean(np.log(miss_rates))))
