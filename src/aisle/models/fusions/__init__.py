"""Fusions of encoded views into one vector. `__all__` is the list of choices.

A fusion is constructed with the widths of the views (and their modalities, if it has such a parameter) and
its options. Its attribute `dim` is the width of its output. It does not handle missing views: `Model` puts a
learned token in their place.
"""

from aisle.models.fusions.attention import AttentionFusion, CrossAttentionFusion
from aisle.models.fusions.bilinear import BilinearFusion
from aisle.models.fusions.huse import HuseFusion
from aisle.models.fusions.multilevel import MultilevelFusion
from aisle.models.fusions.pooled import AverageFusion, ConcatFusion, GatedFusion, LinearFusion

__all__ = [
    "AttentionFusion",
    "AverageFusion",
    "BilinearFusion",
    "ConcatFusion",
    "CrossAttentionFusion",
    "GatedFusion",
    "HuseFusion",
    "LinearFusion",
    "MultilevelFusion",
]
