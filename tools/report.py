"""Figures that scripts write into documents, between two marks that stay there."""

from __future__ import annotations

from pathlib import Path

from upright.errors import InputError
from upright.output import whole_file


def write_block(document: str | Path, name: str, lines: list[str]) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->` in a Markdown file.

    Raises:
        InputError: the file cannot be read or lacks the two marks.
    """
    before, after = around_block(document, name)
    with whole_file(document) as temporary:
        temporary.write_text("\n".join([before, *lines, after]), encoding="utf-8")


def around_block(document: str | Path, name: str) -> tuple[str, str]:
    """What stands up to the first mark, which is its end, and from the second on.

    Raises:
        InputError: the file cannot be read or lacks the two marks.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    try:
        text = Path(document).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read {document} ({error.strerror}): check the path") from None
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise InputError(f"{document} lacks the marks {start} and {end}: add them where the figures are to stand")
    return text[: text.index(start) + len(start)], text[text.index(end) :]


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table, first column left, the others right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(row) + " |" for row in (head, rule, *rows)]


def number(value: float | None) -> str:
    """Three digits, or "n/a" for None."""
    return "n/a" if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """A share in 0..1 in percent, or "n/a" for None."""
    return "n/a" if value is None else f"{100 * value:.1f} %"
