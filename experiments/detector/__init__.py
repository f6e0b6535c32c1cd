"""Comparisons that the detector's design rests on: short trainings, and choices at inference; see docs/detector.md."""
