"""The networks that find faces: converted from MediaPipe's published files."""
