"""What `tools/evaluate.py` prints of the figures that it writes as JSON."""

from __future__ import annotations

from typing import Any

from upright.detector.detected import PART_NAMES
from upright.detector.evaluation.pose import LARGE, LEANING

POSE_GROUPS = {
    "all": "all",
    "large": f"from {LARGE} px",
    "leaning": f"leaning over {LEANING}",
    "large_leaning": "both of these",
}


def print_tables(figures: dict[str, Any]) -> None:
    """Print the object that `--json` writes, for people: percentages, n/a where there is no figure."""
    print(f"{figures['protocol']}: {figures['images']} pictures, {figures['seconds'] * 1e3:.1f} ms")
    print(f"{'subset':<14}{'miss rate':>11}{'corrected':>11}{'people':>9}{'detections':>12}")
    for name, subset in figures["subsets"].items():
        same = subset["lamr"] == subset["lamr_corrected"]
        corrected = "" if same else _percent(subset["lamr_corrected"])
        print(
            f"{name:<14}{_percent(subset['lamr']):>11}{corrected:>11}"
            f"{subset['ground_truths']:>9}{subset['detections']:>12}"
        )
    for title in ("poses", "leans"):
        if figures[title]:
            print(f"\n{title:<18}{'miss rate':>11}{'people':>9}")
            for name, group in figures[title].items():
                print(f"{name:<18}{_percent(group['lamr']):>11}{group['ground_truths']:>9}")
    coco = figures["coco"]
    shown = ("AP", "AP50", "AP75", "AR100")
    print("\nCOCO  " + "  ".join(f"{key} {'n/a' if coco[key] is None else f'{coco[key]:.3f}'}" for key in shown))
    _print_at_threshold(figures["at_threshold"])
    if figures["pose"]:
        _print_pose(figures["pose"])


def _print_at_threshold(figures: dict[str, Any]) -> None:
    print(
        f"\nfrom a score of {figures['threshold']:.3g}: precision {_percent(figures['precision'])}, "
        f"{_number(figures['false_people'])} false people a picture"
    )
    print(f"{'height, px':<14}{'recall':>11}{'people':>9}")
    for name, group in [*figures["by_height"].items(), ("all", figures)]:
        print(f"{name:<14}{_percent(group['recall']):>11}{group['people']:>9}")
    empty = figures["empty"]
    if empty["pictures"]:
        print(
            f"{empty['pictures']} pictures without people: {_number(empty['false_people'])} false people a picture, "
            f"{empty['alarmed']} pictures ({_percent(empty['alarmed_share'])}) have one"
        )


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _print_pose(figures: dict[str, Any]) -> None:
    """Errors of lean and parts, of people found whose trunk is labelled."""
    heads = ("found", "people", "error", "over 90", "slope", "head inside", *(f"IoU {name}" for name in PART_NAMES))
    print("\npose of people found" + "".join(f"{head:>12}" for head in heads))
    rows = [(title, figures[name]) for name, title in POSE_GROUPS.items()]
    rows += [(f"{name} px", group) for name, group in figures["by_length"].items()]
    rows += [(f"lean {name}", group) for name, group in figures["by_lean"].items()]
    for title, group in rows:
        if not group["people"]:
            continue
        error = "n/a" if group["lean_error"] is None else f"{group['lean_error']:.1f}"
        cells = [str(group["found"]), str(group["people"]), error, _percent(group["upside_down"])]
        cells += [_number(group["slope"]), _percent(group["head_inside"])]
        cells += [_number(group["overlap"][name]) for name in PART_NAMES]
        print(f"{title:<20}" + "".join(f"{cell:>12}" for cell in cells))
    print(f"\n{'told to be seen':<20}{'AUC':>12}{'of seen':>12}{'(people)':>12}{'of hidden':>12}{'(people)':>12}")
    for name, part in figures["seen"].items():
        cells = [_number(part["auc"]), _number(part["told_seen"]), part["seen"], _number(part["told_hidden"])]
        print(f"{name:<20}" + "".join(f"{cell:>12}" for cell in [*cells, part["hidden"]]))
