"""Results to look at in a browser: one HTML file beside them, and a live page while the detector runs."""
