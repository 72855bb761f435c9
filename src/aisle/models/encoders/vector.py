"""Precomputed vectors, as a view of their own."""

from torch import Tensor, nn

from aisle.models.preprocessing import VectorPreprocessor
from aisle.models.registry import Encoded, Encoder, pooled_only


class VectorEncoder(Encoder):
    """A vector file's rows, passed on as they are; fusions project every view anyway.

    hidden: width of a dense layer on them, or widths of several, with norm, ReLU and dropout (a multilayer
    perceptron); none by default.
    """

    preprocessor_class = VectorPreprocessor
    modality = "vector"

    def __init__(
        self, preprocessor: VectorPreprocessor, hidden: list[int] | int | None = None, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.hidden = [hidden] if isinstance(hidden, int) else list(hidden or [])
        self.dropout = dropout
        layers: list[nn.Module] = []
        self.dim = preprocessor.dim
        for width in self.hidden:
            layers += [nn.Linear(self.dim, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout)]
            self.dim = width
        self.body = nn.Sequential(*layers)

    def forward(self, vector: Tensor) -> Encoded:
        """vector (B, D) -> pooled (B, D)."""
        return pooled_only(self.body(vector))
