"""Video: how well people are tracked and counted."""
