"""An encoder of precomputed vectors."""

from torch import Tensor, nn

from aisle.models.preprocessing import VectorPreprocessor
from aisle.models.registry import Encoded, Encoder, pooled_only


class VectorEncoder(Encoder):
    """Precomputed vectors, unchanged or through a multilayer perceptron.

    Args:
        preprocessor: sets the width of the vectors.
        hidden: width of a dense layer, or widths of several, each with norm, ReLU and dropout; none by
            default.
        dropout: after each layer.
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
        """Encode vector (B, width); the pooled vector (B, D) is the only token."""
        return pooled_only(self.body(vector))
