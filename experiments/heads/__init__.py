"""Region heads of the detector with and without spatial transformers; their figures stand in docs/head.md."""
