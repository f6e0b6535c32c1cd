"""Experiments whose figures stand in docs/, each from one command; they run from a checkout and are not installed."""
