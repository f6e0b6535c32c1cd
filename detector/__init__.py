"""Upright's detector. Importing it stays light: each room is imported by its own name."""
