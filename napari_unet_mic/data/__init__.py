"""Volumes, datasets, splits: what is read from and written to disk."""
