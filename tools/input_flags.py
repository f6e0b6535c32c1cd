"""Flags of detect.py for which frames of videos and streams are looked at."""

from __future__ import annotations

import argparse

from upright.detector.selection import Selection


def add_selection_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which frames", "of videos, cameras and streams; pictures always count")
    group.add_argument("--every", type=int, default=1, metavar="N", help="one of N frames (default: all)")
    group.add_argument("--fps", type=float, metavar="F", help="at most F frames a second of the video")
    group.add_argument("--start", type=float, default=0.0, metavar="S", help="from second S on, which is the copy's 0")
    group.add_argument("--end", type=float, metavar="S", help="up to second S")
    group.add_argument("--seconds", type=float, metavar="S", help="for S seconds; ends a live source")
    group.add_argument("--frames", type=int, metavar="N", help="N frames at most; ends a live source")


def chosen_selection(arguments: argparse.Namespace) -> Selection:
    """What the flags say.

    Raises:
        InputError: a value cannot be.
    """
    names = ("every", "fps", "start", "end", "seconds", "frames")
    return Selection(**{name: getattr(arguments, name) for name in names})
