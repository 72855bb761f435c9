"""Text as a TF-IDF weighted sum of learned feature vectors."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aisle.models import preprocessing as preprocessing
from aisle.models.registry import Encoded, Encoder, pooled_only


class TfidfEncoder(Encoder):
    """A weighted bag of words, word pairs and character n-grams; one hidden vector a feature.

    preprocessor: the learned vocabulary. dim: D. dropout: the share of features left out in training.
    """

    preprocessor_class = preprocessing.TfidfPreprocessor
    modality = "text"

    def __init__(
        self, preprocessor: preprocessing.TfidfPreprocessor, dim: int = 256, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dim, self.dropout = dim, dropout
        self.table = nn.EmbeddingBag(max(preprocessor.size, 1), dim, mode="sum", include_last_offset=False)
        nn.init.normal_(self.table.weight, std=dim**-0.5)

    @torch.no_grad()
    def widen(self, features: int) -> None:
        """Make room for a vocabulary that grew to so many features; new ones say nothing yet."""
        old = self.table.weight
        if features > len(old):
            self.table = nn.EmbeddingBag(features, self.dim, mode="sum", include_last_offset=False)
            self.table.weight.zero_()
            self.table.weight[: len(old)] = old

    def forward(self, ids: Tensor, weights: Tensor, offsets: Tensor) -> Encoded:
        """ids (F,), weights (F,), offsets (B,) -> pooled (B, D), as the only token."""
        weights = F.dropout(weights, self.dropout, self.training)
        return pooled_only(self.table(ids, offsets, weights))  # (B, D)
