"""Fingerprint and rules: from a dataset to a plan."""
