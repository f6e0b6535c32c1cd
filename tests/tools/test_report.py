"""Scripts write figures into documents without touching the words around them."""

from __future__ import annotations

from pathlib import Path

import pytest

from upright.detector.model import build_detector
from upright.detector.settings import Settings
from upright.detector.weights import read_metadata, save_weights
from upright.errors import InputError
from upright.tools.release import stages
from upright.tools.report import table, write_block

DOCUMENT = "# Title\n\n<!-- figures -->\nold\n<!-- /figures -->\n\nWords.\n"


def test_only_the_block_changes_and_writing_twice_is_writing_once(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(DOCUMENT)
    for _ in range(2):
        write_block(path, "figures", table(["a", "b"], [["1", "2"]]))
    assert path.read_text() == DOCUMENT.replace("old", "| a | b |\n| --- | ---: |\n| 1 | 2 |")


@pytest.mark.parametrize("text", ["no marks", "<!-- figures -->", "<!-- /figures --> <!-- figures -->"])
def test_a_document_without_the_marks_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(text)
    with pytest.raises(InputError, match=r"a\.md"):
        write_block(tmp_path / "a.md", "figures", [])


def test_the_stages_of_a_training_are_told_in_order(tiny: Settings, tmp_path: Path) -> None:
    first = {"command": "one", "steps": 5}
    save_weights(
        tmp_path / "w.safetensors", build_detector(tiny), {"command": "two", "steps": 9, "started_from": first}
    )
    _, provenance = read_metadata(tmp_path / "w.safetensors")
    assert stages(provenance) == [first, {"command": "two", "steps": 9}]
