"""Precomputed vectors, as a view of their own."""

from torch import Tensor

from aisle.model.parts import Encoded, Encoder, pooled_only
from aisle.model.prepare import Vectors


class Vector(Encoder):
    """A vector file's rows, passed on as they are; fusions project every view anyway."""

    prepare_class = Vectors
    modality = "vector"

    def __init__(self, prepare: Vectors) -> None:
        super().__init__()
        self.dim = prepare.dim

    def forward(self, vector: Tensor) -> Encoded:
        """vector (B, D) -> pooled (B, D)."""
        return pooled_only(vector)
