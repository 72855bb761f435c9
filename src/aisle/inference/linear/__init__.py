"""Linear models as predictors, and their bundles. No torch here."""
