"""What everything rendered is drawn with: a canvas that makes sprites, colours and textures."""
