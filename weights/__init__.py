"""The released weights and their model card (README.md)."""
