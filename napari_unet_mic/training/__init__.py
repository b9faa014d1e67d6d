"""Runs: training the network and what it tells while it learns."""
