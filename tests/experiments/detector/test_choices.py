"""The tables of choices at inference, of a detector that has learnt nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from upright.detector.model import Detector
from upright.detector.settings import PRESETS
from upright.detector.weights import save_weights
from upright.experiments.detector import choices
from upright.experiments.detector.variants import Variant

BLOCKS = ("scores", "boxes", "proposals", "sides", "suppressions")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "SHARES", (0.5,))
    monkeypatch.setattr(choices, "BOX_SHARES", (0.0,))
    monkeypatch.setattr(choices, "PROPOSALS", (5, 40))
    monkeypatch.setattr(choices, "SIDES", ((32, 64), (64, 96)))
    monkeypatch.setattr(choices, "SUPPRESSIONS", (0.4,))
    monkeypatch.setattr(choices, "ROUNDS", 1)


def test_each_choice_has_its_table(small: Detector, root: Path, tmp_path: Path, call_main, few) -> None:
    document, figures = tmp_path / "a.md", tmp_path / "a.json"
    document.write_text("".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in BLOCKS))
    save_weights(tmp_path / "w.safetensors", small, {})
    flags = ["--root", root, "--annotations", "a.json", "--document", document, "--figures", figures]
    ended = call_main(choices.main, tmp_path / "w.safetensors", *flags)
    assert ended.status == 0, ended.err
    kept = json.loads(figures.read_text())
    assert list(kept) == list(BLOCKS)
    assert {name: list(kept[name]["rows"]) for name in BLOCKS} == {
        "scores": [
            "the region's alone",
            "product, share 0.5",
            "product, share 0.9",
            "the proposal's alone",
            "sum of the logits",
        ],
        "boxes": ["0", "0.3"],
        "proposals": ["5", "40"],
        "sides": ["32 / 64", "64 / 96"],
        "suppressions": ["hard, 0.4", "matrix, decay 0.5", "matrix, decay 1", "matrix, decay 2"],
    }
    for name in BLOCKS:
        assert sum(row["chosen"] for row in kept[name]["rows"].values()) == 1
    lines = document.read_text().splitlines()
    assert sum(line.startswith("| **") for line in lines) == len(BLOCKS)
    assert sum("processor ms" in line for line in lines) == 2


def test_the_first_stage_stands_beside_both_stages(small: Detector, root: Path, tmp_path: Path, call_main, few) -> None:
    """From files as NanoDet-Plus-m's, whose head knows 80 classes and whose images are B, G, R."""
    tensors = {name: value.contiguous() for name, value in small.state_dict().items()}
    body = {name.removeprefix("backbone."): t for name, t in tensors.items() if name.startswith("backbone.")}
    head = {name.removeprefix("rpn."): t for name, t in tensors.items() if name.startswith("rpn.")}
    for name, value in head.items():
        if ".predict." in name:
            head[name] = torch.cat([value[:1], value.new_zeros(79, *value.shape[1:]), value[1:]])
    save_file(body, tmp_path / "body.safetensors")
    save_file(head, tmp_path / "head.safetensors")
    save_weights(tmp_path / "w.safetensors", small, {})
    document = tmp_path / "a.md"
    document.write_text("".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in (*BLOCKS, "first_stage")))
    files = ["--body", tmp_path / "body.safetensors", "--head-weights", tmp_path / "head.safetensors"]
    flags = ["--root", root, "--annotations", "a.json", "--document", document]
    ended = call_main(choices.main, tmp_path / "w.safetensors", *flags, *files)
    assert ended.status == 0, ended.err
    lines = document.read_text().split("<!-- first_stage -->")[1].splitlines()
    names = [line.split(" | ")[0] for line in lines if line.startswith("| ")][2:]
    assert names == [
        "| first stage as it comes, stretched to 416 x 416",
        "| first stage as it comes, aspect kept, 64 / 96",
        "| both stages",
    ]


@pytest.mark.parametrize(
    "chosen",
    [
        {"fusion": "product", "share": 0.4},
        {"fusion": "product", "share": 1.0},
        {"fusion": "region"},
        {"suppression": 0.33, "decay": 0.0},
        {"decay": 0.17},
    ],
)
def test_what_weights_come_with_is_once_in_each_table(chosen: dict) -> None:
    own = replace(Variant.of(PRESETS["light"]), **chosen)
    assert all(list(rows.values()).count(own) == 1 for rows in choices.tables(own).values())


def test_one_file_of_the_first_stage_is_not_enough(tmp_path: Path, call_main) -> None:
    fault = call_main(choices.main, tmp_path / "w.safetensors", "--root", tmp_path, "--body", "b").fault
    assert "belong together" in fault
