"""The head of the detector by angle: with and without transformers, taught, looking twice, told; see docs/head.md."""
