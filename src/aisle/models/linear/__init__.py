"""Linear and kernel classifiers over TF-IDF and frozen embeddings, on numpy and scipy, without torch."""
