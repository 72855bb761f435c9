"""What training minimises. `__all__` is the list of choices; a recipe lists losses with weights.

A loss is constructed with the `Context` and its own options, and called `(output, target) -> scalar`.
"""

from aisle.models.losses.likelihood import ByView, ClassBalanced, CrossEntropy, Focal
from aisle.models.losses.space import Contrastive, Gap, SemanticGraph

__all__ = ["ByView", "ClassBalanced", "Contrastive", "CrossEntropy", "Focal", "Gap", "SemanticGraph"]
