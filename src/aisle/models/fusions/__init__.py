"""How views become one vector. `__all__` is the list of choices; adding a fusion is adding a class.

A fusion is constructed with the views' widths (and, if it asks, their modalities) and its own options,
keeps `dim`, the width of what it gives, and never asks whether a view is present: `Model` has put a
learned token where one is absent.
"""

from aisle.models.fusions.attention import AttentionFusion, CrossAttentionFusion
from aisle.models.fusions.huse import HuseFusion
from aisle.models.fusions.multilevel import MultilevelFusion
from aisle.models.fusions.pooled import AverageFusion, ConcatFusion, GatedFusion, LinearFusion

__all__ = [
    "AttentionFusion",
    "AverageFusion",
    "ConcatFusion",
    "CrossAttentionFusion",
    "GatedFusion",
    "HuseFusion",
    "LinearFusion",
    "MultilevelFusion",
]
