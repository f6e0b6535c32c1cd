"""Experiments whose figures stand in docs/, each from one command."""
