"""Prediction: saved models, bulk classification, ensembles, cascades, explanations. Imports no training."""

from aisle.inference.classifier import Classifier

__all__ = ["Classifier"]
