"""Learning: recipes, stages, one visible loop, out-of-fold predictions."""
