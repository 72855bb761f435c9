"""Answering: products in, predictions out. Nothing here imports training code."""

from aisle.inference.classifier import Classifier

__all__ = ["Classifier"]
