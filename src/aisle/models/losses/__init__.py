"""Training losses. `__all__` is the list of choices; a recipe lists losses with weights.

A loss is constructed with the `Context` and its options, and called as `loss(output, target)`; it returns a
scalar.
"""

from aisle.models.losses.likelihood import ClassBalancedLoss, CrossEntropyLoss, FocalLoss, PerViewLoss
from aisle.models.losses.space import ContrastiveLoss, CrossModalGapLoss, SemanticGraphLoss

__all__ = [
    "ClassBalancedLoss",
    "ContrastiveLoss",
    "CrossEntropyLoss",
    "CrossModalGapLoss",
    "FocalLoss",
    "PerViewLoss",
    "SemanticGraphLoss",
]
