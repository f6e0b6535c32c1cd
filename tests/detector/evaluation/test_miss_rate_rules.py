"""The vectorised evaluation against the written rules, applied one picture and one box at a time."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upright.datasets.coco import read_annotations
from upright.datasets.sample import Annotations
from upright.detector.evaluation import Detections, evaluate

INF = math.inf
CITYPERSONS_RANGES = {
    "Reasonable": (50, 1e10, 0.65, 1e10),
    "Small": (50, 75, 0.65, 1e10),
    "Heavy": (50, 1e10, 0.2, 0.65),
    "All": (20, 1e10, 0.2, 1e10),
    "Bare": (50, 1e10, 0.9, 1e10),
    "Partial": (50, 1e10, 0.65, 0.9),
    "Heavy_0_65": (50, 1e10, 0, 0.65),
}
# low and high height, low and high visibility, threshold, factor of the height filter
CALTECH_RANGES = {
    "Reasonable": (50, INF, 0.65, INF, 0.5, 1.25),
    "All": (20, INF, 0.2, INF, 0.5, 1.25),
    "Scale=large": (100, INF, INF, INF, 0.5, 1.25),
    "Scale=near": (80, INF, INF, INF, 0.5, 1.25),
    "Scale=medium": (30, 80, INF, INF, 0.5, 1.25),
    "Scale=far": (20, 30, INF, INF, 0.5, 1.25),
    "Occ=none": (50, INF, INF, INF, 0.5, 1.25),
    "Occ=partial": (50, INF, 0.65, 1, 0.5, 1.25),
    "Occ=heavy": (50, INF, 0.2, 0.65, 0.5, 1.25),
    "Overlap=25": (50, INF, 0.65, INF, 0.25, 1.25),
    "Overlap=50": (50, INF, 0.65, INF, 0.5, 1.25),
    "Overlap=75": (50, INF, 0.65, INF, 0.75, 1.25),
    "Expand=100": (50, INF, 0.65, INF, 0.5, 1.0),
    "Expand=125": (50, INF, 0.65, INF, 0.5, 1.25),
    "Expand=150": (50, INF, 0.65, INF, 0.5, 1.5),
}


# --- the plain implementation -----------------------------------------------------------------------------------


def plain_overlap(d, g, ignored):
    xd, yd, wd, hd = (float(v) for v in d)
    xg, yg, wg, hg = (float(v) for v in g)
    across = min(xd + wd, xg + wg) - max(xd, xg)
    down = min(yd + hd, yg + hg) - max(yd, yg)
    if not (across > 0 and down > 0):
        return 0.0
    i = across * down
    return i / (wd * hd) if ignored else i / (wd * hd + wg * hg - i)


def plain_picture(truths, found, threshold):
    """truths: (box, ignored); found: (box, score). Gives (score, 1 | 0 | -1) by falling score."""
    found = sorted(found, key=lambda one: -one[1])
    truths = [one for one in truths if not one[1]] + [one for one in truths if one[1]]
    taken = [False] * len(truths)
    outcome = []
    for box, score in found:
        best, match = threshold, None
        for index, (truth, ignored) in enumerate(truths):
            if not ignored and taken[index]:
                continue
            if match is not None and not truths[match][1] and ignored:
                break
            overlap = plain_overlap(box, truth, ignored)
            if overlap < best:
                continue
            best, match = overlap, index
        if match is None:
            outcome.append((score, 0))
        elif truths[match][1]:
            outcome.append((score, -1))
        else:
            taken[match] = True
            outcome.append((score, 1))
    return outcome


def plain_reshape(box, aspect):
    x, y, w, h = (float(v) for v in box)
    d = h * aspect - w
    return x - d / 2, y, w + d, h


def plain_curve(outcomes, images, evaluated, points, flatter):
    joined = sorted((one for outcome in outcomes for one in outcome), key=lambda one: -one[0])
    joined = [kind for _, kind in joined if kind != -1]
    if evaluated == 0:
        return None, None, None
    true, false, fppi, recall = 0, 0, [], []
    for kind in joined:
        true, false = true + kind, false + 1 - kind
        fppi.append(false / images)
        recall.append(true / evaluated)
    published, corrected = [], []
    for point in points:
        at = [r for f, r in zip(fppi, recall, strict=True) if f <= point]
        corrected.append(at[-1] if at else 0.0)
        published.append(at[-1] if at else (recall[-1] if flatter and recall else 0.0))
    return plain_lamr(published), plain_lamr(corrected), published


def plain_lamr(recall):
    if any(r == 1 for r in recall):
        return 0.0
    return math.exp(math.fsum(math.log(1 - r) for r in recall) / len(recall))


def plain_evaluate(annotations, detections, protocol, aspect="default"):
    """NAME -> (lamr, lamr_corrected, recall, ground truths, detections)."""
    citypersons = protocol == "citypersons"
    original = not citypersons and "unhidden" in annotations.attributes
    order = list(range(len(annotations.image_ids)))
    order.sort(key=lambda row: annotations.image_ids[row])
    if citypersons:
        points = [0.01, 0.0178, 0.0316, 0.0562, 0.1, 0.1778, 0.3162, 0.5623, 1.0]
        ranges = {name: (*four, 0.5, 1.25) for name, four in CITYPERSONS_RANGES.items()}
    else:
        points = [10.0 ** (-2 + k * 0.25) for k in range(9)]
        ranges = CALTECH_RANGES
    if aspect == "default":
        aspect = None if citypersons else 0.41
    found_in = [[] for _ in order]
    for row, box, score in zip(detections.image_index, detections.boxes, detections.scores, strict=True):
        box = plain_reshape(box, aspect) if aspect else tuple(map(float, box))
        found_in[row].append((box, float(score)))
    if citypersons:
        found_in = [sorted(found, key=lambda one: -one[1])[:1000] for found in found_in]
    truths_in = [[] for _ in order]
    for index, row in enumerate(annotations.image_index):
        truths_in[row].append(index)

    figures = {}
    for name, (low, high, least, most, threshold, expansion) in ranges.items():
        outcomes, evaluated_count, kept_count = [], 0, 0
        for row in order:
            truths = []
            for index in truths_in[row]:
                x, y, w, h = (float(v) for v in annotations.boxes[index])
                height, v = float(annotations.height[index]), float(annotations.visible_ratio[index])
                ignored = bool(annotations.ignore[index])
                if annotations.category[index] != 1:
                    continue
                if original:
                    ignored |= x < 5 or y < 5 or x + w > 635 or y + h > 475
                ignored |= height < low or (height > high if citypersons else height >= high)
                if least == INF:
                    ignored |= (v != INF) if original else v != 1
                else:
                    ignored |= v < least or v > most
                box = plain_reshape((x, y, w, h), 0.41) if original and not ignored else (x, y, w, h)
                truths.append((box, ignored))
                evaluated_count += not ignored
            kept = [one for one in found_in[row] if low / expansion <= one[0][3] < high * expansion]
            kept_count += len(kept)
            outcomes.append(plain_picture(truths, kept, threshold))
        lamr, corrected, recall = plain_curve(outcomes, len(order), evaluated_count, points, citypersons)
        figures[name] = lamr, corrected, recall, evaluated_count, kept_count
    return figures


def assert_same(annotations, detections, protocol, aspect="default"):
    given_aspect = {"default": None, None: 0}.get(aspect, aspect)
    result = evaluate(annotations, detections, protocol, detections_aspect=given_aspect).to_json()["subsets"]
    expected = plain_evaluate(annotations, detections, protocol, aspect)
    assert list(result) == list(expected)
    for name, (lamr, corrected, recall, ground_truths, kept) in expected.items():
        got = result[name]
        assert (got["ground_truths"], got["detections"]) == (ground_truths, kept), name
        if lamr is None:
            assert [got[key] for key in ("lamr", "lamr_corrected", "recall", "fppi")] == [None] * 4, name
        else:
            assert got["recall"] == recall, name
            assert got["lamr"] == pytest.approx(lamr, abs=1e-12), name
            assert got["lamr_corrected"] == pytest.approx(corrected, abs=1e-12), name
    return result


# --- data --------------------------------------------------------------------------------------------------------


def make_annotations(ids, rows, boxes, ignore=None, visible_ratio=None, category=None, names=None, **attributes):
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    count = len(boxes)
    return Annotations(
        image_ids=list(ids),
        file_names=names or [f"{image_id}.png" for image_id in ids],
        sizes=np.zeros((len(ids), 2), np.int64),
        image_index=np.array(rows, np.int64),
        boxes=boxes,
        visible=np.zeros((count, 4)),
        ignore=np.zeros(count, bool) if ignore is None else np.array(ignore, bool),
        height=boxes[:, 3].copy(),
        visible_ratio=np.ones(count) if visible_ratio is None else np.array(visible_ratio, np.float64),
        category=np.ones(count, np.int64) if category is None else np.array(category, np.int64),
        attributes={name: np.array(values) for name, values in attributes.items()},
    )


def make_detections(rows, boxes, scores):
    return Detections(
        np.array(rows, np.int64), np.array(boxes, np.float64).reshape(-1, 4), np.array(scores, np.float64)
    )


def part_of(annotations, count):
    inside = annotations.image_index < count
    return make_annotations(
        annotations.image_ids[:count],
        annotations.image_index[inside],
        annotations.boxes[inside],
        annotations.ignore[inside],
        annotations.visible_ratio[inside],
        names=annotations.file_names[:count],
    )


def random_detections(annotations, count, seed, digits=3):
    """Half near ground truths, a tenth exactly on one, the rest anywhere; rounded scores, so that many tie."""
    rng = np.random.default_rng(seed)
    pictures, near = len(annotations.image_ids), count // 2
    truth = rng.integers(0, len(annotations.boxes), near)
    jitter = rng.normal(0, 0.15, (near, 4)) * (rng.random((near, 1)) > 0.2)
    boxes = annotations.boxes[truth] + jitter * annotations.boxes[truth][:, [2, 3, 2, 3]]
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 1)
    height = rng.uniform(15, 300, count - near)
    widest, lowest = annotations.boxes[:, :2].max(axis=0)
    anywhere = np.stack(
        [rng.uniform(0, widest, len(height)), rng.uniform(0, lowest, len(height)), height * 0.41, height], axis=1
    )
    rows = np.concatenate([annotations.image_index[truth], rng.integers(0, pictures, len(height))])
    scores = np.concatenate([rng.beta(3, 2, near), rng.beta(2, 3, len(height))]).round(digits)
    order = rng.permutation(count)
    return make_detections(rows[order], np.concatenate([boxes, anywhere])[order], scores[order])


# --- real annotations ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pictures", "count"), [(500, 4000), (281, 3000), (40, 1200)])
def test_random_detections_on_citypersons_val(citypersons_val, pictures, count):
    part = part_of(citypersons_val, pictures)
    for digits in (1, 6):
        assert_same(part, random_detections(part, count, seed=pictures, digits=digits), "citypersons")


def test_more_than_a_thousand_detections_in_a_picture(citypersons_val):
    part = part_of(citypersons_val, 3)
    assert_same(part, random_detections(part, 4000, seed=1, digits=2), "citypersons")


def test_a_part_takes_pictures_by_rising_id_whatever_their_order_in_the_file(citypersons_val):
    part = part_of(citypersons_val, 40)
    found = random_detections(part, 1200, seed=5, digits=1)
    backwards = np.arange(40)[::-1]
    turned = make_annotations(
        part.image_ids[::-1],
        backwards[part.image_index],
        part.boxes,
        part.ignore,
        part.visible_ratio,
    )
    turned_found = make_detections(backwards[found.image_index], found.boxes, found.scores)
    assert assert_same(turned, turned_found, "citypersons") == assert_same(part, found, "citypersons")


@pytest.mark.parametrize("subset", ["Reasonable", "All", "Occ_heavy"])
def test_random_detections_on_the_new_caltech_annotations_reshaped_and_not(shared, subset):
    part = part_of(read_annotations(shared / f"data/caltech/gt_new_{subset}.json"), 700)
    found = random_detections(part, 1500, seed=11)
    reshaped = assert_same(part, found, "caltech")
    assert reshaped == assert_same(part, found, "caltech", 0.41)
    assert reshaped != assert_same(part, found, "caltech", None)


def test_detections_reshaped_for_citypersons_where_asked_for(citypersons_val):
    part = part_of(citypersons_val, 40)
    assert_same(part, random_detections(part, 800, seed=2), "citypersons", 0.41)


@pytest.mark.parametrize("aspect", ["default", None])
def test_random_detections_on_the_original_caltech_annotations(original_caltech, aspect):
    assert_same(original_caltech, random_detections(original_caltech, 4000, seed=3), "caltech", aspect)


# --- small worlds ------------------------------------------------------------------------------------------------

# Few places and sizes, so that equal overlaps, overlaps of exactly 0.5 and boxes on every limit are common.
places = st.tuples(st.sampled_from([0, 5, 10, 20]), st.sampled_from([0, 5, 25]))
shapes = st.tuples(st.sampled_from([10, 20, 41]), st.sampled_from([16, 20, 30, 40, 50, 75, 80, 100]))
boxes = st.builds(lambda place, shape: (*place, *shape), places, shapes)
on_the_border = st.sampled_from(
    [(5, 5, 20, 50), (4, 5, 20, 50), (5, 4, 20, 50), (595, 5, 40, 100), (596, 5, 40, 100), (9, 375, 41, 100)]
)
visibilities = st.sampled_from([0, 0.19, 0.2, 0.5, 0.65, math.nextafter(0.65, 0), 0.9, 1])


@st.composite
def worlds(draw, original):
    pictures = draw(st.integers(1, 4))
    rows = st.integers(0, pictures - 1)
    truth = st.tuples(
        rows,
        boxes | on_the_border,
        st.booleans(),
        visibilities | st.just(INF) if original else visibilities,
        st.sampled_from([1, 1, 1, 2]),
    )
    truths = draw(st.lists(truth, max_size=10))
    found = draw(st.lists(st.tuples(rows, boxes | on_the_border, st.integers(0, 3)), max_size=14))
    index, truth_boxes, ignore, ratio, category = zip(*truths, strict=True) if truths else [()] * 5
    extra = {"unhidden": np.array(ratio, np.float64) == INF} if original else {}
    annotations = make_annotations(
        [7 * row for row in range(pictures)], index, truth_boxes, ignore, ratio, category, **extra
    )
    rows, found_boxes, scores = zip(*found, strict=True) if found else ((), (), ())
    return annotations, make_detections(rows, found_boxes, np.array(scores) / 4)


few = settings(deadline=None, max_examples=150)


@few
@given(worlds(original=False))
def test_small_worlds_by_the_rules_of_citypersons(world):
    assert_same(*world, "citypersons")


@few
@given(worlds(original=False), st.sampled_from(["default", None]))
def test_small_worlds_by_the_rules_of_the_new_caltech_annotations(world, aspect):
    assert_same(*world, "caltech", aspect)


@few
@given(worlds(original=True), st.sampled_from(["default", None]))
def test_small_worlds_by_the_rules_of_the_original_caltech_annotations(world, aspect):
    assert_same(*world, "caltech", aspect)
