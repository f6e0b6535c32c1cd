"""The parts of a page that is one file: its style, its script and its data stand in it."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from upright.detector.sources import Source


def asset(name: str) -> str:
    """A file of this folder as text."""
    return (files(__package__) / name).read_text(encoding="utf-8")


def page_start(title: str, body: str, policy: str) -> str:
    """The head of a page and what its body begins with.

    Args:
        title: as the browser's tab shows it.
        body: name of the file with the body's elements.
        policy: what the page may load, as in the header Content-Security-Policy.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">\n'
        f"<title>{html.escape(printable(title))}</title>\n<style>\n{asset('style.css')}</style>\n</head>\n<body>\n"
        f"{asset(body)}"
    )


def page_end(scripts: Sequence[str]) -> str:
    """The scripts, in their order, and the end of the page."""
    code = "".join(asset(name) for name in scripts)
    return f'<script>\n"use strict";\n{code}</script>\n</body>\n</html>\n'


def data_block(kind: str, name: str, value: Any) -> str:
    """Data for the scripts, which nothing in it can end."""
    text = json.dumps(value, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")
    return (
        f'<script type="application/json" data-kind="{html.escape(kind)}" '
        f'data-name="{html.escape(printable(name))}">{text}</script>\n'
    )


def printable(name: str) -> str:
    """A file's name as text; bytes that are no UTF-8 become the sign for what cannot be shown."""
    return os.fsencode(name).decode("utf-8", "replace")


def short_name(source: Source) -> str:
    """What a page calls a source: the file without its folders, or the address without its password."""
    return source.path.name if source.stream is None else source.name


def relative_link(target: Path, folder: Path) -> str | None:
    """The address of a file as seen from a page in `folder`; None where there is no way from one to the other."""
    try:
        way = os.path.relpath(target.resolve(), folder.resolve())
    except (OSError, ValueError):  # ValueError: on another drive
        return None
    return quote(os.fsencode(way.replace(os.sep, "/")))
