"""Upright finds people in pictures and video.

The names below are fetched when they are first used, so that `import upright` stays light.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Detector": "upright.detector.model",
    "load_detector": "upright.detector.weights",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'upright' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
