"""The vectorised evaluation against the written rules, applied one picture and one box at a time."""

import math
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upright.datasets.coco import read_annotations
from upright.datasets.registry import open_dataset
from upright.datasets.sample import Annotations
from upright.detector.evaluation import Detections, evaluate
from upright.detector.evaluation.miss_rate import log_average
from upright.detector.evaluation.protocols import with_aspect
from upright.errors import InputError

DATA = Path(__file__).parents[3] / "../shared/data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")

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


NOTHING = make_detections([], [], [])


@pytest.fixture(scope="module")
def val():
    return read_annotations(DATA / "citypersons/val_gt.json")


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


# --- CityPersons' ground truth ----------------------------------------------------------------------------------


@needs_data
def test_counts_the_evaluated_boxes_of_citypersons_val(val):
    subsets = evaluate(val, NOTHING).subsets
    counts = [subsets[name].ground_truths for name in ("Reasonable", "Small", "Heavy", "All")]
    assert counts == [1579, 351, 735, 2875]
    assert all(subset.lamr == 1 and subset.recall == (0.0,) * 9 for subset in subsets.values())


@needs_data
@pytest.mark.parametrize(("pictures", "count"), [(500, 4000), (281, 3000), (40, 1200)])
def test_random_detections_on_citypersons_val(val, pictures, count):
    part = part_of(val, pictures)
    for digits in (1, 6):
        assert_same(part, random_detections(part, count, seed=pictures, digits=digits), "citypersons")


@needs_data
def test_more_than_a_thousand_detections_in_a_picture(val):
    part = part_of(val, 3)
    assert_same(part, random_detections(part, 4000, seed=1, digits=2), "citypersons")


@needs_data
def test_a_part_takes_pictures_by_rising_id_whatever_their_order_in_the_file(val):
    part = part_of(val, 40)
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


# --- Caltech's new annotations ----------------------------------------------------------------------------------


@needs_data
@pytest.mark.parametrize(
    ("subset", "count"), [("Reasonable", 847), ("All", 3003), ("Occ_heavy", 231), ("csp_Reasonable", 912)]
)
def test_counts_the_evaluated_boxes_of_the_new_caltech_annotations(subset, count):
    truths = read_annotations(DATA / f"caltech/gt_new_{subset}.json")
    name = {"csp_Reasonable": "Reasonable", "Occ_heavy": "Occ=heavy"}.get(subset, subset)
    result = evaluate(truths, NOTHING, "caltech").subsets[name]
    assert (result.ground_truths, result.lamr) == (count, 1)


@needs_data
@pytest.mark.parametrize("subset", ["Reasonable", "All", "Occ_heavy"])
def test_random_detections_on_the_new_caltech_annotations_reshaped_and_not(subset):
    part = part_of(read_annotations(DATA / f"caltech/gt_new_{subset}.json"), 700)
    found = random_detections(part, 1500, seed=11)
    reshaped = assert_same(part, found, "caltech")
    assert reshaped == assert_same(part, found, "caltech", 0.41)
    assert reshaped != assert_same(part, found, "caltech", None)


@needs_data
def test_detections_reshaped_for_citypersons_where_asked_for(val):
    part = part_of(val, 40)
    assert_same(part, random_detections(part, 800, seed=2), "citypersons", 0.41)


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


# --- figures worked out by hand ----------------------------------------------------------------------------------

PERSON = (100, 100, 41, 100)
ELSEWHERE = (300, 100, 41, 100)


def test_a_perfect_detector_has_a_miss_rate_of_zero():
    truths = make_annotations([1, 2], [0, 1], [PERSON, PERSON])
    result = evaluate(truths, make_detections([0, 1], [PERSON, PERSON], [0.9, 0.8])).subsets["Reasonable"]
    assert (result.lamr, result.lamr_corrected, result.recall) == (0.0, 0.0, (1.0,) * 9)


def test_a_top_scored_false_positive_flatters_the_published_figure_alone():
    truths = make_annotations([1, 2], [0, 1], [PERSON, PERSON])
    found = make_detections([0, 0], [ELSEWHERE, PERSON], [0.9, 0.8])
    citypersons = evaluate(truths, found).subsets["Reasonable"]
    # 0.5 false positives per image from the start: seven points lie before, and read the final recall of 0.5.
    assert citypersons.recall == (0.5,) * 9
    assert citypersons.lamr == pytest.approx(0.5, abs=1e-15)
    assert citypersons.lamr_corrected == pytest.approx(0.5 ** (2 / 9), abs=1e-15)
    caltech = evaluate(truths, found, "caltech").subsets["Reasonable"]
    assert caltech.recall == (0.0,) * 7 + (0.5,) * 2
    assert caltech.lamr == caltech.lamr_corrected == pytest.approx(0.5 ** (2 / 9), abs=1e-15)


def test_no_evaluated_box_gives_no_figure():
    truths = make_annotations([1], [0], [PERSON], ignore=[True])
    for found in (NOTHING, make_detections([0], [PERSON], [0.5]), make_detections([0], [ELSEWHERE], [0.5])):
        result = evaluate(truths, found)
        subset = result.subsets["Reasonable"]
        assert math.isnan(subset.lamr)
        assert math.isnan(subset.lamr_corrected)
        written = result.to_json()["subsets"]["Reasonable"]
        assert [written[key] for key in ("lamr", "lamr_corrected", "recall", "fppi")] == [None] * 4
        assert (written["ground_truths"], written["detections"]) == (0, len(found))


