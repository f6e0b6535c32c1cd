"""Where rendered people stand: the camera's view, its scenery, and the things in it that are not people."""
