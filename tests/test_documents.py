"""The documents keep their promises: examples run, links lead somewhere, commands have filled their blocks."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import pytest

import upright
from upright.datasets.synthetic import SyntheticPedestrians

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tools/**/*.md"), *ROOT.glob("weights/*.md")]
)
MARK = re.compile(r"^<!-- (/?)(\w+) -->$", re.MULTILINE)


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_block_that_a_command_writes_is_filled(document) -> None:
    text = document.read_text(encoding="utf-8")
    marks = list(MARK.finditer(text))
    for start, end in zip(marks[::2], marks[1::2], strict=True):
        assert (start[1], end[1], start[2]) == ("", "/", end[2])
        assert text[start.end() : end.start()].strip(), f"{start[2]} is empty"
    assert not re.search(r"\b(TABLE|TODO|FIXME|XXX)\b", text)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_and_machine_paths(document) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (document.parent / target).exists(), target
    assert "/work/" not in text
    assert "/home/" not in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_that_are_named_exist(document) -> None:
    for script in re.findall(r"\b(?:python|torchrun[^\n]*?) ((?:tools|experiments)/[\w/]+\.py)", document.read_text()):
        assert (ROOT / script).is_file(), script


def test_the_readmes_python_examples_run(tmp_path, monkeypatch) -> None:
    image = SyntheticPedestrians("val")[0].image[..., ::-1]
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "street.jpg"), image)
    cv2.imwrite(str(tmp_path / "photos" / "a.jpg"), image)
    released = ROOT / "weights" / "upright-light.safetensors"
    (tmp_path / "mine.safetensors").symlink_to(released)
    (tmp_path / "weights").symlink_to(ROOT / "weights")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert isinstance(names["found"], upright.Detected)
    assert len(names["found"].scores) > 2
