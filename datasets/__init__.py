"""Data sets of pedestrians: one `Sample` a picture, whatever the format on disk."""