def test_detections_all_dropped_or_filtered_leave_a_miss_rate_of_one():
    truths = make_annotations([1], [0, 0], [PERSON, (0, 100, 300, 100)], ignore=[False, True])
    for box in [(10, 100, 41, 100), (100, 100, 10, 39)]:
        subset = evaluate(truths, make_detections([0], [box], [0.5])).subsets["Reasonable"]
        assert (subset.lamr, subset.lamr_corrected, subset.recall) == (1.0, 1.0, (0.0,) * 9)


def test_pictures_without_annotations_count():
    truths = make_annotations(list(range(200)), [0], [PERSON])
    found = make_detections([5, 0], [ELSEWHERE, PERSON], [0.9, 0.8])
    # One false positive in 200 pictures: 0.005 an image, before the first point.
    assert evaluate(truths, found).subsets["Reasonable"].recall == (1.0,) * 9


def test_no_pictures_and_no_people_are_no_error():
    for ids in ([], [1]):
        result = evaluate(make_annotations(ids, [], []), NOTHING)
        assert result.images == len(ids)
        assert all(math.isnan(subset.lamr) for subset in result.subsets.values())


def test_boxes_on_a_limit_of_citypersons_belong_to_both_sides():
    heights = [49.99, 50, 75, 75.01]
    truths = make_annotations([1], [0] * 4, [(0, 0, 20, height) for height in heights])
    assert evaluate(truths, NOTHING).subsets["Small"].ground_truths == 2
    ratio = make_annotations([1], [0] * 3, [PERSON] * 3, visible_ratio=[0.65, 0.2, math.nextafter(0.65, 0)])
    subsets = evaluate(ratio, NOTHING).subsets
    assert (subsets["Reasonable"].ground_truths, subsets["Heavy"].ground_truths) == (1, 3)


def test_infinite_visibility_is_a_whole_person_to_citypersons():
    truths = make_annotations([1], [0], [PERSON], visible_ratio=[INF])
    assert evaluate(truths, NOTHING).subsets["Reasonable"].ground_truths == 1


def test_a_reshaped_box_keeps_its_centre_and_height():
    reshaped = with_aspect(np.array([(100.0, 10.0, 20.0, 100.0), (0.0, 0.0, 61.0, 100.0)]), 0.41)
    assert reshaped.tolist() == [[89.5, 10, 41, 100], [10, 0, 41, 100]]


def test_log_average_is_the_geometric_mean():
    assert log_average(np.array([0.25, 1.0])) == pytest.approx(0.5)
    assert log_average(np.array([0.0, 1.0])) == 0.0


def test_chosen_subsets_come_alone_and_unknown_names_are_refused():
    truths = make_annotations([1], [0], [PERSON])
    assert list(evaluate(truths, NOTHING, subsets=["Heavy", "All"]).subsets) == ["Heavy", "All"]
    with pytest.raises(InputError, match="no subset 'Tiny'; choose among Reasonable"):
        evaluate(truths, NOTHING, subsets=["Tiny"])
    with pytest.raises(InputError, match="unknown protocol 'kitti'"):
        evaluate(truths, NOTHING, "kitti")


# --- Caltech's original annotations ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def original_caltech(tmp_path_factory):
    archive = DATA / "caltech/annotations.tar.gz"
    if not archive.exists():
        pytest.skip(f"{archive} is not here")
    root = tmp_path_factory.mktemp("caltech")
    with tarfile.open(archive) as tar:
        test_sets = [member for member in tar if re.search(r"set(06|07|08|09|10)/V\d+\.vbb$", member.name)]
        tar.extractall(root, test_sets, filter="data")
    return open_dataset("caltech", root, "test").annotations


def test_counts_the_evaluated_boxes_of_the_original_caltech_annotations(original_caltech):
    result = evaluate(original_caltech, NOTHING, "caltech")
    counts = [subset.ground_truths for subset in result.subsets.values()]
    assert result.images == 4024
    assert counts == [1014, 3292, 176, 314, 1542, 433, 911, 102, 273] + [1014] * 6


@pytest.mark.parametrize("aspect", ["default", None])
def test_random_detections_on_the_original_caltech_annotations(original_caltech, aspect):
    assert_same(original_caltech, random_detections(original_caltech, 4000, seed=3), "caltech", aspect)


def test_caltechs_new_text_files_get_border_and_shape_from_the_protocol():
    """They say nobody is hidden by a ratio of 1, not by an infinite one, and no rule is in them yet."""
    boxes = [(100, 100, 50, 100), (2, 100, 41, 100)]
    annotations = make_annotations([0], [0, 0], boxes, [False, False], [1.0, 1.0], unhidden=np.array([True, True]))
    shaped = make_detections([0], [(104.5, 100, 41, 100)], [0.9])
    result = evaluate(annotations, shaped, "caltech")
    assert result.subsets["Reasonable"].ground_truths == 1, "the second one crosses the border of 5 pixels"
    assert result.subsets["Occ=none"].ground_truths == 1
    assert result.subsets["Reasonable"].recall[-1] == 1.0
