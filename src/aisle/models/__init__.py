"""Models without training loops: linear models, and networks of views, fusion and head; no torch on import."""
