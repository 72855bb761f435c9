"""What training minimises. `__all__` is the list of choices; a recipe lists losses with weights.

A loss is constructed with the `Context` and its own options, and called `(output, target) -> scalar`.
"""

from aisle.model.losses.likelihood import ByView, ClassBalanced, CrossEntropy, Focal
from aisle.model.losses.space import Contrastive, Gap, SemanticGraph

__all__ = ["ByView", "ClassBalanced", "Contrastive", "CrossEntropy", "Focal", "Gap", "SemanticGraph"]
