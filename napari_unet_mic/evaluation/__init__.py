"""Predictions against references: tables, regions, figures."""
