"""Counting: flat, per level, hierarchical, calibration, retrieval. No torch here."""
