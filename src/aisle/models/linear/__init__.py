"""TF-IDF and frozen embeddings into linear and kernel classifiers, on numpy and scipy. No torch."""
