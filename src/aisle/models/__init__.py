"""Linear models, and networks of views, fusion and head; importing this package imports no torch."""
