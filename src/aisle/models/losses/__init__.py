"""What training minimises. `__all__` is the list of choices; a recipe lists losses with weights.

A loss is constructed with the `Context` and its own options, and called `(output, target) -> scalar`.
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
